"""Parameters, published FLOPs and FLOPs of every part, in closed form.

Published FLOPs are what the paper prints: multiply-accumulates of convolutions, linear layers and both products of
attention, 2 a value of batch norm, 5 of layer norm, 1 of global average pooling. FLOPs count 2 a multiply-accumulate,
2 a normalized value, 3 a value of GELU, sigmoid and hard sigmoid, 1 of ReLU, 3n − 1 a softmax over n, 9 an output of
3×3 max pooling, 1 a value of global pooling, residual additions and products; nothing for biases.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import prod
from typing import NamedTuple

from uninas_evo.contracts import Cost
from uninas_evo.spaces.uninet.genome import Genome, Skeleton, Stage
from uninas_evo.spaces.uninet.widths import squeeze_width, token_width

Size = tuple[int, int]
"""Height and width of a map."""
PUBLISHED = "published_flops"
"""Name of the cost that the paper prints."""


class Amounts(NamedTuple):
    """What a part costs."""

    params: int
    published: int
    flops: int

    def times(self, count: int) -> Amounts:
        """What equal parts cost."""
        return Amounts(count * self.params, count * self.published, count * self.flops)

    @property
    def cost(self) -> Cost:
        """As the framework's cost."""
        return Cost(self.params, self.flops, ((PUBLISHED, self.published),))


def stem(skeleton: Skeleton, size: Size) -> Amounts:
    """3×3 convolution, batch norm, GELU, onto a map of this size."""
    s, area = skeleton.stem, prod(size)
    return Amounts(29 * s, 29 * s * area, 59 * s * area)


def head(channels: int, skeleton: Skeleton) -> Amounts:
    """1×1 convolution, batch norm, GELU, global average, classifier."""
    c, m, classes, area = channels, skeleton.head, skeleton.classes, skeleton.sides[-1] ** 2
    return Amounts(
        c * m + 2 * m + (m + 1) * classes,
        area * (c * m + 3 * m) + m * classes,
        area * (2 * c * m + 6 * m) + 2 * m * classes,
    )


def convolution(c: int, e: int, size: Size, *, dense: bool) -> Amounts:
    """A block of DWConv, or of Conv where the 3×3 convolution is dense."""
    h, area = e * c, prod(size)
    k, q = 9 * h if dense else 9, squeeze_width(e * c)
    if e == 1:
        return Amounts(
            c * c + (k + 6) * c + 2 * c * q + q,
            area * (c * c + (k + 5) * c) + 2 * c * q,
            area * (2 * c * c + (2 * k + 10) * c) + 4 * c * q + q + 3 * c,
        )
    return Amounts(
        2 * c * h + (k + 5) * h + 2 * h * q + q + 5 * c,
        area * (2 * c * h + (k + 5) * h + 4 * c) + 2 * h * q,
        area * (4 * c * h + (2 * k + 12) * h + 5 * c) + 4 * h * q + q + 3 * h,
    )


def widening(a: int, c: int, size: Size) -> Amounts:
    """A DWConv block without expansion that changes a channels into c, with its shortcut."""
    area, q = prod(size), squeeze_width(a)
    return Amounts(
        2 * a * c + 12 * a + 4 * c + 2 * a * q + q,
        area * (2 * a * c + 12 * a + 2 * c) + 2 * a * q,
        area * (4 * a * c + 34 * a + 3 * c) + 4 * a * q + q + 3 * a,
    )


