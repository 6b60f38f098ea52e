"""Downsampling modules (DSM): change side and channels before the blocks of a stage.

All add the same shortcut, a pooled and projected input; nothing is normalized or activated after the sum.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from uninas_evo.spaces.uninet.network.layers import attend
from uninas_evo.spaces.uninet.network.operators import shortcut


class Local(nn.Sequential):
    """Depthwise 3×3 with stride, batch norm, 1×1: (N, before, H, W) to (N, channels, H/s, W/s)."""

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__(
            nn.Conv2d(before, before, 3, stride, 1, groups=before),
            nn.BatchNorm2d(before),
            nn.Conv2d(before, channels, 1),
        )


class Sequence(nn.Module):
    """A depthwise convolution of width 3 and stride s² over the row-major sequence, batch norm, 1×1.

    Paper: "Conv1D with stride 2". The stride s² is ours: 2 would leave P/2 tokens, which are no map.
    """

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv2d(before, before, (1, 3), (1, stride**2), (0, 1), groups=before)
        self.norm = nn.BatchNorm2d(before)
        self.project = nn.Conv2d(before, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) to (N, channels, H/s, W/s), rounded up: zeros fill the map on the right and below."""
        s = self.stride
        x = functional.pad(x, (0, -x.shape[3] % s, 0, -x.shape[2] % s))
        _, c, h, w = x.shape
        tokens = self.conv(x.reshape(-1, c, 1, h * w))
        tokens = self.project(self.norm(tokens))
        return torch.reshape(tokens, (-1, self.project.out_channels, h // s, w // s))


class LocalModule(nn.Module):
    """L-DSM: a strided depthwise convolution beside the shortcut."""

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.branch = Local(before, channels, stride)
        self.shortcut = shortcut(before, channels, stride, pool=stride > 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) to (N, channels, H/s, W/s)."""
        return torch.add(self.shortcut(x), self.branch(x))


class AttentionModule(nn.Module):
    """LG-DSM and G-DSM: a smaller query attends to all positions of the input, beside the shortcut.

    Attributes:
        query: `Local` for LG-DSM, `Sequence` for G-DSM.
    """

    def __init__(self, before: int, channels: int, stride: int, head_width: int, query: nn.Module) -> None:
        super().__init__()
        self.head_width = head_width
        self.query = query
        self.query_norm = nn.LayerNorm(channels)
        self.key_norm = nn.LayerNorm(before)
        self.keys = nn.Linear(before, 2 * channels)
        self.out = nn.Linear(channels, channels)
        self.shortcut = shortcut(before, channels, stride, pool=stride > 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) to (N, channels, H/s, W/s)."""
        q = self.query_norm(self.query(x).permute(0, 2, 3, 1))
        k, v = self.keys(self.key_norm(x.permute(0, 2, 3, 1))).flatten(1, 2).chunk(2, 2)
        y = self.out(attend(q.flatten(1, 2), k, v, self.head_width)).reshape(q.shape)
        return torch.add(self.shortcut(x), y.permute(0, 3, 1, 2))


def downsampling(kind: str, before: int, channels: int, stride: int, head_width: int) -> nn.Module:
    """The module of a stage."""
    if kind == "L":
        return LocalModule(before, channels, stride)
    query = (Local if kind == "LG" else Sequence)(before, channels, stride)
    return AttentionModule(before, channels, stride, head_width, query)
