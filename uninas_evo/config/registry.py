"""Strategies and problems by name: entry points, so that an installed package can add its own."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from uninas_evo.errors import MissingExtraError, RunFileError
from uninas_evo.mistakes import nearest

GROUPS = {"strategy": "uninas_evo.strategies", "problem": "uninas_evo.problems"}
Kind = Literal["strategy", "problem"]


def names(kind: str) -> list[str]:
    """The names of all strategies or problems that are installed."""
    return sorted(_found(kind))


def find(kind: str, name: Any) -> Any:
    """The class of a strategy or problem.

    Raises:
        RunFileError: nothing of that name is installed, or it cannot be imported.
    """
    point = _found(kind).get(str(name))
    if point is None:
        known = names(kind)
        raise RunFileError(f"no {kind} is called {name!r}; use one of {', '.join(known)}{nearest(str(name), known)}")
    try:
        return point.load()
    except MissingExtraError:
        raise
    except (ImportError, AttributeError) as error:
        raise RunFileError(f"the {kind} {name} ({point.value}) cannot be imported: {error}") from error


@lru_cache
def _found(kind: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUPS[kind])}
