"""A run folder as a bank: one table of what was trained, in one file."""

from __future__ import annotations

from pathlib import Path

from uninas_evo.engine.events import AskEvent, ResultEvent
from uninas_evo.engine.journal import read_journal
from uninas_evo.engine.search import plan_of, reopen
from uninas_evo.predictors.bank import FILE_NAME, write_rows


def write_bank(folder: Path) -> int:
    """Writes the folder's table of trained networks, a row each; how many these are.

    Where the problem has several fidelities, each one's values and seconds have columns of their own, named by its
    settings, such as `train_4x10000`; of equal ones the second ends in `_2`. Equal journals give equal files, but for
    the seconds in them. Numbers are written in full.
    """
    _, events = read_journal(folder)
    results = {one.number: one for one in events if isinstance(one, ResultEvent) and one.values}
    asks = [one for one in events if isinstance(one, AskEvent) and one.genome and one.number in results]
    endings = _endings(folder)
    rows: dict[str, dict[str, str | float]] = {}
    for ask in asks:
        result, ending = results[ask.number], endings[-1 if ask.fidelity is None else ask.fidelity]
        row = rows.setdefault(ask.genome or "", {"genome": ask.genome or "", "origin": ask.origin} | dict(ask.costs))
        values = {name: value for name, value in (result.values or {}).items() if name not in row}
        values["seconds"] = round(result.measured.seconds, 3)
        row |= {name + ending: value for name, value in values.items()}
    write_rows(rows.values(), folder / FILE_NAME)
    return len(rows)


def _endings(folder: Path) -> list[str]:
    """How the columns of each fidelity end."""
    names: list[str] = []
    for one in plan_of(reopen(folder)[0]).problem.fidelities:
        name = "_" + "x".join(str(value) for value in one.values() if value)
        count = sum(before == name or before.startswith(f"{name}_") for before in names)
        names.append(f"{name}_{count + 1}" if count else name)
    return names or [""]
