"""What a walk through the UniNAS space leaves: a table, its last genome, and figures (arXiv 2510.06035, Figure 4)."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from uninas_evo.files import write_text
from uninas_evo.pages.palette import INK, KIND_COLORS, SERIES
from uninas_evo.report.plots import new_figure, save, style
from uninas_evo.spaces.uninas import OPERATIONS, PRESETS, preset
from uninas_evo.spaces.uninas.walk import NAMES, Walk

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write(walked: Walk, out: Path) -> list[Path]:
    """Writes the records as `walk.csv`, the last genome as `end.txt`, and the figures as PNG and SVG.

    Returns:
        The paths of the table, the genome and the PNG files.
    """
    out.mkdir(parents=True, exist_ok=True)
    table, end = out / "walk.csv", out / "end.txt"
    stages = range(1, walked.counts.shape[1] + 1)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["step", "params", "flops", "nodes", *(f"{s}.{name}" for s in stages for name in NAMES)])
    sizes = np.column_stack([walked.at, walked.params, walked.flops, walked.nodes])
    flat = walked.counts.reshape(len(sizes), -1)
    writer.writerows(np.concatenate([sizes, flat], axis=1).tolist())
    write_text(table, text.getvalue())
    write_text(end, walked.end.text)
    figures = {
        "walk-size": size_figure(walked),
        "walk-shares": shares_figure(walked),
        "walk-nodes": nodes_figure(walked),
    }
    return [table, end, *(save(figure, out / name)[0] for name, figure in figures.items())]


def size_figure(walked: Walk) -> Figure:
    """FLOPs against parameters of all recorded networks, colored by step, with the presets."""
    from matplotlib.patheffects import withStroke
    from matplotlib.ticker import EngFormatter

    figure = new_figure(6.8, 4.8)
    axes = figure.add_subplot()
    dots = axes.scatter(walked.params, walked.flops, c=walked.at, s=3, cmap="cividis", linewidths=0, rasterized=True)
    bar = figure.colorbar(dots, ax=axes, format=EngFormatter(sep=" "))
    bar.set_label("step", color=INK)
    bar.ax.tick_params(colors=INK)
    for name, shape in zip(PRESETS, ("s", "^", "D", "o"), strict=True):
        own = preset(name)  # on its own skeleton, as in the paper
        axes.plot(own.params, own.flops, shape, color=SERIES[1], markeredgecolor="white", markersize=9)
        place = axes.annotate(name, (own.params, own.flops), xytext=(8, -3), textcoords="offset points", color=INK)
        place.set_path_effects([withStroke(linewidth=3, foreground="white")])
    style(axes, "params", "flops")
    return figure


def shares_figure(walked: Walk) -> Figure:
    """Left: the spread of each operation's share of the nodes; right: its mean share in each stage."""
    used = [index for index, name in enumerate(NAMES) if walked.counts[..., index].any()]
    order = sorted(used, key=lambda index: (list(KIND_COLORS).index(OPERATIONS[NAMES[index]].kind), index))[::-1]
    figure = new_figure(9, 0.27 * len(order) + 1)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    _spread(left, walked, order)
    by_stage = walked.counts.mean(axis=0)
    by_stage = 100 * by_stage / np.maximum(by_stage.sum(axis=1, keepdims=True), 1e-9)
    image = right.imshow(by_stage[:, order].T, cmap="cividis", aspect="auto", origin="lower", vmin=0)
    right.set_xticks(range(len(by_stage)), [str(stage) for stage in range(1, len(by_stage) + 1)])
    style(right, "stage", "")
    right.grid(visible=False)
    bar = figure.colorbar(image, ax=right)
    bar.set_label("mean share of the stage's nodes (%)", color=INK)
    bar.ax.tick_params(colors=INK)
    return figure


def _spread(axes: object, walked: Walk, order: list[int]) -> None:
    """Median, quartiles and 90 % range of each operation's share, in the color of its kind."""
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    low, first, middle, third, high = np.quantile(walked.shares[:, order], [0.05, 0.25, 0.5, 0.75, 0.95], axis=0)
    colors = [KIND_COLORS[OPERATIONS[NAMES[index]].kind] for index in order]
    rows = np.arange(len(order))
    axes.hlines(rows, low, high, colors=colors, linewidth=1.5)
    axes.barh(rows, third - first, left=first, height=0.55, color=colors)
    axes.plot(middle, rows, "|", color=INK, markersize=9)
    axes.set_yticks(rows, [NAMES[index] for index in order])
    style(axes, "share of all nodes (%)", "")


def nodes_figure(walked: Walk) -> Figure:
    """How the number of nodes went."""
    from matplotlib.ticker import EngFormatter

    figure = new_figure(6.4, 3.2)
    axes = figure.add_subplot()
    axes.plot(walked.at, walked.nodes, color=SERIES[0], linewidth=0.7)
    style(axes, "step", "nodes")
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.set_ylim(bottom=0)
    return figure
