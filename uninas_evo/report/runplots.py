"""Drawings of one run: score against size, and how busy the devices were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from uninas_evo.contracts import Objective
from uninas_evo.engine.events import ResultEvent
from uninas_evo.pages.palette import DASHES, INK, SERIES, SKY
from uninas_evo.report.importance import Importance
from uninas_evo.report.plots import label, legend, new_figure, small, style
from uninas_evo.stats.fronts import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 60
"""Points in time of the curves of device use."""


def size_figure(
    costs: Mapping[str, FloatArray], values: FloatArray, objective: Objective, marks: Mapping[str, int]
) -> Figure:
    """An objective's values (T,) against each cost (T,); `marks` are rows that are ringed."""
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = new_figure(4.5 * len(costs), 3.8)
    panels = figure.subplots(1, len(costs), sharey=True, squeeze=False)[0]
    for place, (axes, (name, sizes)) in enumerate(zip(panels, costs.items(), strict=True)):
        axes.scatter(sizes, values, s=9, color=SKY, linewidths=0, label="evaluated", gid=f"dots{place}")
        for index, (mark, row) in enumerate(marks.items()):
            ring = {"facecolors": "none", "edgecolors": SERIES[(1, 2, 3)[index % 3]], "linewidths": 1.8}
            axes.scatter(sizes[row], values[row], s=110, marker="so^"[index % 3], label=mark, **ring)
        if sizes.max() > 30 * sizes.min() > 0:  # few large ones would crowd all others at the edge
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if sizes.max() < 1000 * sizes.min() else (1,)))
            axes.xaxis.set_minor_formatter(NullFormatter())  # matplotlib's own labels run into one another
        style(axes, Objective(name, "minimize", is_cost=True), "" if place else objective)
    legend(panels[0], loc="best")
    return small(figure)


def importance_figure(found: Importance, objective: Objective, most: int = 15) -> Figure:
    """The shares of the decisions that mattered most as bars, the greatest on top."""
    names = list(found.shares)[:most][::-1]
    figure = new_figure(6.4, 1.1 + 0.26 * len(names))
    axes = figure.add_subplot()
    axes.barh(names, [100 * found.shares[name] for name in names], color=SERIES[0], height=0.7)
    style(axes, f"importance for {label(objective)} (%)", "")
    axes.grid(visible=False, axis="y")
    return figure


def busy(results: Sequence[ResultEvent]) -> tuple[FloatArray, dict[str, FloatArray]]:
    """How busy each device was: the mean number of its workers that scored, in each of `BINS` spans of the run.

    Returns:
        The spans' edges in seconds (BINS + 1,), and for each device the share of its workers' time in percent (BINS,).
    """
    ends = np.array([result.measured.at for result in results])
    edges = np.linspace(0, max(float(ends.max(initial=0)), 1e-9), BINS + 1)
    found: dict[str, FloatArray] = {}
    for device in sorted({result.measured.device for result in results}):
        own = [result.measured for result in results if result.measured.device == device]
        stop = np.array([one.at for one in own])
        start = np.maximum(stop - np.array([one.seconds for one in own]), 0)
        worked = _covered(edges, start, stop)
        workers = len({one.worker for one in own})
        found[device] = np.minimum(100 * worked / (np.diff(edges) * workers), 100)
    return edges, found


def _covered(edges: FloatArray, start: FloatArray, stop: FloatArray) -> FloatArray:
    """Seconds of all spans start..stop in each bin: differences of the seconds worked before each edge."""
    before = [np.clip(edge - start, 0, stop - start).sum() for edge in edges]
    return np.diff(np.array(before))


def busy_figure(edges: FloatArray, shares: Mapping[str, FloatArray]) -> Figure:
    """The share of the workers' time that each device scored, over the run."""
    figure = new_figure(9, 2.8)
    axes = figure.add_subplot()
    for index, (device, share) in enumerate(shares.items()):
        color, dash = SERIES[index % len(SERIES)], DASHES[index // len(SERIES) % len(DASHES)]
        axes.stairs(share, edges, color=color, linestyle=dash, linewidth=1.6, label=device)
    axes.set(xlim=(0, edges[-1]), ylim=(0, 105))
    style(axes, "time since the start (s)", "busy (%)")
    if shares:
        legend(axes, loc="lower left", ncols=4)
    axes.axhline(100, color=INK, alpha=0.3, linewidth=0.6)
    return figure
