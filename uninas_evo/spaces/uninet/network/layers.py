"""Layers that operators and modules share: squeeze-and-excitation, LayerScale, attention, feed-forward network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from uninas_evo.spaces.uninet.widths import squeeze_width

LAYER_SCALE = 1e-6
"""Where γ starts in training: every block begins as the identity (the authors' code)."""


class LayerScale(nn.Module):
    """One factor γ a channel: (N, ..., C) to the same.

    Attributes:
        weight: (C,).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), LAYER_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        """Scales every channel."""
        return x * self.weight

    def tap(self, x: Tensor, _name: str, index: Tensor) -> Callable[[Tensor], Tensor]:
        """Derivatives of a proxy by entries of `weight` (see `uninas_evo.proxies.taps`)."""
        tangent = x[..., index]
        return lambda gradient: (gradient[..., index] * tangent).flatten(1, -2).sum(1)


class SqueezeExcite(nn.Module):
    """x · hard_sigmoid(W₂ relu(W₁ mean(x))): (N, C, H, W) to the same; C is the expanded width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = squeeze_width(channels)
        self.squeeze = nn.Conv2d(channels, inner, 1)
        self.activation = nn.ReLU()
        self.excite = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Weighs every channel by what the whole map says."""
        # `mean` has the same values, but its derivative divides a whole map, which takes 5 % of a network's time.
        mean = x.sum((2, 3), keepdim=True) / (x.shape[2] * x.shape[3])
        weights = self.excite(self.activation(self.squeeze(mean)))
        return torch.mul(x, functional.relu6(weights + 3) / 6)  # torch's own hard sigmoid has no second derivative


class Attention(nn.Module):
    """softmax(q·kᵀ / √d)·v in heads of d channels, over all positions or inside windows: (N, H, W, C) to the same.

    Attributes:
        window: side of the windows; None for all positions.
    """

    def __init__(self, channels: int, head_width: int, window: int | None) -> None:
        super().__init__()
        self.head_width = head_width
        self.window = window
        self.project = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Projects before the windows are cut and after they are joined, so that the first dimension stays N.

        The map is padded by zeros on the right and below to whole windows, without a mask, and cropped after the
        projection (the backbones of the same group).
        """
        _, h, w, _ = x.shape
        if self.window is None:
            q, k, v = self.project(x).flatten(1, 2).chunk(3, 2)
            whole: Tensor = self.out(attend(q, k, v, self.head_width))
            return whole.reshape(x.shape)
        m = min(self.window, h, w)
        x = self.project(functional.pad(x, (0, 0, 0, -w % m, 0, -h % m)))
        n, high, wide, c = x.shape
        cut = x.reshape(n, high // m, m, wide // m, m, c).transpose(2, 3).reshape(-1, m * m, c)
        q, k, v = cut.chunk(3, 2)
        done = attend(q, k, v, self.head_width)
        joined = done.reshape(n, high // m, wide // m, m, m, c // 3).transpose(2, 3).reshape(n, high, wide, c // 3)
        y: Tensor = self.out(joined)
        return y[:, :h, :w]


def attend(q: Tensor, k: Tensor, v: Tensor, head_width: int) -> Tensor:
    """softmax(q·kᵀ / √d)·v, head by head: queries (N, p, C), keys and values (N, P, C) to (N, p, C)."""
    q, k, v = (torch.unflatten(x, 2, (-1, head_width)).transpose(1, 2) for x in (q, k, v))
    return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class FeedForward(nn.Sequential):
    """Linear C → hidden, GELU, linear hidden → C over the last dimension."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__(nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, channels))
