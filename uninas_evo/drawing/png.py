"""A drawing's layout as a PNG or PDF, on white."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from uninas_evo.drawing.layout import Box, everything
from uninas_evo.files import write_atomically
from uninas_evo.pages.palette import INK, KIND_COLORS, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DPI = 144
"""Two pixels for each of the layout's, so that small letters are crisp."""
MAX_PIXELS = 2**16
"""The widest and highest picture that Agg can draw; larger drawings are scaled down."""


def write_png(root: Box, path: Path) -> None:
    """Draws a layout."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    scale = min(1.0, MAX_PIXELS * 72 / DPI / max(root.width, root.height))
    figure = Figure(figsize=(scale * root.width / 72, scale * root.height / 72), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, root.width), ylim=(root.height, 0))
    axes.axis("off")
    for box in everything(root):
        _draw_box(axes, box, scale)
    for box in everything(root):
        _draw_lines(axes, box, scale)
    kind = "pdf" if path.suffix.lower() == ".pdf" else "png"
    dates = {"CreationDate": None, "Creator": None} if kind == "pdf" else {"Software": None}
    write_atomically(path, lambda file: figure.savefig(file, format=kind, dpi=DPI, metadata=dates))


def _draw_box(axes: Axes, box: Box, scale: float) -> None:
    from matplotlib.patches import Circle, Rectangle

    part = box.part
    corner = (box.x, box.y)
    if part.kind in KIND_COLORS or part.framed:
        color = KIND_COLORS.get(part.kind, SOFT)
        style: dict[str, Any] = {"facecolor": color, "alpha": 0.2 if part.kind in KIND_COLORS else 0.05, "linewidth": 0}
        axes.add_patch(Rectangle(corner, box.width, box.height, **style))
        width = 2.2 if part.marked else 0.7
        edge: dict[str, Any] = {"fill": False, "edgecolor": INK if part.marked else color, "linewidth": scale * width}
        axes.add_patch(Rectangle(corner, box.width, box.height, **edge))
    if part.kind == "port":
        axes.add_patch(Circle((box.x + 3, box.y + 3), 3, color=SOFT, linewidth=0))
    for text in box.texts:
        weight = "bold" if text.bold else "normal"
        axes.text(
            text.x, text.y, text.content, fontsize=scale * text.size, color=INK, weight=weight, family="DejaVu Sans"
        )


def _draw_lines(axes: Axes, box: Box, scale: float) -> None:
    for line in (*box.lines, *box.arrows):
        xs, ys = zip(*line, strict=True)
        axes.plot(xs, ys, color=SOFT, linewidth=scale, zorder=3)
    for arrow in box.arrows:
        style = {"arrowstyle": "-|>", "color": SOFT, "linewidth": scale, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", arrow[-1], arrow[-2], arrowprops=style)
