"""Facts about this machine and its libraries, for a run's header and for errors that they may explain."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
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
    """Commit of a folder's repository, with `+` where files differ from it; None outside a repository.

    No program that the repository's configuration names is run: it belongs to whoever made the repository.
    """
    settings = {"core.fsmonitor": "false"}
    try:
        drivers = _git(folder, settings, "config", "--null", "--name-only", "--get-regexp", r"^filter\.").split("\0")
    except (OSError, subprocess.SubprocessError):
        drivers = []  # no filter is configured
    settings |= dict.fromkeys(filter(None, drivers), "")
    try:
        commit = _git(folder, settings, "rev-parse", "HEAD")
        changed = _git(folder, settings, "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all")
        return commit + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path | None, settings: Mapping[str, str], *arguments: str) -> str:
    """What a git command prints, under settings that go before those of the repository."""
    given = {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_CONFIG_COUNT": str(len(settings))}
    for number, (name, value) in enumerate(settings.items()):
        given |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
        timeout=10,
        env={**os.environ, **given},
    ).stdout.strip()
