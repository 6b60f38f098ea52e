"""The walk through the space: search steps without a score, and what they visit (arXiv 2510.06035, Figures 1 and 4).

A step is one attempt of the paper's Algorithm 1; where the drawn change is not feasible, the walk stays where it is.
Memory is bounded: at most `RECORDS` steps, evenly spread, are recorded, whatever the walk's length.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uninas_evo.spaces.uninas import OPERATIONS, Chain, Genome, UninasSpace, step, walk_nodes

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
