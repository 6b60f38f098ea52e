"""Which decisions mattered, and what the best genomes decided alike."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from uninas_evo.contracts import Objective
from uninas_evo.errors import ObjectiveError
from uninas_evo.pages import template
from uninas_evo.report.common import BEST, in_common
from uninas_evo.report.importance import importance, told
from uninas_evo.report.plots import inline_svg, label
from uninas_evo.report.run import Run
from uninas_evo.report.runplots import importance_figure
from uninas_evo.stats.fronts import FloatArray


def importances(run: Run) -> str:
    """For each objective that is no cost, importances and common answers; once the run has ended: they take seconds."""
    if not run.end:
        return ""
    parts = []
    for column, objective in enumerate(run.record.objectives):
        if objective.is_cost:
            continue
        values = run.record.feasible[:, column]
        try:
            found = importance(run.record.genomes, values, run.record.seed)
        except ObjectiveError:
            continue  # too few evaluations, or all alike
        parts.append(template.figure(inline_svg(importance_figure(found, objective)), told(found, objective)))
        parts.append(_common(run.record.genomes, values, objective))
    return "<h2>Which decisions mattered</h2>" + "".join(parts) if parts else ""


def _common(genomes: Sequence[str], values: FloatArray, objective: Objective) -> str:
    rows = [
        (one.decision, one.answer, f"{one.best} of {BEST}", f"{one.everywhere:.0%}")
        for one in in_common(genomes, values, objective.goal)
    ]
    if not rows:
        return ""
    title = f"<h3>What the best {BEST} have in common, {escape(label(objective))}</h3>"
    return title + template.table(("decision", "answer", "of the best", "of all"), rows)
