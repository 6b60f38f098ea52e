"""Activations: functions of single values or rows, without parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uninas_evo.spaces.uninas.operations.operation import Foreign, Operation, Shape, per_value

if TYPE_CHECKING:
    from torch import nn


def _softmax(_shape: Shape, _copies: int) -> nn.Module:
    from torch import nn

    return nn.Softmax(dim=-1)


def _sigmoid(_shape: Shape, _copies: int) -> nn.Module:
    from torch import nn

    return nn.Sigmoid()


def _gelu(_shape: Shape, _copies: int) -> nn.Module:
    from torch import nn

    return nn.GELU()


def _dropout(_shape: Shape, _copies: int) -> nn.Module:
    from torch import nn

    return nn.Dropout(0.5)


SOFTMAX = Operation(
    "softmax", "activation", flops=lambda c, h, w: c * h * (3 * w - 1), layer=_softmax, foreign=Foreign("Softmax")
)
SIGMOID = Operation("sigmoid", "activation", flops=per_value(3), layer=_sigmoid, foreign=Foreign("Sigmoid"))
GELU = Operation("gelu", "activation", flops=per_value(3), layer=_gelu, foreign=Foreign("GELU"))
DROPOUT = Operation("dropout", "activation", flops=per_value(1), layer=_dropout, foreign=Foreign("Dropout"))
