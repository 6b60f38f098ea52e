"""The colors of every figure, drawing and page: Okabe & Ito's, which color-blind readers tell apart."""

BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"
INK = "#1d1e20"
"""Text, axes and lines; pages put the reader's text color in its place."""
SOFT = "#8a8f98"
"""What stands back: frames, paths, the skeleton."""
SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, INK)
"""Curves of one figure, in this order."""
DASHES = ("-", "--", "-.", ":")
"""Line styles once the colors are used up."""
KIND_COLORS = {
    "convolution": BLUE,
    "attention": VERMILION,
    "norm": GREEN,
    "activation": ORANGE,
    "mlp": GREEN,
    "shape": PURPLE,
    "skeleton": SOFT,
}
"""Kinds of operations in drawings."""
