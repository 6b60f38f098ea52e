"""Pareto plots in two and three dimensions: a pure function to the data, and thin ones that draw it."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from uninas_evo.contracts import Objective
from uninas_evo.pages.palette import DASHES, INK, SERIES, SKY
from uninas_evo.report.plots import legend, new_figure, style
from uninas_evo.stats.fronts import FloatArray, IntArray, front, knee, minimized

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKERS = ("s", "^", "D", "v", "P", "X")


@dataclass(frozen=True, slots=True)
class ParetoData:
    """The points of a Pareto plot.

    Attributes:
        objectives: two or three, in the order of the axes: costs first.
        points: (T, O), in the objectives' own units.
        ids: a label for each point, (T,).
        front: indices of the non-dominated points, along the first axis.
        knee: index of the front's knee; None where nothing succeeded.
        marks: reference points by name, such as presets.
    """

    objectives: tuple[Objective, ...]
    points: FloatArray
    ids: tuple[str, ...]
    front: IntArray
    knee: int | None
    marks: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def dominated(self) -> IntArray:
        """Indices of all other points."""
        return np.setdiff1d(np.arange(len(self.points)), self.front)


def pareto_data(
    objectives: Sequence[Objective],
    points: FloatArray,
    ids: Sequence[str],
    marks: Mapping[str, Sequence[float]] | None = None,
) -> ParetoData:
    """Finds the front and the knee of points (T, O); failed ones (NaN) are left out, costs come first."""
    order = costs_first(objectives)
    objectives, points = [objectives[index] for index in order], points[:, order]
    places = {name: [mark[index] for index in order] for name, mark in (marks or {}).items()}
    known = np.flatnonzero(np.isfinite(points).all(axis=1))
    points, ids = points[known], [ids[int(index)] for index in known]
    low = minimized(points, [objective.goal for objective in objectives])
    best = front(low)
    middle = int(best[knee(low[best])]) if len(best) else None  # of equals the first that was asked, as everywhere
    best = best[np.argsort(points[best, 0], kind="stable")]
    return ParetoData(tuple(objectives), points, tuple(ids), best, middle, places)


def costs_first(objectives: Sequence[Objective]) -> list[int]:
    """The order of the axes: what a network costs along the bottom, what it gains upwards."""
    return sorted(range(len(objectives)), key=lambda index: not objectives[index].is_cost)


def pareto_figure(data: ParetoData, title: str = "", labels: bool = True) -> Figure:
    """All points of a search, its front, its knee and the reference marks; of three objectives each pair."""
    if len(data.objectives) == 2:
        return _pareto_2d(data, title, labels)
    return _pareto_pairs(data, title)


def _pareto_2d(data: ParetoData, title: str, labels: bool) -> Figure:
    figure = new_figure()
    axes = figure.add_subplot()
    _scatter(axes, data)
    edge = data.points[data.front]
    axes.plot(*_staircase(edge, data.objectives).T, color=SERIES[0], linewidth=1, alpha=0.7)
    style(axes, data.objectives[0], data.objectives[1], title)
    legend(axes, loc="best")
    if labels:
        figure.draw_without_rendering()
        for index in _apart(axes.transData.transform(edge), data):
            place: dict[str, Any] = {"xytext": (5, -2), "textcoords": "offset points", "va": "top"}
            axes.annotate(data.ids[index], data.points[index], fontsize=6.5, color=INK, **place)
    return figure


def _pareto_pairs(data: ParetoData, title: str) -> Figure:
    """A panel for each pair of three objectives: the depth of one in three dimensions cannot be read."""
    figure = new_figure(11, 3.8)
    figure.suptitle(title, color=INK, fontsize=11)
    panels = figure.subplots(1, 3)
    for panel, (axes, (x, y)) in enumerate(zip(panels, itertools.combinations(range(3), 2), strict=True)):
        _scatter(axes, data, (x, y), panel)
        style(axes, data.objectives[x], data.objectives[y])
    legend(panels[0], loc="best")
    return figure


def _scatter(axes: Any, data: ParetoData, pair: tuple[int, int] = (0, 1), panel: int = 0) -> None:
    """Dominated points small and pale, the front strong, the knee ringed, marks in black shapes."""
    points, beaten = data.points[:, pair], data.dominated
    gids = [f"dots{2 * panel + cloud}" for cloud in range(2)]  # by which a page knows what is clicked
    axes.scatter(*points[beaten].T, s=10, color=SKY, alpha=0.45, linewidths=0, label="dominated", gid=gids[0])
    axes.scatter(*points[data.front].T, s=26, color=SERIES[0], linewidths=0, label="front", gid=gids[1])
    if data.knee is not None:
        ring = points[[data.knee]].T
        axes.scatter(*ring, s=110, facecolors="none", edgecolors=SERIES[1], linewidths=1.6, label="knee")
    for index, (name, mark) in enumerate(data.marks.items()):
        shape = MARKERS[index % len(MARKERS)]
        axes.scatter(*([mark[axis]] for axis in pair), s=42, color=INK, marker=shape, linewidths=0, label=name)


def _staircase(edge: FloatArray, objectives: Sequence[Objective]) -> FloatArray:
    """The boundary of what a 2-D front (P, 2), sorted along the first axis, dominates."""
    rows = [edge[0]] if len(edge) else []
    for before, after in itertools.pairwise(edge):
        corner = (after[0], before[1]) if objectives[0].goal == "minimize" else (before[0], after[1])
        rows += [np.array(corner), after]
    return np.array(rows).reshape(-1, 2)


def _apart(pixels: FloatArray, data: ParetoData) -> list[int]:
    """Members of the front, the knee and the ends first, whose labels at (P, 2) pixels do not overlap."""
    ends = [0, len(pixels) - 1]
    first = [int(np.flatnonzero(data.front == data.knee)[0]), *ends] if len(pixels) else []
    kept: list[int] = []
    for place in [*first, *range(len(pixels))]:
        gaps = np.abs(pixels[kept] - pixels[place])
        if not ((gaps[:, 0] < 60) & (gaps[:, 1] < 11)).any():
            kept.append(place)
    return [int(data.front[place]) for place in kept]


def attainment_figure(
    surfaces: Mapping[str, FloatArray], objectives: Sequence[Objective], title: str = "", only: Collection[str] = ()
) -> Figure:
    """Median attainment surfaces (P, 2) of several strategies, in the objectives' own units; `only` as for curves."""
    figure = new_figure()
    axes = figure.add_subplot()
    order = costs_first(objectives)
    objectives = [objectives[index] for index in order]
    for index, (name, surface) in enumerate(surfaces.items()):
        if only and name not in only:
            continue
        color, dash = SERIES[index % len(SERIES)], DASHES[index // len(SERIES) % len(DASHES)]
        edge = surface[:, order]
        edge = edge[np.argsort(edge[:, 0], kind="stable")]
        steps = _staircase(edge, objectives)
        axes.plot(*steps.T, color=color, linestyle=dash, linewidth=1.8, label=name)
    style(axes, objectives[0], objectives[1], title)
    legend(axes, loc="best")
    return figure
