"""The operations of the DARTS space as layers; each takes (N, C, H, W) to (N, C, H / stride, W / stride)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class NormStyle:
    """How norms are made.

    Attributes:
        affine: with a scale and a shift a channel, as in evaluation networks; search networks have none.
        behind_pools: a norm behind each pooling, as in DARTS' search network.
        partial: the operations of an edge get one of so many parts of its channels, as in PC-DARTS' search network.
        skip_dropout: the rate of a dropout behind each skip, as in P-DARTS' search network.
    """

    affine: bool = True
    behind_pools: bool = False
    partial: int = 1
    skip_dropout: float = 0.0

    def norm(self, channels: int) -> nn.BatchNorm2d:
        """A batch normalization."""
        return nn.BatchNorm2d(channels, affine=self.affine)


class Halve(nn.Module):
    """Halves the map by two 1x1 convolutions of stride 2, the second shifted by a pixel."""

    def __init__(self, inputs: int, outputs: int, style: NormStyle) -> None:
        super().__init__()
        self.even = nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False)
        self.norm = style.norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, outputs, H / 2, W / 2)."""
        x = torch.relu(x)
        return torch.as_tensor(self.norm(torch.cat([self.even(x), self.odd(x[:, :, 1:, 1:])], 1)))


class Zero(nn.Module):
    """No connection: zeros, by a product so that gradients are zeros and not missing."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Zeros of the output's shape."""
        return x[:, :, :: self.stride, :: self.stride] * 0


class Partial(nn.Module):
    """An operation on the first 1/k of the channels; the others pass by, and all are shuffled (PC-DARTS, section 3.2).

    Args:
        operation: takes C / k channels; a mixed one takes its choice too.
        parts: k.
        stride: 2 where the operation halves the map: the others go through a 2x2 max-pooling.
    """

    def __init__(self, operation: nn.Module, parts: int, stride: int) -> None:
        super().__init__()
        self.operation, self.parts = operation, parts
        self.bypass = nn.MaxPool2d(2) if stride == 2 else nn.Identity()

    def forward(self, x: Tensor, *choice: Any) -> Tensor:
        """(N, C, H, W) to (N, C, H / stride, W / stride)."""
        first = x.shape[1] // self.parts
        y = torch.cat([self.operation(x[:, :first], *choice), self.bypass(x[:, first:])], 1)
        count, channels, height, width = y.shape
        return y.view(count, self.parts, first, height, width).transpose(1, 2).reshape(count, channels, height, width)


def edge(make: Callable[[int], nn.Module], channels: int, stride: int, style: NormStyle) -> nn.Module:
    """What stands on an edge: an operation of all its channels or of a part of them.

    Args:
        make: gives the operation of so many channels.
        channels: C of the edge.
        stride: of the operation.
        style: says how many parts there are.
    """
    if style.partial == 1:
        return make(channels)
    return Partial(make(channels // style.partial), style.partial, stride)


def projection(inputs: int, outputs: int, style: NormStyle) -> nn.Sequential:
    """ReLU, 1x1 convolution, norm: brings a cell's input to its channels."""
    return nn.Sequential(nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False), style.norm(outputs))


def operation(name: str, channels: int, stride: int, style: NormStyle) -> nn.Module:
    """The layers of an operation: one of `KNOWN`."""
    kind, _, size = name.rpartition("_")
    kernel = int(size[0]) if size[0].isdigit() else 0
    match kind:
        case "max_pool" | "avg_pool":
            return _pool(kind, channels, stride, style)
        case "sep_conv":
            first = _depthwise(channels, kernel, stride, 1, style)
            return nn.Sequential(*first, *_depthwise(channels, kernel, 1, 1, style))
        case "dil_conv":
            return nn.Sequential(*_depthwise(channels, kernel, stride, 2, style))
        case "conv":
            convolution = nn.Conv2d(channels, channels, kernel, stride, kernel // 2, bias=False)
            return nn.Sequential(nn.ReLU(), convolution, style.norm(channels))
        case _ if name == "none":
            return Zero(stride)
        case _ if name == "identity" and stride == 2:
            return nn.AvgPool2d(2)
        case _:
            skip = nn.Identity() if stride == 1 else Halve(channels, channels, style)
            return nn.Sequential(skip, nn.Dropout(style.skip_dropout)) if style.skip_dropout else skip


def _pool(kind: str, channels: int, stride: int, style: NormStyle) -> nn.Module:
    pool: nn.Module = nn.MaxPool2d(3, stride, padding=1)
    if kind == "avg_pool":
        pool = nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
    return nn.Sequential(pool, style.norm(channels)) if style.behind_pools else pool


def _depthwise(channels: int, kernel: int, stride: int, dilation: int, style: NormStyle) -> list[nn.Module]:
    """ReLU, depthwise and 1x1 convolution, norm; no ReLU is in place, as an input feeds several edges."""
    padding = kernel // 2 * dilation
    depthwise = nn.Conv2d(channels, channels, kernel, stride, padding, dilation, channels, bias=False)
    return [nn.ReLU(), depthwise, nn.Conv2d(channels, channels, 1, bias=False), style.norm(channels)]
