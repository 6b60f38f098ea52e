"""Layers that torch lacks.

`copies` of a layer, one for each head of an attention group, run batched: their channels lie side by side, copy after
copy, and they share no weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

NORM_EPS = 1e-6
"""Epsilon of layer norms, the paper's package's."""


class ChannelNorm(nn.Module):
    """Layer norm over the channels at each position: (N, copies·C, H, W) to the same.

    Attributes:
        weight: (copies·C,), starts at 1.
        bias: (copies·C,), starts at 0.
    """

    normalizes = True

    def __init__(self, channels: int, copies: int = 1) -> None:
        super().__init__()
        self.channels = channels
        self.weight = nn.Parameter(torch.ones(copies * channels))
        self.bias = nn.Parameter(torch.zeros(copies * channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalizes, then scales and shifts every channel."""
        if x.shape[1] == self.channels:
            y = functional.layer_norm(x.permute(0, 2, 3, 1), (self.channels,), self.weight, self.bias, NORM_EPS)
            return y.permute(0, 3, 1, 2)
        split = torch.unflatten(x, 1, (-1, self.channels)).movedim(2, -1)
        y = functional.layer_norm(split, (self.channels,), eps=NORM_EPS).movedim(-1, 2).flatten(1, 2)
        return y * self.weight[:, None, None] + self.bias[:, None, None]

    def tap(self, x: Tensor, name: str, index: Tensor) -> Callable[[Tensor], Tensor]:
        """Derivatives of a proxy by entries of `weight` or `bias` (see `uninas_evo.proxies.taps`)."""
        if name == "bias":
            return lambda gradient: gradient[:, index].flatten(2).sum(2)
        split = torch.unflatten(x, 1, (-1, self.channels)).movedim(2, -1)  # (N, copies, H, W, C)
        normalized = functional.layer_norm(split, (self.channels,), eps=NORM_EPS).movedim(-1, 2).flatten(1, 2)
        tangent = normalized[:, index]
        return lambda gradient: (gradient[:, index] * tangent).flatten(2).sum(2)


class RelPosBias(nn.Module):
    """Adds a learned relative position bias that all channels of a copy share: (N, copies·C, n², n²) to the same.

    Rows and columns are positions of an n×n grid; entry (i, j) gets the table's value for the offset from j to i.
    On images of another size than the skeleton's, attention tells the grid and the table is interpolated; outside
    attention, where rows and columns are no pairs of positions, the biases themselves are.

    Attributes:
        table: (copies, (2n − 1)²), starts at a normal of standard deviation 0.02, cut at two deviations.
        grid: height and width of the grid that the input comes from, n and n by default.
    """

    def __init__(self, side: int, copies: int = 1) -> None:
        super().__init__()
        self.side = side
        self.grid = (side, side)
        self.table = nn.Parameter(torch.zeros(copies, (2 * side - 1) ** 2))

    def bias(self, rows: int | None = None) -> list[Tensor]:
        """The bias of every pair of positions, cut into at most `rows` rows of the grid: each (copies, ≤ rows·W, HW).

        Made of slices: their gradient is a sum, many times faster than that of indexing.
        """
        (h, w), n = self.grid, self.side
        table = torch.unflatten(self.table, 1, (2 * n - 1, 2 * n - 1))
        if self.grid != (n, n):
            table = interpolated(table, (2 * h - 1, 2 * w - 1))
        strips = table.flip(1, 2).unfold(2, w, 1).flip(2).transpose(1, 2).flatten(2)
        own = [strips[:, :, (h - 1 - r) * w : (2 * h - 1 - r) * w] for r in range(h)]  # of the queries of row r
        return [torch.cat(own[r : r + (rows or h)], 1) for r in range(0, h, rows or h)]

    def forward(self, x: Tensor) -> Tensor:
        """Adds the bias."""
        (bias,) = self.bias()
        if bias.shape[1:] != x.shape[2:]:
            bias = interpolated(bias, (x.shape[2], x.shape[3]))
        if x.shape[1] == bias.shape[0]:
            return x + bias
        return (torch.unflatten(x, 1, (bias.shape[0], -1)) + bias[:, None]).flatten(1, 2)

    def tap(self, _scores: Tensor, _name: str, index: Tensor) -> Callable[[Tensor], Tensor]:
        """Derivatives of a proxy by entries of the table: sums over the pairs of positions of an entry's offset."""
        side, copies = self.side, len(self.table)
        copy, row, column = torch.unravel_index(index, (copies, 2 * side - 1, 2 * side - 1))
        offsets = [(int(c), int(y) - side + 1, int(x) - side + 1) for c, y, x in zip(copy, row, column, strict=True)]

        def pull(gradient: Tensor) -> Tensor:
            pairs = torch.unflatten(gradient, 1, (copies, -1)).sum(2).view(-1, copies, side, side, side, side)
            return torch.stack(
                [
                    pairs[:, c].diagonal(-y, 1, 3).diagonal(-x, 1, 2).flatten(1).sum(1)  # (N, iy, ix, jy, jx)
                    for c, y, x in offsets
                ],
                1,
            )

        return pull


def interpolated(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (copies, H, W) at another size, bicubic as Swin's tables are for other windows."""
    resized = functional.interpolate(maps[None].float(), size, mode="bicubic", align_corners=False)[0]
    return resized.to(maps.dtype)


class Depthwise5(nn.Conv2d):
    """A 5×5 depthwise convolution without bias, trained several times faster on the CPU.

    torch's gradient of a kernel five wide takes ten times that of one three wide, so that two of these are taken.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 5, padding=2, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        if x.device.type != "cpu" or torch.compiler.is_compiling():
            return super().forward(x)
        y: Tensor = _Depthwise5.apply(x, self.weight)
        return y


class _Depthwise5(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor) -> Tensor:
        return functional.conv2d(x, weight, padding=2, groups=len(weight))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = _gradients(gradient, x, weight, 2, (True, False, False))[0]
        if ctx.needs_input_grad[1]:
            padded, width = functional.pad(x, (2, 2)), x.shape[3] + 2
            parts = [(padded[..., i : i + width], weight[..., i : i + 3]) for i in (0, 2)]
            halves = [_gradients(gradient, part, kernel, 0, (False, True, False))[1] for part, kernel in parts]
            of_weight = torch.cat([halves[0], halves[1][..., 1:]], 3)
        return of_x, of_weight


def _gradients(gradient: Tensor, x: Tensor, weight: Tensor, width: int, which: tuple[bool, ...]) -> list[Any]:
    """Gradients of a depthwise convolution, padded by 2 rows and `width` columns, by input and by weight."""
    padding, groups = [2, width], len(weight)
    outputs: list[Any] = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, [1, 1], padding, [1, 1], False, [0, 0], groups, which
    )
    return outputs


class Mask(nn.Module):
    """Keeps the values with |h − w| <= 5 and makes the others 0."""

    BAND = 5

    def forward(self, x: Tensor) -> Tensor:
        """Masks (…, H, W)."""
        return x.tril(self.BAND).triu(-self.BAND)
