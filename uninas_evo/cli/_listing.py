"""What a run file can name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pydantic
from rich.table import Table

from uninas_evo import registry
from uninas_evo.config.runfile import check_objectives, load_run_file
from uninas_evo.errors import RunFileError, UninasEvoError
from uninas_evo.mistakes import nearest
from uninas_evo.scoring.cost import COSTS, cost_objective

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


def searchable(path: Path) -> Table:
    """A table of every strategy: whether it can search a run file's problem, and why not; with its own defaults.

    Raises:
        RunFileError: the run file holds mistakes.
    """
    problem = load_run_file(path).problem()
    table = Table("strategy", "can search it", "how, or why not", title=f"{path}: {type(problem.space).__name__}")
    for name in registry.names("strategy"):
        try:
            found = registry.find("strategy", name)
            check_objectives(name, found, problem)
            count = found(problem.space, problem.objectives, seed=0).exactly
            said = _first_line(found) + ("" if count is None else f" Here {count:,}.")
            table.add_row(name, "yes", said)
        except (UninasEvoError, pydantic.ValidationError) as error:
            table.add_row(name, "no", str(error))
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
        *((name, _told(_proxy, name)) for name in proxies.names()),
        *((name, _told(_scorer, name)) for name in registry.names("scorer")),
        ("file.py:function", own),
        ("package.module:function", own),
    ]


def _told(describe: Callable[[str], str], name: str) -> str:
    """What an objective is; of one that cannot be imported, why."""
    try:
        return describe(name)
    except UninasEvoError as error:
        return str(error)


def _proxy(name: str) -> str:
    from uninas_evo.proxies import registry as proxies

    found = proxies.find(name)
    goal = cost_objective(name).goal if name in COSTS else found.goal  # what a run file gets
    return f"{goal}: {_first_line(found.function)}"


def _scorer(name: str) -> str:
    found = registry.find("scorer", name)
    goals = dict.fromkeys(objective.goal for objective in found.objectives)
    return f"{', '.join(goals)}: {_first_line(found)}"


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").strip().partition("\n")[0]
