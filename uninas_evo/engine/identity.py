"""What makes a run the same run: the hashes of what its scores depend on, wherever those files now lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from uninas_evo.contracts import Problem
from uninas_evo.engine.events import VERSION, Header
from uninas_evo.errors import JournalError
from uninas_evo.sources import MISSING, file_hash, hashes


def check_sources(now: Mapping[str, str], header: Header, *, allowed: bool = False) -> None:
    """Refuses files of the user's own that are not the recorded ones; paths may differ.

    Args:
        now: path -> SHA-256, see `sources.hashes`.
        header: of the run's journal.
        allowed: whether the user takes the files as they are.

    Raises:
        JournalError: a file's hash differs, a file is gone, or code is imported that was not.
    """
    recorded = dict(header.sources)
    if header.version == 1:  # recorded the objectives' own files alone
        now = {path: digest for path, digest in now.items() if path in recorded or digest in recorded.values()}
    if allowed or list(now.values()) == list(recorded.values()):
        return
    gone = [path for path, digest in recorded.items() if digest not in now.values()]
    new = [path for path, digest in now.items() if digest not in recorded.values()]
    raise _differs(next(iter([*gone, *new, *recorded, *now])), now, header)


def check_known(now: Mapping[str, str], header: Header) -> None:
    """As `check_sources`, of some of the files.

    Raises:
        JournalError: a file is none of the recorded ones.
    """
    for path, digest in now.items():
        if digest not in header.sources.values():
            raise _differs(path, now, header)


def _differs(path: str, now: Mapping[str, str], header: Header) -> JournalError:
    name = Path(path).name
    before, after = ({Path(one).name: hashed for one, hashed in each.items()} for each in (header.sources, now))
    return JournalError(
        f"the objective's file {path} is not the one that this run was started with (SHA-256 recorded "
        f"{before.get(name, 'none')[:12]}, now {after.get(name, MISSING)[:12]}): scores from two versions do "
        f"not compare; restore it, name its new place by --set, or give --allow-changed-objective"
    )


def check_prepared(problem: Problem, header: Header) -> None:
    """Refuses shared preparation, such as trained weights, that is not what the run began with.

    Raises:
        JournalError: it differs.
    """
    for name, digest in header.prepared.items():
        if problem.prepared.get(name) != digest:
            raise JournalError(
                f"what {name} prepared for this run is not what the run began with (SHA-256 recorded {digest[:12]}, "
                f"now {problem.prepared.get(name, MISSING)[:12]}): scores from two preparations do not compare; "
                f"restore its files in the run folder, or start a new run"
            )


def current_sources(problem: Problem) -> dict[str, str]:
    """Path -> SHA-256 of all files of the user's own that a problem depends on."""
    return hashes(problem.sources)


def completed(header: Header, content: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A run's tables (the recorded ones by default) with what they mean by leaving it out, where that has changed.

    Before version 3 proxies scored every genome of the UniNAS space as it is, as they still do in others, and
    `bayesian` asked its model again after a repeat in every space.
    """
    content = dict(header.run if content is None else content)
    if header.version == VERSION:
        return content
    problem, strategy = content.get("problem"), content.get("strategy")
    if isinstance(problem, Mapping) and problem.get("name", "uninas") == "uninas":
        content["problem"] = {"canonical": False, **problem}
    if isinstance(strategy, Mapping) and strategy.get("name") == "bayesian":
        content["strategy"] = {"repeats": "model", **strategy}
    return content


def check_canonical(problem: Problem, header: Header) -> None:
    """Refuses to go on by canonical genomes where a run began without.

    Raises:
        JournalError: the run is older, and the problem scores canonical genomes.
    """
    if header.version < 3 and problem.canonical:
        raise JournalError(
            f"this run was started when proxies scored every genome as it is (journal version {header.version}, now "
            "canonical genomes): scores of both do not compare; make the problem with canonical=False"
        )


def relocated(content: Mapping[str, Any], header: Header, folder: Path) -> dict[str, Any]:
    """A run's tables with the paths of files that were moved with the run folder, found by name and hash."""
    moved = {path: str(found) for path, digest in header.sources.items() if (found := _found(path, digest, folder))}
    return {name: _mapped(value, lambda path: moved.get(path, path)) for name, value in content.items()}


def by_hash(content: Mapping[str, Any], header: Header) -> dict[str, Any]:
    """A run's tables with recorded and existing files named by their hashes, so that equal ones compare equal."""

    def name(path: str) -> str:
        if path in header.sources:
            return header.sources[path]
        now = file_hash(Path(path)) if Path(path).is_absolute() and "\n" not in path else MISSING
        return now if now in header.sources.values() else path

    return {key: _mapped(value, name) for key, value in content.items()}


def _found(path: str, digest: str, folder: Path) -> Path | None:
    """Where a recorded file lies that is no longer at its path: a folder around the run and an end of the path."""
    if digest == MISSING or Path(path).exists():
        return None
    parts = Path(path).parts[1:]
    for above in folder.resolve().parents:
        for count in range(1, len(parts) + 1):
            place = above.joinpath(*parts[-count:])
            if place.exists() and file_hash(place) == digest:
                return place
    return None


def _mapped(content: Any, change: Callable[[str], str]) -> Any:
    """The same tables with the paths in them changed, also those in "file.py:function"."""
    if isinstance(content, Mapping):
        return {key: _mapped(value, change) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_mapped(value, change) for value in content]
    if not isinstance(content, str):
        return content
    target, colon, function = content.rpartition(":")
    return f"{change(target)}:{function}" if colon and target.endswith(".py") else change(content)
