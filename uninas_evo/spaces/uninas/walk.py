"""The walk through the space: search steps without a score, and what they visit (arXiv 2510.06035, Figures 1 and 4).

A step is one attempt of the paper's Algorithm 1; where the drawn change is not feasible, the walk stays where it is.
Memory is bounded: at most `RECORDS` steps, evenly spread, are recorded, whatever the walk's length.
"""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from uninas_evo.draw.svg import COLORS
from uninas_evo.report.plots import INK, PALETTE, new_figure, save, style
from uninas_evo.spaces.uninas import OPERATIONS, PRESETS, Chain, Genome, UninasSpace, preset, step, walk_nodes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RECORDS = 10_000
"""Most steps that are recorded: enough for any figure, and a few megabytes."""
NAMES = tuple(OPERATIONS)
_INDEX = {name: index for index, name in enumerate(NAMES)}

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Walk:
    """What a walk visited; R records.

    Attributes:
        space: where it walked.
        steps: attempts.
        accepted: attempts that changed the network.
        at: the steps that were recorded, (R,); 0 is the start.
        params: parameters there, (R,).
        flops: FLOPs there, (R,).
        nodes: nodes there, (R,).
        counts: nodes of each operation (`NAMES`) in each stage, (R, stages, operations).
        end: the last genome.
    """

    space: UninasSpace
    steps: int
    accepted: int
    at: Ints
    params: Ints
    flops: Ints
    nodes: Ints
    counts: npt.NDArray[np.int32]
    end: Genome

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """Each operation's share of all nodes in percent, (R, operations)."""
        total = self.counts.sum(axis=1)
        return np.asarray(100 * total / np.maximum(total.sum(axis=1, keepdims=True), 1), float)


def walk(space: UninasSpace, steps: int, seed: int) -> Walk:
    """Walks from the space's start.

    Args:
        space: start, budget and rule.
        steps: attempts, at least 1.
        seed: of all draws.
    """
    rng, genome, budget, rule = random.Random(seed), space.start, space.budget, space.rule
    stride = max(1, -(-steps // RECORDS))
    records = 1 + steps // stride
    sizes = np.empty((records, 4), np.int64)
    counter = _Counter(genome)
    counts = np.empty((records, *counter.shape), np.int32)
    accepted = row = 0
    for number in range(steps + 1):
        if number % stride == 0:
            sizes[row] = number, genome.params, genome.flops, len(genome)
            counts[row] = counter.count(genome)
            row += 1
        if number < steps:
            new = step(genome, budget, rule, rng)
            if new is not None:
                genome = new
                accepted += 1
    at, params, flops, nodes = sizes.T
    return Walk(space, steps, accepted, at, params, flops, nodes, counts, genome)


class _Counter:
    """Counts operations by stage; chains that did not change since the last count are not counted again."""

    def __init__(self, start: Genome) -> None:
        self.stages = np.repeat([stage for stage, _ in start.skeleton.blocks], 2)
        self.shape = (len(start.skeleton.channels), len(NAMES))
        self.chains: list[Chain | None] = [None] * len(start.chains)
        self.rows = np.zeros((len(start.chains), len(NAMES)), np.int32)

    def count(self, genome: Genome) -> npt.NDArray[np.int32]:
        for index, chain in enumerate(genome.chains):
            if chain is not self.chains[index]:
                self.chains[index] = chain
                found = [_INDEX[node.operation.name] for node, _ in walk_nodes(chain)]
                self.rows[index] = np.bincount(found, minlength=len(NAMES))
        total = np.zeros(self.shape, np.int32)
        np.add.at(total, self.stages, self.rows)
        return total


def summary(walked: Walk) -> dict[str, float]:
    """How the walk behaved: medians over its second half, and where it ended."""
    half = len(walked.at) // 2
    return {
        "eliminate": walked.space.rule.eliminate,
        "max_nodes": walked.space.rule.max_nodes,
        "steps": walked.steps,
        "accepted": round(walked.accepted / walked.steps, 4),
        "median_nodes": float(np.median(walked.nodes[half:])),
        "median_params": float(np.median(walked.params[half:])),
        "median_flops": float(np.median(walked.flops[half:])),
        "end_nodes": int(walked.nodes[-1]),
        "largest_block": max(
            a.size + b.size for a, b in zip(walked.end.chains[::2], walked.end.chains[1::2], strict=True)
        ),
        "operations": int((walked.counts[-1].sum(axis=0) > 0).sum()),
    }


def write(walked: Walk, out: Path) -> list[Path]:
    """Writes the records as `walk.csv`, the last genome as `end.txt`, and the figures as PNG and SVG.

    Returns:
        The paths of the table, the genome and the PNG files.
    """
    out.mkdir(parents=True, exist_ok=True)
    table, end = out / "walk.csv", out / "end.txt"
    stages = range(1, walked.counts.shape[1] + 1)
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "params", "flops", "nodes", *(f"{s}.{name}" for s in stages for name in NAMES)])
        sizes = np.column_stack([walked.at, walked.params, walked.flops, walked.nodes])
        flat = walked.counts.reshape(len(sizes), -1)
        writer.writerows(np.concatenate([sizes, flat], axis=1).tolist())
    end.write_text(walked.end.text, encoding="utf-8")
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
        axes.plot(own.params, own.flops, shape, color=PALETTE[1], markeredgecolor="white", markersize=9)
        place = axes.annotate(name, (own.params, own.flops), xytext=(8, -3), textcoords="offset points", color=INK)
        place.set_path_effects([withStroke(linewidth=3, foreground="white")])
    style(axes, "params", "flops")
    return figure


def shares_figure(walked: Walk) -> Figure:
    """Left: the spread of each operation's share of the nodes; right: its mean share in each stage."""
    used = [index for index, name in enumerate(NAMES) if walked.counts[..., index].any()]
    order = sorted(used, key=lambda index: (list(COLORS).index(OPERATIONS[NAMES[index]].kind), index))[::-1]
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
    colors = [COLORS[OPERATIONS[NAMES[index]].kind] for index in order]
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
    axes.plot(walked.at, walked.nodes, color=PALETTE[0], linewidth=0.7)
    style(axes, "step", "nodes")
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.set_ylim(bottom=0)
    return figure
