"""Normalizations, with a weight and a bias for each channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uninas_evo.spaces.uninas.operations.operation import Foreign, Operation, Shape, per_value

if TYPE_CHECKING:
    from torch import nn


def _batchnorm(shape: Shape, copies: int) -> nn.Module:
    from torch import nn

    return nn.BatchNorm2d(copies * shape[0])


def _layernorm(shape: Shape, copies: int) -> nn.Module:
    from uninas_evo.spaces.uninas.network.layers import ChannelNorm

    return ChannelNorm(shape[0], copies)


def _affine(c: int, _h: int, _w: int) -> int:
    return 2 * c


BATCHNORM = Operation("batchnorm", "norm", _affine, per_value(2), layer=_batchnorm, foreign=Foreign("BatchNorm"))
LAYERNORM = Operation("layernorm", "norm", _affine, per_value(2), layer=_layernorm, foreign=Foreign("LayerNorm"))
