"""Widths that follow from others: rounding, the squeeze of SE, the hidden width of token mixing."""

from __future__ import annotations

GENERAL_DIVISOR = 8
"""Channels of every stage are multiples of it: what convolutions run well at."""


def rounded(value: float, divisor: int) -> int:
    """The multiple of the divisor nearest to a value, at least the divisor and at least 0.9 of the value.

    Source: the rounding of MobileNetV2's authors, which the code of UniNet uses.
    """
    near = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return near + divisor if near < 0.9 * value else near


def squeeze_width(hidden: int) -> int:
    """Channels inside SE: a quarter of the *expanded* width (the code of UniNet)."""
    return rounded(hidden // 4, GENERAL_DIVISOR)


def token_width(channels: int) -> int:
    """Hidden width of the MLP over positions: half the channels, MLP-Mixer's ratio. Ours: no source says it."""
    return channels // 2


def neighbors(value: int, divisor: int) -> tuple[int, int]:
    """The multiples of the divisor below (at least the divisor) and above a value."""
    below = max(divisor, value // divisor * divisor)
    return below, value // divisor * divisor + divisor
