"""How the winner came about, step by step."""

from __future__ import annotations

from collections.abc import Sequence

from uninas_evo.formats import amount, number
from uninas_evo.pages import template
from uninas_evo.report.run import Run
from uninas_evo.spaces.uninas.diff import Edit

MAX_ROWS = 200
"""Steps that the page lists; of a longer line, the first and the last ones."""


def ancestry(run: Run) -> str:
    """How the winner came about, step by step."""
    if len(run.line) < 2:
        return ""
    names = [objective.name for objective in run.record.objectives if not objective.is_cost]
    costs = list(run.line[0].cost)
    head = ["step", "candidate", "made by", *(f"{name} (change)" for name in names), *costs, "edits"]
    rows: list[list[str]] = []
    for step, (before, one) in enumerate(zip([None, *run.line[:-1]], run.line, strict=True)):
        values = [_changed(one.values.get(name), before.values.get(name) if before else None) for name in names]
        sizes = [_sized(one.cost[name], before.cost[name] if before else None) for name in costs]
        others = f" with {', '.join(map(str, one.parents[1:]))}" if len(one.parents) > 1 else ""
        rows.append([str(step), str(one.number), one.origin + others, *values, *sizes, _edits(one.edits)])
    cut = ""
    if len(rows) > MAX_ROWS:
        cut = f" Of {len(rows)} steps the first and the last {MAX_ROWS // 2} are listed."
        rows = [*rows[: MAX_ROWS // 2], *rows[-MAX_ROWS // 2 :]]
    note = f"From the first ancestor to the winner, along first parents.{cut}"
    return f'<h2>Ancestry</h2><div class="wrapped">{template.table(head, rows)}</div><p class="note">{note}</p>'


def _changed(value: float | None, before: float | None) -> str:
    if value is None:
        return "–"
    return number(value) if before is None else f"{number(value)} ({value - before:+.4g})"


def _sized(value: float, before: float | None) -> str:
    if before is None or value == before:
        return amount(value)
    return f"{amount(value)} ({'+' if value > before else '−'}{amount(abs(value - before))})"


def _edits(found: Sequence[Edit] | None, most: int = 3) -> str:
    """The edits in words: "+ dw5 at 2.1.1/3"."""
    if not found:
        return ""
    signs = {"added": "+", "removed": "−"}
    words = [f"{signs[edit.change]} {edit.operation} at {edit.place}" for edit in found[:most]]
    return "; ".join(words) + (f"; {len(found) - most} more" if len(found) > most else "")
