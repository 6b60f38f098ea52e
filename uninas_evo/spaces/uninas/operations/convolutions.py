"""Convolutions, and the coupled pairs of two 1×1 convolutions that widen or narrow a chain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from uninas_evo.contracts import Cost
from uninas_evo.spaces.uninas.operations.operation import Foreign, Operation, Shape, per_value

if TYPE_CHECKING:
    from torch import nn


def _conv1(shape: Shape, copies: int) -> nn.Module:
    from torch import nn

    total = copies * shape[0]
    return nn.Conv2d(total, total, 1, groups=copies)


def _conv3(shape: Shape, copies: int) -> nn.Module:
    from torch import nn

    total = copies * shape[0]
    return nn.Conv2d(total, total, 3, padding=1, groups=copies)


def _dw3(shape: Shape, copies: int) -> nn.Module:
    from torch import nn

    total = copies * shape[0]
    return nn.Conv2d(total, total, 3, padding=1, groups=total, bias=False)


def _dw5(shape: Shape, copies: int) -> nn.Module:
    from uninas_evo.spaces.uninas.network.layers import Depthwise5

    return Depthwise5(copies * shape[0])


CONV1 = Operation(
    "conv1",
    "convolution",
    lambda c, h, w: c * (c + 1),
    lambda c, h, w: 2 * c * c * h * w,
    layer=_conv1,
    foreign=Foreign("Conv1"),
)
CONV3 = Operation(
    "conv3",
    "convolution",
    lambda c, h, w: c * (9 * c + 1),
    lambda c, h, w: 18 * c * c * h * w,
    layer=_conv3,
    foreign=Foreign("Conv3"),
)
DW3 = Operation("dw3", "convolution", lambda c, h, w: 9 * c, per_value(18), layer=_dw3, foreign=Foreign("ConvDepth3"))
DW5 = Operation("dw5", "convolution", lambda c, h, w: 25 * c, per_value(50), layer=_dw5, foreign=Foreign("ConvDepth5"))


def _expanded(shape: Shape) -> Shape:
    return 4 * shape[0], *shape[1:]


def _reduced(shape: Shape) -> Shape:
    return shape[0] // 4, *shape[1:]


def _resize(inner: Callable[[Shape], Shape]) -> Callable[[Shape, Sequence[Any], int, Any], nn.Module]:
    def couple(
        shape: Shape, branches: Sequence[Any], _copies: int, conv1: Callable[[int, int, str], nn.Conv2d]
    ) -> nn.Module:
        from uninas_evo.spaces.uninas.network.pairs import Resize

        c, inside = shape[0], inner(shape)[0]
        return Resize(conv1(c, inside, "opening"), branches[0], conv1(inside, c, "closing"))

    return couple


_FOUR = {"factor": 4, "scheme": "kaiming_normal"}

CONV_EXP4 = Operation(
    "conv_exp4",
    "convolution",
    lambda c, h, w: c * (8 * c + 5),
    lambda c, h, w: 16 * c * c * h * w,
    branches=lambda s: (_expanded(s),),
    couple=_resize(_expanded),
    halves=("conv_exp4", "conv_red4"),
    opening=lambda c, h, w: Cost(4 * c * (c + 1), 8 * c * c * h * w),
    foreign=Foreign("ExpandAndReduce", _FOUR),
)
CONV_RED4 = Operation(
    "conv_red4",
    "convolution",
    lambda c, h, w: c // 4 * (2 * c + 5),
    lambda c, h, w: c * c * h * w,
    rule="C divisible by 4",
    admits=lambda s: s[0] % 4 == 0,
    branches=lambda s: (_reduced(s),),
    couple=_resize(_reduced),
    halves=("conv_red4", "conv_exp4"),
    opening=lambda c, h, w: Cost(c // 4 * (c + 1), c * c * h * w // 2),
    foreign=Foreign("ReduceAndExpand", _FOUR),
)
