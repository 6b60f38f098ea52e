"""Which edits at which stage were tried, accepted and paid off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from uninas_evo.report.history import Tally
from uninas_evo.report.run import Run


def edits(run: Run) -> str:
    """Which edits at which stage were tried, accepted and paid off."""
    tallies = run.history.tallies()
    if not tallies:
        return ""
    stages = sorted({stage for _, _, stage in tallies})
    parts = [
        f"<div><h3>{title}</h3>{_tally_table(tallies, change, stages)}</div>"
        for change, title in (("added", "Added"), ("removed", "Removed"))
        if any(key[0] == change for key in tallies)
    ]
    note = (
        "Over scored children of one parent. Each cell: how often tried; how many of these became parents; how many "
        "were better than their parent. The darker, the larger the share that was better."
    )
    return f'<h2>Edits</h2><div class="sides">{"".join(parts)}</div><p class="note">{note}</p>'


def _tally_table(tallies: Mapping[tuple[str, str, int], Tally], change: str, stages: Sequence[int]) -> str:
    operations: dict[str, list[Tally]] = {}
    for (own, operation, stage), tally in tallies.items():
        if own == change:
            operations.setdefault(operation, [Tally() for _ in stages])[stages.index(stage)] = tally
    rows = []
    for operation, row in sorted(operations.items(), key=lambda item: (-sum(one.tried for one in item[1]), item[0])):
        total = Tally(sum(t.tried for t in row), sum(t.accepted for t in row), sum(t.paid for t in row))
        cells = "".join(_tally_cell(one) for one in (total, *row))
        rows.append(f"<tr><td>{escape(operation)}</td>{cells}</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("operation", "all stages", *(f"stage {s}" for s in stages)))
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div class="scroll"><table class="tallies">{body}</table></div>'


def _tally_cell(tally: Tally) -> str:
    if not tally.tried:
        return "<td></td>"
    heat = tally.paid / tally.tried
    return f'<td style="--heat:{heat:.2f}">{tally.tried} · {tally.accepted} · {tally.paid}</td>'
