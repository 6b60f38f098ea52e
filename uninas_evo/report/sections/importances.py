"""Which decisions mattered."""

from __future__ import annotations

from uninas_evo.errors import ObjectiveError
from uninas_evo.pages import template
from uninas_evo.report.importance import importance, told
from uninas_evo.report.plots import inline_svg
from uninas_evo.report.run import Run
from uninas_evo.report.runplots import importance_figure


def importances(run: Run) -> str:
    """The importance of decisions for each objective that is no cost; once the run has ended, as it takes seconds."""
    if not run.end:
        return ""
    figures = []
    for column, objective in enumerate(run.record.objectives):
        if objective.is_cost:
            continue
        try:
            found = importance(run.record.genomes, run.record.feasible[:, column], run.record.seed)
        except ObjectiveError:
            continue  # too few evaluations, or all alike
        figures.append(template.figure(inline_svg(importance_figure(found, objective)), told(found, objective)))
    return "<h2>Which decisions mattered</h2>" + "".join(figures) if figures else ""
