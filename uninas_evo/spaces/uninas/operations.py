"""The operations and coupled pairs of the UniNAS space (Tybl & Neumann, arXiv 2510.06035, Table I).

All costs are closed formulas of the input shape (C, H, W). FLOPs count every multiplication and addition of one
image; parameters are counted with their biases.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt

Shape = tuple[int, int, int]
"""Channels, height, width."""

HEAD_WIDTH = 32
"""Channels of one attention head (Table I)."""
HEAD_CHAINS = ("q", "k", "v", "scores", "out")
"""The chains of one attention head, in the order in which a node stores them."""


def _free(_c: int, _h: int, _w: int) -> int:
    return 0


def _per_value(factor: int) -> Callable[[int, int, int], int]:
    return lambda c, h, w: factor * c * h * w


def _is_square_of_squares(shape: Shape) -> bool:
    _, h, w = shape
    return h == w and isqrt(h) ** 2 == h


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One row of Table I.

    Attributes:
        name: the word used in texts.
        kind: "convolution", "attention", "norm", "activation" or "shape", for drawings and statistics.
        params: parameters as a function of (C, H, W).
        flops: FLOPs as a function of (C, H, W), its branches excluded.
        rule: what a shape must satisfy, in words; empty when every shape is admitted.
        admits: whether a shape satisfies the rule.
        branches: shapes of the branches of a coupled pair; None for an elementary operation. For attention, the
            shapes of the five chains of one head.
        addable: whether the search step may add it.
    """

    name: str
    kind: str
    params: Callable[[int, int, int], int] = _free
    flops: Callable[[int, int, int], int] = _free
    rule: str = ""
    admits: Callable[[Shape], bool] = lambda _shape: True
    branches: Callable[[Shape], tuple[Shape, ...]] | None = None
    addable: bool = True

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> str | tuple[object, ...]:
        return _by_name, (self.name,)  # one object a name in every process


def _chunks(count: int) -> Callable[[Shape], tuple[Shape, ...]]:
    return lambda s: ((s[0] // count, s[1], s[2]),) * count


def _head_shapes(shape: Shape) -> tuple[Shape, ...]:
    _, h, w = shape
    values, scores = (HEAD_WIDTH, h, w), (1, h * w, h * w)
    return values, values, values, scores, values


_ALL = (
    Operation("softmax", "activation", flops=lambda c, h, w: c * h * (3 * w - 1)),
    Operation("sigmoid", "activation", flops=_per_value(3)),
    Operation("gelu", "activation", flops=_per_value(3)),
    Operation("dropout", "activation", flops=_per_value(1)),
    Operation("maxpool", "shape", flops=_per_value(9)),
    Operation("mask", "shape", flops=_per_value(1)),
    Operation("batchnorm", "norm", lambda c, h, w: 2 * c, _per_value(2)),
    Operation("layernorm", "norm", lambda c, h, w: 2 * c, _per_value(2)),
    Operation("conv1", "convolution", lambda c, h, w: c * (c + 1), lambda c, h, w: 2 * c * c * h * w),
    Operation("conv3", "convolution", lambda c, h, w: c * (9 * c + 1), lambda c, h, w: 18 * c * c * h * w),
    Operation("dw3", "convolution", lambda c, h, w: 9 * c, _per_value(18)),
    Operation("dw5", "convolution", lambda c, h, w: 25 * c, _per_value(50)),
    Operation(
        "relposbias",
        "attention",
        lambda c, h, w: (2 * isqrt(h) - 1) * (2 * isqrt(w) - 1),
        _per_value(1),
        rule="H = W and sqrt(H) an integer",
        admits=_is_square_of_squares,
    ),
    Operation("zero", "shape", addable=False),
    Operation(
        "chunk2",
        "shape",
        rule="C divisible by 2",
        admits=lambda s: s[0] % 2 == 0,
        branches=_chunks(2),
    ),
    Operation(
        "chunk3",
        "shape",
        rule="C divisible by 3",
        admits=lambda s: s[0] % 3 == 0,
        branches=_chunks(3),
    ),
    Operation("copy_add", "shape", flops=_per_value(1), branches=lambda s: (s, s)),
    Operation("copy_multiply", "shape", flops=_per_value(4), branches=lambda s: (s, s)),
    Operation(
        "conv_exp4",
        "convolution",
        lambda c, h, w: c * (8 * c + 5),
        lambda c, h, w: 16 * c * c * h * w,
        branches=lambda s: ((4 * s[0], s[1], s[2]),),
    ),
    Operation(
        "conv_red4",
        "convolution",
        lambda c, h, w: c // 4 * (2 * c + 5),
        lambda c, h, w: c * c * h * w,
        rule="C divisible by 4",
        admits=lambda s: s[0] % 4 == 0,
        branches=lambda s: ((s[0] // 4, s[1], s[2]),),
    ),
    Operation("global_avg", "shape", flops=_per_value(1), branches=lambda s: ((s[0], 1, 1),)),
    Operation(
        "attention",
        "attention",
        lambda c, h, w: 3 * c * c + 3 * c,
        lambda c, h, w: 6 * c * c * h * w + c // HEAD_WIDTH * 128 * (h * w) ** 2,
        rule=f"C divisible by {HEAD_WIDTH}",
        admits=lambda s: s[0] % HEAD_WIDTH == 0,
        branches=_head_shapes,
    ),
)

OPERATIONS: dict[str, Operation] = {operation.name: operation for operation in _ALL}
"""Every operation by its name, in the order of the documentation's table."""
ADDABLE: tuple[str, ...] = tuple(name for name, operation in OPERATIONS.items() if operation.addable)
"""The names that the search step may add."""


def _by_name(name: str) -> Operation:
    return OPERATIONS[name]
