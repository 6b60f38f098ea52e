"""Scores against what networks cost."""

from __future__ import annotations

import numpy as np

from uninas_evo.pages import template
from uninas_evo.report.plots import inline_svg, label
from uninas_evo.report.run import Run
from uninas_evo.report.runplots import size_figure
from uninas_evo.report.sections.evaluations import dots


def sizes(run: Run) -> str:
    """Scores against each cost of everything that was tried."""
    record = run.record
    if run.winner is None:
        return ""
    costs = {name: np.array([cost[name] for cost in record.costs], float) for name in record.costs[0]}
    marks = {"best" if len(record.objectives) == 1 else "knee": run.winner}
    if run.start is not None and run.start.text in record.genomes:
        marks["start"] = record.genomes.index(run.start.text)
    figures = [
        template.figure(
            inline_svg(size_figure(costs, record.drawn[:, column], objective, marks)),
            f"{label(objective)} against {' and against '.join(costs)}, of everything that was scored.",
            dots(run, np.flatnonzero(np.isfinite(record.drawn[:, column]))),
        )
        for column, objective in enumerate(record.objectives)
        if not objective.is_cost
    ]
    return "<h2>Score and size</h2>" + "".join(figures) if figures else ""
