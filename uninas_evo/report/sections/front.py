"""The Pareto front of two or three objectives, and its members."""

from __future__ import annotations

import numpy as np

from uninas_evo.formats import exact
from uninas_evo.pages import template
from uninas_evo.report.pareto_plots import pareto_data, pareto_figure
from uninas_evo.report.plots import inline_svg, label, small
from uninas_evo.report.record import genome_id
from uninas_evo.report.run import Run
from uninas_evo.report.sections.evaluations import dots

MAX_ROWS = 200
"""Members that the page lists."""


def front(run: Run) -> str:
    """The Pareto front of two or three objectives, and its members."""
    record = run.record
    if len(record.objectives) < 2 or not run.front:
        return ""
    data = pareto_data(record.objectives[:3], record.drawn[:, :3], record.ids)
    known = np.flatnonzero(np.isfinite(record.drawn[:, :3]).all(axis=1))
    caption = "The front, its knee, and what they dominate." + (
        " The first three objectives." if len(record.objectives) > 3 else ""
    )
    attributes = dots(run, known[data.dominated], known[data.front])
    members = [run.front[place] for place in np.argsort(record.points[run.front, 0], kind="stable")]
    rows = [
        [
            str(record.numbers[row]),
            genome_id(record.genomes[row]),
            *map(exact, record.values[row].tolist()),
        ]
        for row in members[:MAX_ROWS]
    ]
    table = template.table(["candidate", "genome", *map(label, record.objectives)], rows)
    more = f" (the first {MAX_ROWS})" if len(members) > MAX_ROWS else ""
    return (
        "<h2>Pareto front</h2>"
        + template.figure(inline_svg(small(pareto_figure(data))), caption, attributes)
        + f"<details><summary>{len(members)} members{more}</summary>{table}</details>"
    )
