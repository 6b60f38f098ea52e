"""What networks of the DARTS space cost, in closed form; neither built nor imported."""

from __future__ import annotations

from functools import lru_cache

from uninas_evo.contracts import Cost
from uninas_evo.spaces.counts import convolution, linear, norm, normed, values
from uninas_evo.spaces.darts.genome import FIRST_NODE, Cell, Genome, Place, Skeleton


def network_cost(genome: Genome) -> Cost:
    """Parameters, FLOPs and MACs of a genome's network, without the auxiliary head."""
    skeleton = genome.skeleton
    total = stem_cost(skeleton) + head_cost(skeleton)
    for place, cell in zip(skeleton.places, genome.cells, strict=True):
        total += place_cost(cell, place)
    return total


def place_cost(cell: Cell, place: Place) -> Cost:
    """A cell where it stands, with what brings its two inputs to its size."""
    first = halve_cost if place.halves else _projection_cost
    total = first(place.inputs[0], place.channels, place.side)
    total += _projection_cost(place.inputs[1], place.channels, place.side)
    return total + cell_cost(cell, place.channels, place.output_side, place.is_reduction)


def head_cost(skeleton: Skeleton) -> Cost:
    """The mean of the last map, and the classifier."""
    last = skeleton.places[-1]
    return values(last.outputs * last.output_side**2) + linear(last.outputs, skeleton.classes)


def _projection_cost(inputs: int, outputs: int, side: int) -> Cost:
    return normed(inputs, outputs, 1, side)


def stem_cost(skeleton: Skeleton) -> Cost:
    """The convolutions before the first cell."""
    channels, side = skeleton.channels, skeleton.image
    if not skeleton.is_large:
        return normed(3, 3 * channels, 3, side)
    first = normed(3, channels // 2, 3, side // 2) + normed(channels // 2, channels, 3, side // 4)
    return first + normed(channels, channels, 3, side // 8)


def halve_cost(inputs: int, outputs: int, side: int) -> Cost:
    """*Halve*: two 1x1 convolutions of stride 2 onto half of the outputs each, and a norm."""
    return convolution(inputs, outputs // 2, 1, side) + convolution(inputs, outputs // 2, 1, side) + norm(outputs, side)


@lru_cache(maxsize=4096)
def cell_cost(cell: Cell, channels: int, side: int, is_reduction: bool) -> Cost:
    """The edges of a cell and the sums at its nodes; `side` is its output's."""
    total = values(len(cell.nodes) * channels * side**2)
    for pair in cell.nodes:
        for source, operation in pair:
            stride = 2 if is_reduction and source < FIRST_NODE else 1
            total += operation_cost(operation, channels, side, stride)
    return total


@lru_cache
def operation_cost(operation: str, channels: int, side: int, stride: int) -> Cost:
    """One edge's operation onto (channels, side, side)."""
    kind, _, size = operation.rpartition("_")
    kernel = int(size[0]) if size[0].isdigit() else 0
    match kind:
        case "sep_conv":
            return _separable(channels, kernel, side) + _separable(channels, kernel, side)
        case "dil_conv":
            return _separable(channels, kernel, side)
        case "max_pool" | "avg_pool":
            return values(channels * side**2, 9)
        case "conv":
            return normed(channels, channels, kernel, side)
        case _ if operation == "identity" and stride == 2:
            return values(channels * side**2, 4)
        case _:  # skip_connect, identity, none
            return halve_cost(channels, channels, side) if stride == 2 and operation == "skip_connect" else Cost()


def _separable(channels: int, kernel: int, side: int) -> Cost:
    depthwise = convolution(channels, channels, kernel, side, groups=channels)
    return depthwise + normed(channels, channels, 1, side)


def auxiliary_cost(skeleton: Skeleton) -> Cost:
    """The auxiliary head of trainings from scratch; parameters alone, as it never runs in evaluation."""
    inputs = skeleton.nodes * 4 * skeleton.channels
    head = normed(inputs, 128, 1, 1) + normed(128, 768, 2, 1) + linear(768, skeleton.classes)
    return Cost(head.params)
