"""Figures of a search's result, for notebooks and scripts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from uninas_evo.contracts import Objective
from uninas_evo.engine.events import at_full
from uninas_evo.engine.results import SearchResult
from uninas_evo.errors import ObjectiveError
from uninas_evo.mistakes import nearest
from uninas_evo.report.importance import Importance
from uninas_evo.report.importance import importance as rated
from uninas_evo.report.pareto_plots import pareto_data, pareto_figure
from uninas_evo.report.plots import progress_figure
from uninas_evo.report.record import read_run
from uninas_evo.stats.fronts import FloatArray

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
    chosen = _chosen(result, names)[:3]
    values = _compared(result, chosen)
    if len(chosen) == 1:
        return progress_figure(values[:, 0], chosen[0])
    return pareto_figure(pareto_data(chosen, values, [str(one.number) for one in result.evaluations]))


def importance(result: SearchResult | str | Path, objective: str = "") -> Importance:
    """How much each decision of genomes mattered for an objective; `importance(result).shares` begins with the most.

    Args:
        result: what `search` gave, or a run folder.
        objective: an objective or a cost; by default the first objective.

    Raises:
        ObjectiveError: there is no such value, or too few evaluations compare.
        JournalError: the folder holds no run.
    """
    if isinstance(result, str | Path):
        record = read_run(Path(result))
        names = [one.name for one in record.objectives]
        if objective and objective not in names:
            raise _unknown(objective, names)
        return rated(record.genomes, record.feasible[:, names.index(objective or names[0])], record.seed)
    (chosen, *_) = _chosen(result, [objective] if objective else [])
    return rated([one.text for one in result.evaluations], _compared(result, [chosen])[:, 0])


def _chosen(result: SearchResult, names: Sequence[str]) -> list[Objective]:
    """Objectives and costs by name; all objectives where none is named."""
    goals = {one.name: one for one in result.objectives}
    known = dict.fromkeys([*goals, *(name for one in result.evaluations[:1] for name in one.cost)])
    for name in names:
        if name not in known:
            raise _unknown(name, known)
    return [goals.get(name, Objective(name, "minimize", is_cost=True)) for name in (names or goals)]


def _unknown(name: str, known: Iterable[str]) -> ObjectiveError:
    return ObjectiveError(f"there is no {name!r}: use {', '.join(known)}{nearest(name, known)}")


def _compared(result: SearchResult, chosen: Sequence[Objective]) -> FloatArray:
    """Values (T, O), NaN for what does not compare."""
    full = {one.number for one in at_full([one for one in result.evaluations if not one.failure])}
    kept = [one.number in full and not one.violation for one in result.evaluations]
    rows = [{**one.cost, **one.values} if same else {} for one, same in zip(result.evaluations, kept, strict=True)]
    return np.array([[row.get(one.name, math.nan) for one in chosen] for row in rows])
