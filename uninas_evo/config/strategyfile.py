"""Strategies from a file of the user's own: `name = "greedy.py:Greedy"` in a run file's `[strategy]` table."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from uninas_evo.contracts import Strategy
from uninas_evo.errors import JournalError, ObjectiveError, RunFileError
from uninas_evo.scoring.function import UserFunction


def is_file(name: Any) -> bool:
    """Whether a strategy's name says a class in a file."""
    return isinstance(name, str) and name.rpartition(":")[0].endswith(".py")


def located(name: str, folder: Path) -> str:
    """The name with its file's absolute path: beside the run file where it is there, else in the working folder."""
    file, _, kind = name.rpartition(":")
    beside = folder / file
    return f"{(beside if beside.is_file() else Path(file)).absolute()}:{kind}"


def load(name: str) -> type[Strategy]:
    """The class; this executes the file.

    Raises:
        RunFileError: there is no such file or class, or it is no strategy that a run file can make.
    """
    try:
        found = UserFunction(name).load()
    except ObjectiveError as error:
        raise RunFileError(str(error).replace("the objective", "the strategy").replace("function", "Class")) from error
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        raise RunFileError(f"{name} must be a class derived from uninas_evo.Strategy, got {found!r:.80}")
    if not hasattr(found, "Options"):
        raise RunFileError(f"{name} needs a class attribute Options, a pydantic model of its fields; add an empty one")
    return found


def digest(name: Any) -> str | None:
    """SHA-256 of the file of a strategy's name; None for the name of an installed one."""
    if not is_file(name):
        return None
    return hashlib.sha256(Path(name.rpartition(":")[0]).read_bytes()).hexdigest()


def check_recorded(name: Any, recorded: str | None, folder: Path) -> None:
    """Refuses to execute a file that is not the one a run was started with, or that lies in the run folder.

    Args:
        name: the strategy's name in the folder's run file.
        recorded: the digest in the journal's header.
        folder: the run folder.

    Raises:
        JournalError: it is another file, is missing, or lies in the folder.
    """
    if not is_file(name):
        return
    file = Path(name.rpartition(":")[0])
    if (folder / file).resolve().is_relative_to(folder.resolve()):
        raise JournalError(
            f"the strategy's file {file} lies inside the run folder, which could run anything that way; "
            f"move it elsewhere after reading it, and name it there in run.toml"
        )
    if not file.is_file() or digest(name) != recorded:
        raise JournalError(
            f"the strategy's file {file} is missing or not the one that this run was started with, and a replay needs "
            f"the same; restore it"
        )
