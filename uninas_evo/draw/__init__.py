"""Drawings of networks: parts, their layout, writers of SVG, PNG and HTML, and `draw` on top of them."""

from uninas_evo.draw.draw import draw
from uninas_evo.draw.html import widget
from uninas_evo.draw.parts import titled_parts

__all__ = ["draw", "titled_parts", "widget"]
