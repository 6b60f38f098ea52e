"""Facts about this machine and its libraries, for a run's header and for errors that they may explain."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("uninas-evo", "torch", "numpy", "deap", "pymoo", "optuna", "scipy", "networkx")


def versions() -> dict[str, str]:
    """The installed version of Python and of each library that can change a result."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def differences(recorded: Mapping[str, str]) -> str:
    """A clause that says which versions differ from the recorded ones."""
    now = versions()
    changed = [
        f"{name} {recorded.get(name, 'none')} -> {now.get(name, 'none')}"
        for name in sorted(recorded.keys() | now.keys())
        if recorded.get(name) != now.get(name)
    ]
    if not changed:
        return "all library versions equal the recorded ones, so the strategy or the space was changed"
    return f"library versions that changed (recorded -> now): {', '.join(changed)}; install the recorded ones"


def host() -> dict[str, str]:
    """What this machine is, in words."""
    from uninas_evo.pool.devices import cpu_count, memory_bytes

    return {
        "name": platform.node(),
        "system": platform.platform(),
        "cpus": str(cpu_count()),
        "memory_gb": f"{memory_bytes() / 1e9:.1f}",
    }


def git_state(folder: Path | None = None) -> str | None:
    """Commit of a folder's repository, with `+` where files differ from it; None outside a repository."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-c", "core.fsmonitor=false", *arguments],  # the one setting that runs a program
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        ).stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        return commit + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def file_hashes(paths: Iterable[Path]) -> dict[str, str]:
    """SHA-256 of files, by path; "missing" where there is none."""
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing" for path in paths}