def attention(c: int, e: int, size: Size, window: int | None, heads: int) -> Amounts:
    """A block of SA (no window) or LSA."""
    area = prod(size)
    sides = (window, window) if window else size
    keys = prod(sides)
    queries = prod(-(-side // m) * m for side, m in zip(size, sides, strict=True))  # padded up to whole windows
    return Amounts(
        (4 + 2 * e) * c * c + (21 + e) * c,
        area * (2 * e * c * c + 19 * c) + queries * (4 * c * c + 2 * keys * c),
        area * (4 * e * c * c + (27 + 3 * e) * c) + queries * (8 * c * c + 4 * keys * c + c // heads * (3 * keys - 1)),
    )


def mixer(c: int, e: int, size: Size, side: int) -> Amounts:
    """A block of MLP: one over positions, one over channels; its weights are made for a map of side `side`."""
    area, t, own = prod(size), token_width(c), side**2
    return Amounts(
        2 * own * t + t + own + 2 * e * c * c + (7 + e) * c,
        area * (2 * e * c * c + 2 * t * c + 10 * c),
        area * (4 * e * c * c + 4 * t * c + (8 + 3 * e) * c) + 3 * t * c,
    )


def block(stage: Stage, size: Size, side: int, heads: int, window: int) -> Amounts:
    """One block of a stage on a map of this size, in a genome made for maps of side `side`."""
    c, e = stage.channels, stage.expansion
    match stage.operator:
        case "SA":
            return attention(c, e, size, None, heads)
        case "LSA":
            return attention(c, e, size, min(window, *size), heads)
        case "MLP":
            return mixer(c, e, size, side)
        case operator:
            return convolution(c, e, size, dense=operator == "Conv")


def module(kind: str, ci: int, co: int, stride: int, size: Size, heads: int) -> Amounts:
    """A downsampling module from ci to co channels; `size` is that of its input."""
    area, small = prod(size), prod(halved(size, stride))
    pooling = 9 * ci if stride > 1 else 0
    if kind == "L":
        return Amounts(
            2 * ci * co + 12 * ci + 2 * co,
            small * (2 * ci * co + 11 * ci),
            small * (4 * ci * co + 20 * ci + co + pooling),
        )
    taps = 9 if kind == "LG" else 3
    return Amounts(
        4 * ci * co + co * co + (taps + 5) * ci + 7 * co,
        small * (2 * ci * co + (taps + 2) * ci + 5 * co + co * co)
        + area * (2 * ci * co + 5 * ci)
        + 2 * area * small * co,
        small * (4 * ci * co + (2 * taps + 2) * ci + 3 * co + 2 * co * co + pooling + co // heads * (3 * area - 1))
        + area * (4 * ci * co + 2 * ci)
        + 4 * area * small * co,
    )


def halved(size: Size, stride: int) -> Size:
    """The size of a map after a stride, rounded up as padded convolutions do."""
    return -(-size[0] // stride), -(-size[1] // stride)


def fixed_stage(skeleton: Skeleton, size: Size) -> Amounts:
    """The DWConv blocks without expansion before the first stage; nothing where there is none."""
    if skeleton.first is None:
        return Amounts(0, 0, 0)
    (c, repeats), a = skeleton.first, skeleton.stem
    same = convolution(c, 1, size, dense=False)
    return same.times(repeats) if a == c else total(widening(a, c, size), same.times(repeats - 1))


def total(*parts: Amounts) -> Amounts:
    """The sum of parts."""
    return Amounts(*map(sum, zip(*parts, strict=True)))


@lru_cache(maxsize=100_000)  # a search meets few different stages, and fitting to a budget asks for them often
def stage_cost(stage: Stage, ci: int, stride: int, size: Size, side: int, heads: int, window: int) -> Amounts:
    """A stage's module and blocks; `size` and `ci` are those of the map that comes in, `side` the genome's for it."""
    blocks = block(stage, halved(size, stride), side // stride, heads, window).times(stage.repeats)
    return total(module(stage.module, ci, stage.channels, stride, size, heads), blocks)


@lru_cache(maxsize=1000)
def skeleton_cost(skeleton: Skeleton, channels: int) -> Amounts:
    """Stem, fixed stage and the head behind this many channels."""
    size = (skeleton.sides[0],) * 2
    return total(stem(skeleton, size), fixed_stage(skeleton, size), head(channels, skeleton))


def genome_cost(genome: Genome) -> Cost:
    """All costs of a network."""
    side = genome.skeleton.sides[0]
    skeleton = skeleton_cost(genome.skeleton, genome.stages[-1].channels)
    return total(skeleton, *_stages(genome, (side, side))).cost


def backbone_cost(genome: Genome, height: int, width: int) -> Cost:
    """All costs of `forward_features`, everything but the head, for images of any height and width in pixels."""
    s = genome.skeleton
    size = halved((height, width), s.stem_stride)
    return total(stem(s, size), fixed_stage(s, size), *_stages(genome, size)).cost


def _stages(genome: Genome, size: Size) -> Iterator[Amounts]:
    """The stages behind a stem's map of a size."""
    s = genome.skeleton
    for stage, ci, stride, side in zip(genome.stages, genome.inputs, s.strides, s.sides, strict=False):
        yield stage_cost(stage, ci, stride, size, side, s.heads, s.window)
        size = halved(size, stride)
