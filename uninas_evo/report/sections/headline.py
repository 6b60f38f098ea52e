"""How far the run is, the best so far, and what to beware of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

import numpy as np

from uninas_evo.engine.finalists import MOSTLY_SIZE, size_alarm
from uninas_evo.formats import duration, exact, number
from uninas_evo.report.record import genome_id
from uninas_evo.report.run import Run


def headline(run: Run) -> str:
    """How far the run is, the best so far, and what to beware of."""
    record = run.record
    failed = int(np.isnan(record.values).any(axis=1).sum())
    spent = max((result.measured.at for result in run.history.results.values()), default=0.0)
    planned = run.header.run.get("evaluations")
    state = run.end.text if run.end else "going on, or killed: the journal has no end yet"
    rows = [
        ("state", state),
        ("evaluations", f"{len(record.numbers)}" + (f" of {planned}" if planned else "")),
        ("failures", f"{failed}"),
        ("time", duration(spent)),
    ]
    if run.winner is not None:
        names = [objective.name for objective in record.objectives]
        values = zip(names, record.values[run.winner].tolist(), strict=True)
        title = "best" if len(names) == 1 else f"knee of the front of {len(run.front)}"
        cost = record.costs[run.winner]
        best = ", ".join(f"{name} {number(value)}" for name, value in values if name not in cost)
        size = ", ".join(f"{name} {exact(value)}" for name, value in cost.items())
        who = f"candidate {record.numbers[run.winner]}, genome {genome_id(record.genomes[run.winner])}"
        rows.append((title, ", ".join(part for part in (best, size, who) if part)))
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows)
    return f'<dl class="facts">{listed}</dl>' + _alarm(run)


def _alarm(run: Run) -> str:
    """How much of each score is size, with a warning where it is most."""
    record = run.record
    scored = np.flatnonzero(np.isfinite(record.values).all(axis=1)).tolist()
    values = {one.name: record.values[scored, column].tolist() for column, one in enumerate(record.objectives)}
    found = size_alarm(record.objectives, [record.costs[row] for row in scored], values)
    return "".join(_alarm_line(name, shares, record.costs[0]) for name, shares in found.items())


def _alarm_line(name: str, shares: Mapping[str, float], costs: Iterable[str]) -> str:
    with_each = ", ".join(f"{shares[cost]:+.2f} with {cost}" for cost in costs)
    text = f"{name}: Spearman correlation {with_each}; size leaves {shares['unexplained']:.0%} of its ranks unexplained"
    alarm = shares["unexplained"] < MOSTLY_SIZE
    warning = "<strong>Size alarm.</strong> The search may only find size: " if alarm else "Size: "
    return f'<p class="{"alarm" if alarm else "note"}">{warning}{escape(text)}.</p>'
