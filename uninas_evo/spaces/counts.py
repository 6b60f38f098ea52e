"""Closed-form costs of layers that several spaces are made of: parameters, FLOPs and MACs of one image.

MACs count convolutions and linear layers. FLOPs are 2 a MAC, 2 a normalized value, 9 a value of a 3x3 pooling, and 1
a bias, a value that is added or averaged over the whole map.
"""

from __future__ import annotations

from uninas_evo.contracts import Cost


def layer(params: int, macs: int, biases: int = 0) -> Cost:
    """Multiplications by weights, `biases` values with one addition each among the outputs."""
    return Cost(params, 2 * macs + biases, (("macs", macs),))


def convolution(inputs: int, outputs: int, kernel: int, side: int, *, groups: int = 1, bias: bool = False) -> Cost:
    """A convolution onto (outputs, side, side)."""
    weights = kernel**2 * (inputs // groups) * outputs
    return layer(weights + bias * outputs, weights * side**2, bias * outputs * side**2)


def norm(channels: int, side: int) -> Cost:
    """A batch normalization with its two parameters a channel."""
    return Cost(2 * channels, 2 * channels * side**2)


def normed(inputs: int, outputs: int, kernel: int, side: int, *, groups: int = 1) -> Cost:
    """A convolution without bias and the normalization behind it."""
    return convolution(inputs, outputs, kernel, side, groups=groups) + norm(outputs, side)


def values(count: int, each: int = 1) -> Cost:
    """`count` values at `each` FLOPs: sums, averages, poolings."""
    return Cost(0, each * count)


def linear(inputs: int, outputs: int, *, bias: bool = True) -> Cost:
    """A fully connected layer."""
    return layer((inputs + bias) * outputs, inputs * outputs, bias * outputs)
