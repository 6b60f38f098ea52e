"""A mobile network as data: the chain of inverted bottlenecks that costs, layers and drawings are read from.

Sources: Cai et al., "ProxylessNAS", ICLR 2019, arXiv 1812.00332; "Once-for-All", ICLR 2020, arXiv 1908.09791.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from uninas_evo.contracts import Cost
from uninas_evo.spaces.counts import convolution, linear, normed, values

Activation = Literal["relu", "relu6", "h_swish"]


def div8(width: float) -> int:
    """The multiple of 8 nearest to a width, never below 0.9 of it."""
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded


@dataclass(frozen=True, slots=True)
class Block:
    """An inverted bottleneck: 1x1 expansion, depthwise convolution, squeeze-and-excitation, 1x1 projection.

    Attributes:
        inputs: channels of its input.
        middle: channels of the depthwise convolution; equal to `inputs`, the expansion is left out.
        outputs: channels of its output.
        kernel: of the depthwise convolution.
        stride: of the depthwise convolution.
        activation: behind the expansion and the depthwise convolution.
        squeeze: channels between the two convolutions of squeeze-and-excitation; 0 for none.
        shortcut: whether the input is added, which needs equal shapes.
    """

    inputs: int
    middle: int
    outputs: int
    kernel: int
    stride: int
    activation: Activation
    squeeze: int = 0
    shortcut: bool = False

    def cost(self, side: int) -> Cost:
        """Cost on an input of (inputs, side, side)."""
        total, after = Cost(), halved(side) if self.stride == 2 else side
        if self.middle != self.inputs:
            total += normed(self.inputs, self.middle, 1, side)
        total += normed(self.middle, self.middle, self.kernel, after, groups=self.middle)
        if self.squeeze:
            total += values(2 * self.middle * after**2)  # averaged, then scaled
            total += convolution(self.middle, self.squeeze, 1, 1, bias=True)
            total += convolution(self.squeeze, self.middle, 1, 1, bias=True)
        total += normed(self.middle, self.outputs, 1, after)
        return total + values(self.outputs * after**2) if self.shortcut else total


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole network.

    Attributes:
        image: pixels of a side.
        classes: K.
        stem: channels behind the first 3x3 convolution of stride 2.
        blocks: the chain.
        head: channels of the 1x1 convolution behind the chain.
        hidden: channels of a further 1x1 layer behind the pooling, without norm or bias; 0 for none.
        activation: of stem and head.
        epsilon: of the norms.
    """

    image: int
    classes: int
    stem: int
    blocks: tuple[Block, ...]
    head: int
    hidden: int
    activation: Activation
    epsilon: float

    @property
    def cost(self) -> Cost:
        """Exact parameters, FLOPs and MACs."""
        side = halved(self.image)
        total = normed(3, self.stem, 3, side)
        for block in self.blocks:
            total += block.cost(side)
            side = halved(side) if block.stride == 2 else side
        return total + self.head_cost(side)

    def head_cost(self, side: int) -> Cost:
        """Cost of what follows the chain, on maps of so many pixels a side."""
        total = normed(self.blocks[-1].outputs, self.head, 1, side) + values(self.head * side**2)
        if self.hidden:
            total += convolution(self.head, self.hidden, 1, 1)
        return total + linear(self.hidden or self.head, self.classes)


def halved(side: int) -> int:
    """Height and width behind a convolution of stride 2 with padding on both sides."""
    return (side + 1) // 2
