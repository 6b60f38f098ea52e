"""From run records to the numbers of a comparison, for one problem: nothing is run, drawn or written here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from uninas_evo.contracts import Goal, Objective
from uninas_evo.errors import JournalError
from uninas_evo.report.record import RunRecord
from uninas_evo.stats import fronts as pareto
from uninas_evo.stats import tests
from uninas_evo.stats.fronts import Box, FloatArray
from uninas_evo.stats.tests import Curve, Pair, Summary

Fresh = Mapping[str, Mapping[str, float]]
"""Genome text -> objective -> mean value over fresh seeds, of every genome that was ever the best or on the front."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of a comparison: what a strategy did with a seed.

    Attributes:
        record: the run.
        fresh: re-scored values of the genomes that were ever best; empty where scores have no noise.
        asking_s: CPU seconds that the strategy took to ask and be told.
    """

    record: RunRecord
    fresh: Fresh
    asking_s: float


@dataclass(frozen=True, slots=True)
class Timing:
    """Mean seconds of one run of a strategy: asking in CPU time, scoring by the clock.

    A shared score counts with the time it took.
    """

    asking_s: float
    scoring_s: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """The numbers of strategies × seeds on one problem; S seeds, T evaluations.

    Attributes:
        problem: its name in the compare file.
        quantity: the objective's name, or "hypervolume" where there are several.
        goal: which direction of the quantity is better.
        objectives: what was optimized.
        evaluations: T.
        seeds: the paired seeds, (S,).
        baseline: the strategy that the others are tested against.
        optimum: the best value that the problem has, where it is known.
        rescored: whether values come from fresh seeds.
        qualities: strategy -> best so far, (S, T).
        summaries: one a strategy, the best mean rank first.
        against: each strategy against the baseline.
        pairs: every strategy against every other.
        timings: strategy -> time of a run.
        reference: the reference point of the hypervolumes, in the objectives' own units.
        surfaces: strategy -> median attainment surface (P, O), in the objectives' own units.
    """

    problem: str
    quantity: str
    goal: Goal
    objectives: tuple[Objective, ...]
    evaluations: int
    seeds: tuple[int, ...]
    baseline: str
    optimum: float | None
    rescored: bool
    qualities: Mapping[str, FloatArray]
    summaries: Sequence[Summary]
    against: Mapping[str, Pair]
    pairs: Sequence[Pair]
    timings: Mapping[str, Timing]
    reference: FloatArray | None
    surfaces: Mapping[str, FloatArray]

    @property
    def curves(self) -> dict[str, Curve]:
        """Strategy -> median and band of its best so far."""
        return {name: tests.anytime(rows, self.goal) for name, rows in self.qualities.items()}

    @property
    def queries(self) -> dict[str, FloatArray]:
        """Strategy -> evaluations until the optimum, (S,); inf: not within the budget. Empty if not known."""
        if self.optimum is None:
            return {}
        optimum = self.optimum
        return {name: tests.evaluations_until(rows, optimum, self.goal) for name, rows in self.qualities.items()}


def compare(
    problem: str,
    cells: Mapping[str, Sequence[Cell]],
    evaluations: int,
    baseline: str,
    optimum: float | None = None,
) -> Comparison:
    """Compares strategies whose cells are in the same order of seeds.

    Raises:
        JournalError: the cells are not paired, or nothing at all succeeded.
    """
    every = [cell for row in cells.values() for cell in row]
    objectives = every[0].record.objectives
    seeds = tuple(cell.record.seed for cell in cells[baseline])
    for name, row in cells.items():
        if tuple(cell.record.seed for cell in row) != seeds:
            raise JournalError(
                f"the runs of {name!r} on {problem!r} have other seeds than those of {baseline!r}: "
                f"a comparison is paired; run the missing cells with `uninas-evo compare`"
            )
    several = len(objectives) > 1
    box = _box(problem, every) if several else None
    goal = "maximize" if several else objectives[0].goal
    qualities = {name: np.stack([quality(cell, evaluations, box) for cell in row]) for name, row in cells.items()}
    finals = {name: rows[:, -1] for name, rows in qualities.items()}
    others = [(name, baseline) for name in cells if name != baseline]
    signs = pareto.minimized(np.ones(len(objectives)), [objective.goal for objective in objectives])[0]
    return Comparison(
        problem=problem,
        quantity="hypervolume" if several else objectives[0].name,
        goal=goal,
        objectives=objectives,
        evaluations=evaluations,
        seeds=seeds,
        baseline=baseline,
        optimum=None if several else optimum,
        rescored=any(cell.fresh for cell in every),
        qualities=qualities,
        summaries=tests.summaries(finals, goal),
        against={pair.a: pair for pair in tests.compare_pairs(finals, goal, others)},
        pairs=tests.compare_pairs(finals, goal),
        timings={name: _timing(row) for name, row in cells.items()},
        reference=None if box is None else box.reference * signs,
        surfaces={name: _surface(row, evaluations) * signs for name, row in cells.items()}
        if len(objectives) in (2, 3)
        else {},
    )


def finalists(record: RunRecord) -> list[int]:
    """Rows of what was ever the best, or on the front: those that a curve needs fresh scores of."""
    return sorted({int(index) for kept in pareto.archives(record.points) for index in kept})


def quality(cell: Cell, evaluations: int, box: Box | None = None) -> FloatArray:
    """How good what a run would hand back after each evaluation is, (T,).

    What it would hand back is chosen by the run's own scores, and judged by fresh ones where there are any: the
    value of the best genome, or the share of the box that the front dominates.
    """
    judged = _judged(cell)
    curve: list[float] = []
    before: list[int] = []
    for kept in pareto.archives(cell.record.points[:evaluations]):
        if curve and before == kept.tolist():
            curve.append(curve[-1])
        elif box is not None:
            curve.append(box.hypervolume(judged[kept]))
        else:
            curve.append(float(judged[kept[0], 0]) if len(kept) else np.nan)
        before = kept.tolist()
    steps = np.array(curve, float)
    if box is None and cell.record.objectives[0].goal == "maximize":
        steps = -steps
    return tests.padded(steps, evaluations)


def _judged(cell: Cell) -> FloatArray:
    """Minimized values, (T, O), those of finalists from fresh seeds."""
    record = cell.record
    if not cell.fresh:
        return record.points
    names = [objective.name for objective in record.objectives]
    values = record.values.copy()
    for row, text in enumerate(record.genomes):
        if text in cell.fresh:
            values[row] = [cell.fresh[text].get(name, np.nan) for name in names]
    return pareto.minimized(values, [objective.goal for objective in record.objectives])


def _box(problem: str, cells: Sequence[Cell]) -> Box:
    """One box for all runs of a problem, around what each of them hands back."""
    points = [_judged(cell) for cell in cells]
    if not any(np.isfinite(each).all(axis=1).any() for each in points):
        raise JournalError(
            f"not one candidate of {problem!r} has a score: read the failures in the cells' journals, fix the "
            f"problem, and compare again in a new folder"
        )
    return Box.around(*points)


def _surface(cells: Sequence[Cell], evaluations: int) -> FloatArray:
    fronts: list[FloatArray] = []
    for cell in cells:
        kept = pareto.front(cell.record.points[:evaluations])
        fronts.append(_judged(cell)[kept])
    return pareto.attainment(fronts, 50)


def _timing(cells: Sequence[Cell]) -> Timing:
    return Timing(
        float(np.mean([cell.asking_s for cell in cells])),
        float(np.mean([cell.record.seconds.sum() for cell in cells])),
    )
