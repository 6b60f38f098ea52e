"""What strategies reach by the seconds of their runs instead of by their evaluations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uninas_evo.compare.analysis import Cell
from uninas_evo.compare.tables import Row
from uninas_evo.contracts import Goal
from uninas_evo.pages.palette import INK, SERIES
from uninas_evo.report.plots import legend, new_figure, style
from uninas_evo.stats import tests
from uninas_evo.stats.fronts import FloatArray
from uninas_evo.stats.tests import Curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 200
"""Times at which curves are told: enough for any figure."""


@dataclass(frozen=True, slots=True)
class ByTime:
    """The numbers of one problem by time; S seeds.

    Attributes:
        goal: which direction of the objective is better.
        seconds: the times, (`POINTS`,), even on a logarithmic scale.
        curves: strategy -> median and band of the best at full fidelity so far.
        until: strategy -> seconds until the target, (S,); inf: not reached.
        target: the value to be reached.
    """

    goal: Goal
    seconds: FloatArray
    curves: Mapping[str, Curve]
    until: Mapping[str, FloatArray]
    target: float


def by_time(cells: Mapping[str, Sequence[Cell]], target: float) -> ByTime:
    """Compares strategies by time, for problems with one objective."""
    steps = {name: [_steps(cell) for cell in row] for name, row in cells.items()}
    (objective,) = next(iter(cells.values()))[0].record.objectives
    ends = [at[-1] for row in steps.values() for at, _ in row]
    first = min(at[0] for row in steps.values() for at, _ in row)
    grid = np.geomspace(max(first, 1e-3), max(ends), POINTS)
    curves = {
        name: tests.anytime(np.stack([_at(grid, at, best) for at, best in row]) * -objective.sign, objective.goal)
        for name, row in steps.items()
    }
    until = {
        name: np.array([_first(at, best <= -objective.sign * target) for at, best in row])
        for name, row in steps.items()
    }
    return ByTime(objective.goal, grid, curves, until, target)


def _steps(cell: Cell) -> tuple[FloatArray, FloatArray]:
    """When each result came, and the best at full fidelity since then, less being better; NaN before there is one."""
    record = cell.record
    order = np.argsort(record.at, kind="stable")
    return record.at[order], np.fmin.accumulate(record.points[order, 0])


def _at(grid: FloatArray, at: FloatArray, best: FloatArray) -> FloatArray:
    places = np.searchsorted(at, grid, side="right") - 1
    return np.where(places >= 0, best[places], np.nan)


def _first(at: FloatArray, reached: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> float:
    return float(at[reached.argmax()]) if reached.any() else float("inf")


def table(found: ByTime) -> list[Row]:
    """One row a strategy, the fastest first: seconds until the target."""
    rows: list[Row] = []
    for name, seconds in sorted(found.until.items(), key=lambda item: float(np.median(item[1]))):
        low, middle, high = np.quantile(seconds, [0.1, 0.5, 0.9], method="inverted_cdf")
        row: Row = {"strategy": name, "target": found.target, "reached": int(np.isfinite(seconds).sum())}
        rows.append(row | {"median_s": float(middle), "low_s": float(low), "high_s": float(high)})
    return rows


def figure(found: ByTime, quantity: str, title: str) -> Figure:
    """The best so far against seconds, medians with bands of 90 % over seeds."""
    drawn = new_figure(7.4)
    axes = drawn.add_subplot()
    for index, (name, curve) in enumerate(found.curves.items()):
        color = SERIES[index % len(SERIES)]
        axes.fill_between(found.seconds, curve.low, curve.high, step="post", color=color, alpha=0.1, linewidth=0)
        axes.step(found.seconds, curve.median, where="post", color=color, linewidth=1.8, label=name)
    axes.axhline(found.target, color=INK, linestyle=":", linewidth=1, label="target")
    axes.set_xscale("log")
    medians = np.concatenate([curve.median for curve in found.curves.values()])
    known = medians[np.isfinite(medians)]
    if len(known):
        edges = np.quantile(known, [0.2, 1] if found.goal == "maximize" else [0, 0.8])
        low, high = min(edges[0], found.target), max(edges[1], found.target)
        margin = 0.05 * (high - low) or 1.0
        axes.set_ylim(low - margin, high + margin)
    style(axes, "seconds", quantity, title)
    legend(axes)
    return drawn
