"""General operators (GOP): blocks that keep their shape, each a function of its input plus the input.

Paper: equations 2 to 5; norms, SE and the position convolution are those of the authors' code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from uninas_evo.spaces.uninet.genome import Stage
from uninas_evo.spaces.uninet.network.layers import Attention, FeedForward, LayerScale, SqueezeExcite
from uninas_evo.spaces.uninet.widths import token_width


class DropPath(nn.Module):
    """Stochastic depth: drops a residual branch of whole samples with probability `rate` while training."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) to the same; kept samples are scaled so that the expectation stays."""
        if not self.training or self.rate == 0:
            return x
        kept = x.new_empty(x.shape[0], *[1] * (x.dim() - 1)).bernoulli_(1 - self.rate)
        return x * kept / (1 - self.rate)


class Block(nn.Module):
    """The base of all operators: (N, C, H, W) to the same.

    Attributes:
        drop_path: stochastic depth of its residual branches.
    """

    def __init__(self) -> None:
        super().__init__()
        self.drop_path = DropPath()


class ConvBlock(Block):
    """DWConv and Conv: shortcut(x) + norm(W₂ SE(conv(W₁ norm(x)))), pre-norm and post-norm.

    Args:
        before: channels of the input.
        channels: channels of the output; where they differ the shortcut is pooled and projected.
        expansion: e, hidden channels are e·before; without expansion the first projection is left out.
        dense: whether the 3×3 convolution is dense (Conv) or depthwise (DWConv).
    """

    def __init__(self, before: int, channels: int, expansion: int, *, dense: bool) -> None:
        super().__init__()
        h = expansion * before
        widen = [nn.BatchNorm2d(before), nn.Conv2d(before, h, 1, bias=False), nn.BatchNorm2d(h), nn.GELU()]
        self.branch = nn.Sequential(
            *(widen if expansion > 1 else []),
            nn.Conv2d(h, h, 3, padding=1, groups=1 if dense else h, bias=False),
            nn.BatchNorm2d(h),
            nn.GELU(),
            SqueezeExcite(h),
            nn.Conv2d(h, channels, 1),
        )
        self.norm = nn.BatchNorm2d(channels)
        self.shortcut = shortcut(before, channels, 1) if before != channels else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) to (N, channels, H, W)."""
        kept: Tensor = self.shortcut(x)
        dropped: Tensor = self.drop_path(self.norm(self.branch(x)))
        return torch.add(kept, dropped)


def shortcut(before: int, channels: int, stride: int, *, pool: bool = True) -> nn.Sequential:
    """3×3 max pooling, then a 1×1 convolution with bias."""
    pooling = [nn.MaxPool2d(3, stride, 1)] if pool else []
    return nn.Sequential(*pooling, nn.Conv2d(before, channels, 1))


class TokenBlock(Block):
    """SA, LSA and MLP: x + γ₁·mix(norm(x)), then x + γ₂·FFN(norm(x)); layer norms over the channels.

    Args:
        channels: C.
        expansion: e of the feed-forward network.
        mix: what mixes positions: (N, H, W, C) to the same.
        positions: whether a depthwise convolution is added first, the only position encoding of attention.
    """

    def __init__(self, channels: int, expansion: int, mix: nn.Module, *, positions: bool) -> None:
        super().__init__()
        self.position = nn.Conv2d(channels, channels, 3, padding=1, groups=channels) if positions else None
        self.norm1 = nn.LayerNorm(channels)
        self.mix = mix
        self.scale1 = LayerScale(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.ffn = FeedForward(channels, expansion * channels)
        self.scale2 = LayerScale(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same; tokens live inside, channels last."""
        if self.position is not None:
            x = x + self.position(x)
        y: Tensor = x.permute(0, 2, 3, 1)
        y = y + self.drop_path(self.scale1(self.mix(self.norm1(y))))
        y = y + self.drop_path(self.scale2(self.ffn(self.norm2(y))))
        return y.permute(0, 3, 1, 2)


class TokenMixer(nn.Module):
    """An MLP over positions, one for all channels: (N, H, W, C) to the same.

    On maps of another size than the genome's, its weights are interpolated as maps over the positions, like the bias
    tables of attention; what is summed over positions is scaled by their number.

    Source: as MLP-Mixer; the hidden width of half the channels and the interpolation are ours.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.ffn = FeedForward(side**2, token_width(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Mixes positions."""
        tokens = x.flatten(1, 2).transpose(1, 2)
        size = (x.shape[1], x.shape[2])
        mixed: Tensor = self.ffn(tokens) if size == (self.side, self.side) else self._interpolated(tokens, size)
        return mixed.transpose(1, 2).reshape(x.shape)

    def _interpolated(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """Tokens (N, C, HW) to the same."""
        weight, bias, out_weight, out_bias = self.ffn.parameters()
        maps = torch.cat([weight, out_weight.t(), out_bias[None]])
        resized = functional.interpolate(
            torch.unflatten(maps, 1, (self.side, self.side))[None].float(), size, mode="bicubic", align_corners=False
        )
        into, out, last = torch.split(resized[0].flatten(1).to(maps.dtype), [len(weight), len(weight), 1])
        share = self.side**2 / (size[0] * size[1])
        y = functional.gelu(functional.linear(tokens, share * into, bias))
        return functional.linear(y, out.t(), last[0])


def operator(stage: Stage, side: int, heads: int, window: int) -> Block:
    """A block of a stage whose maps have this side."""
    c, e = stage.channels, stage.expansion
    match stage.operator:
        case "SA":
            return TokenBlock(c, e, Attention(c, heads, None), positions=True)
        case "LSA":
            return TokenBlock(c, e, Attention(c, heads, window), positions=True)
        case "MLP":
            return TokenBlock(c, e, TokenMixer(c, side), positions=False)
        case name:
            return ConvBlock(c, c, e, dense=name == "Conv")
