"""Figures of a search's result, for notebooks and scripts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from uninas_evo.contracts import Objective
from uninas_evo.engine.journal import at_full
from uninas_evo.engine.results import SearchResult
from uninas_evo.errors import ObjectiveError
from uninas_evo.mistakes import nearest
from uninas_evo.report.pareto_plots import pareto_data, pareto_figure
from uninas_evo.report.plots import progress_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot(result: SearchResult, *names: str) -> Figure:
    """A figure of a result: of one objective all evaluations and the best so far, of two or three their front.

    Args:
        result: what `search` gave.
        names: objectives or costs; by default all objectives that were followed.

    Raises:
        ObjectiveError: there is no such value.
    """
    goals = {one.name: one for one in result.objectives}
    known = dict.fromkeys([*goals, *(name for one in result.evaluations[:1] for name in one.cost)])
    for name in names:
        if name not in known:
            raise ObjectiveError(f"there is no {name!r}: use {', '.join(known)}{nearest(name, known)}")
    chosen = [goals.get(name, Objective(name, "minimize", is_cost=True)) for name in (names or goals)][:3]
    full = {one.number for one in at_full([one for one in result.evaluations if not one.failure])}
    compared = [one.number in full and not one.violation for one in result.evaluations]
    rows = [{**one.cost, **one.values} if kept else {} for one, kept in zip(result.evaluations, compared, strict=True)]
    values = np.array([[row.get(one.name, math.nan) for one in chosen] for row in rows])
    if len(chosen) == 1:
        return progress_figure(values[:, 0], chosen[0])
    return pareto_figure(pareto_data(chosen, values, [str(one.number) for one in result.evaluations]))
