"""Attention: a projection, and heads of width 32 with chains of their own; and its relative position biases."""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING

from uninas_evo.contracts import Cost
from uninas_evo.spaces.uninas.operations.operation import Foreign, Operation, Shape, per_value

if TYPE_CHECKING:
    from torch import nn

HEAD_WIDTH = 32
"""Channels of one attention head (Table I)."""
HEAD_CHAINS = ("q", "k", "v", "scores", "out")
"""The chains of one attention head, in the order in which a node stores them."""


def projection_cost(c: int, h: int, w: int) -> Cost:
    """The 1×1 convolution C → 3C to queries, keys and values, with its biases."""
    return Cost(3 * c * c + 3 * c, 6 * c * c * h * w)


def product_cost(h: int, w: int) -> Cost:
    """One of a head's two matrix products: queries with keys, or scores with values."""
    return Cost(0, 2 * HEAD_WIDTH * (h * w) ** 2)


def _flops(c: int, h: int, w: int) -> int:
    return projection_cost(c, h, w).flops + c // HEAD_WIDTH * 2 * product_cost(h, w).flops


def _head_shapes(shape: Shape) -> tuple[Shape, ...]:
    _, h, w = shape
    values, scores = (HEAD_WIDTH, h, w), (1, h * w, h * w)
    return values, values, values, scores, values


def _is_square_of_squares(shape: Shape) -> bool:
    _, h, w = shape
    return h == w and isqrt(h) ** 2 == h


def _relposbias(shape: Shape, copies: int) -> nn.Module:
    from uninas_evo.spaces.uninas.network.layers import RelPosBias

    return RelPosBias(isqrt(shape[1]), copies)


RELPOSBIAS = Operation(
    "relposbias",
    "attention",
    lambda c, h, w: (2 * isqrt(h) - 1) * (2 * isqrt(w) - 1),
    per_value(1),
    rule="H = W and sqrt(H) an integer",
    admits=_is_square_of_squares,
    layer=_relposbias,
    foreign=Foreign("RelPosBias"),
)
ATTENTION = Operation(
    "attention",
    "attention",
    lambda c, h, w: projection_cost(c, h, w).params,
    _flops,
    rule=f"C divisible by {HEAD_WIDTH}",
    admits=lambda s: s[0] % HEAD_WIDTH == 0,
    branches=_head_shapes,
    foreign=Foreign("ForkMergeAttention"),
)
