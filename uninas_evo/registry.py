"""Everything that a run file names, by name: entry points, so that an installed package can add its own."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from uninas_evo.errors import MissingExtraError, RunFileError
from uninas_evo.mistakes import nearest

GROUPS = {
    "strategy": "uninas_evo.strategies",
    "problem": "uninas_evo.problems",
    "space": "uninas_evo.spaces",
    "scorer": "uninas_evo.scorers",
    "proxy": "uninas_evo.proxies",
}


def names(kind: str) -> list[str]:
    """The names of everything of a kind (one of `GROUPS`) that is installed."""
    return sorted(_found(kind))


def find(kind: str, name: Any) -> Any:
    """What an entry point names: the class of a strategy, problem, space or scorer, or a `Proxy`.

    Raises:
        RunFileError: nothing of that name is installed, or it cannot be imported, for whatever reason.
        MissingExtraError: it needs a package that is not installed.
    """
    point = _found(kind).get(str(name))
    if point is None:
        known = names(kind)
        raise RunFileError(f"no {kind} is called {name!r}; use one of {', '.join(known)}{nearest(str(name), known)}")
    try:
        return point.load()
    except MissingExtraError:
        raise
    except Exception as error:  # whatever a package from elsewhere raises
        raise RunFileError(
            f"the {kind} {name} ({point.value}) cannot be imported: {type(error).__name__}: {error}; "
            "fix or uninstall its package"
        ) from error


@lru_cache
def _found(kind: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUPS[kind])}
