"""What a run file can name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.table import Table

from uninas_evo.config import registry
from uninas_evo.errors import RunFileError, UninasEvoError
from uninas_evo.mistakes import nearest

KINDS = ("strategies", "problems", "objectives")


def listing(kind: str | None) -> Table:
    """A table of strategies, problems and objectives with a line about each.

    Raises:
        RunFileError: there is no such kind.
    """
    if kind is not None and kind not in KINDS:
        raise RunFileError(f"there is no list of {kind!r}; use one of {', '.join(KINDS)}{nearest(kind, KINDS)}")
    table = Table("kind", "name", "what it is")
    for wanted in KINDS if kind is None else (kind,):
        for name, text in _objectives() if wanted == "objectives" else _classes(wanted):
            table.add_row(wanted, name, text)
    return table


def _classes(kind: str) -> list[tuple[str, str]]:
    singular = {"strategies": "strategy", "problems": "problem"}[kind]
    rows = []
    for name in registry.names(singular):
        try:
            text = _first_line(registry.find(singular, name))
        except UninasEvoError as error:
            text = str(error)
        rows.append((name, text))
    return rows


def _objectives() -> list[tuple[str, str]]:
    from uninas_evo.proxies import registry as proxies

    own = "a function of your own: of the network, of (genome: Genome), or (genome, device)"
    return [
        *((name, _told(lambda: proxies.find(name), lambda one: one.goal, "function")) for name in proxies.names()),
        *((name, _told(lambda: registry.find("scorer", name), _goals)) for name in registry.names("scorer")),
        ("file.py:function", own),
        ("package.module:function", own),
    ]


def _goals(scorer: Any) -> str:
    return ", ".join(dict.fromkeys(objective.goal for objective in scorer.objectives))


def _told(find: Callable[[], Any], goal: Callable[[Any], str], documented: str = "") -> str:
    """What an objective is; of one that cannot be imported, why."""
    try:
        found = find()
    except UninasEvoError as error:
        return str(error)
    return f"{goal(found)}: {_first_line(getattr(found, documented) if documented else found)}"


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").strip().partition("\n")[0]
