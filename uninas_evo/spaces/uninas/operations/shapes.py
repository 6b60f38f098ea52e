"""What selects, splits, copies or pools values, and the zero."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from uninas_evo.contracts import Cost
from uninas_evo.spaces.uninas.operations.operation import Foreign, Operation, Shape, per_value

if TYPE_CHECKING:
    from torch import nn


def _maxpool(_shape: Shape, _copies: int) -> nn.Module:
    from torch import nn

    return nn.MaxPool2d(3, stride=1, padding=1)


def _mask(_shape: Shape, _copies: int) -> nn.Module:
    from uninas_evo.spaces.uninas.network.layers import Mask

    return Mask()


def _zero(_shape: Shape, _copies: int) -> nn.Module:
    from uninas_evo.spaces.uninas.network.pairs import Zero

    return Zero()


MAXPOOL = Operation("maxpool", "shape", flops=per_value(9), layer=_maxpool, foreign=Foreign("MaxPool"))
MASK = Operation("mask", "shape", flops=per_value(1), layer=_mask, foreign=Foreign("Mask"))
ZERO = Operation("zero", "shape", layer=_zero, foreign=Foreign("Zero"), addable=False)


def _fork(opening: str, closing: str, count: int = 2) -> Foreign:
    return Foreign("ForkMerge", {"branches_count": count, "fork_merge_tuple": [opening, closing]})


def _chunk(_shape: Shape, branches: Sequence[Any], copies: int, _conv1: Any) -> nn.Module:
    from uninas_evo.spaces.uninas.network.pairs import Chunk

    return Chunk(branches, copies)


def _copy_add(_shape: Shape, branches: Sequence[Any], _copies: int, _conv1: Any) -> nn.Module:
    from uninas_evo.spaces.uninas.network.pairs import CopyAdd

    return CopyAdd(branches)


def _copy_multiply(_shape: Shape, branches: Sequence[Any], _copies: int, _conv1: Any) -> nn.Module:
    from uninas_evo.spaces.uninas.network.pairs import CopyMultiply

    return CopyMultiply(*branches)


def _global_avg(_shape: Shape, branches: Sequence[Any], _copies: int, _conv1: Any) -> nn.Module:
    from uninas_evo.spaces.uninas.network.pairs import GlobalAvg

    return GlobalAvg(branches[0])


def _parts(count: int) -> Callable[[Shape], tuple[Shape, ...]]:
    return lambda s: ((s[0] // count, s[1], s[2]),) * count


CHUNK2 = Operation(
    "chunk2",
    "shape",
    rule="C divisible by 2",
    admits=lambda s: s[0] % 2 == 0,
    branches=_parts(2),
    couple=_chunk,
    halves=("chunk2", "concat2"),
    foreign=_fork("chunk", "concat"),
)
CHUNK3 = Operation(
    "chunk3",
    "shape",
    rule="C divisible by 3",
    admits=lambda s: s[0] % 3 == 0,
    branches=_parts(3),
    couple=_chunk,
    halves=("chunk3", "concat3"),
    foreign=_fork("chunk", "concat", 3),
)
COPY_ADD = Operation(
    "copy_add",
    "shape",
    flops=per_value(1),
    branches=lambda s: (s, s),
    couple=_copy_add,
    halves=("copy", "add"),
    commutes=True,
    foreign=_fork("copy", "add"),
)
COPY_MULTIPLY = Operation(
    "copy_multiply",
    "shape",
    flops=per_value(4),
    branches=lambda s: (s, s),
    couple=_copy_multiply,
    halves=("copy", "multiply"),
    foreign=_fork("copy", "multiply"),
)
GLOBAL_AVG = Operation(
    "global_avg",
    "shape",
    flops=per_value(1),
    branches=lambda s: ((s[0], 1, 1),),
    couple=_global_avg,
    halves=("global_avg", "upsample"),
    opening=lambda c, h, w: Cost(0, c * h * w),
    foreign=Foreign("AvgAndUpsample"),
)
