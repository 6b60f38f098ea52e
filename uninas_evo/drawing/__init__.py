"""Drawings of networks: parts, their layout, writers of SVG, PNG and HTML, and `draw` on top of them."""

from uninas_evo.drawing.drawing import draw, titled_parts
from uninas_evo.drawing.html import widget

__all__ = ["draw", "titled_parts", "widget"]
