"""The operations of the DARTS space as layers; each takes (N, C, H, W) to (N, C, H / stride, W / stride)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class NormStyle:
    """How norms are made.

    Attributes:
        affine: with a scale and a shift a channel, as in evaluation networks; search networks have none.
        behind_pools: a norm behind each pooling, as in DARTS' search network.
    """

    affine: bool = True
    behind_pools: bool = False

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
            return nn.Identity() if stride == 1 else Halve(channels, channels, style)


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
