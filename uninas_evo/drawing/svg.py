"""A drawing's layout as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from uninas_evo.drawing.layout import Box, everything
from uninas_evo.drawing.parts import describe
from uninas_evo.pages.palette import KIND_COLORS
from uninas_evo.pages.template import asset


def svg(root: Box, name: str = "network") -> str:
    """The SVG of a layout; light and dark follow the reader's setting."""
    body: list[str] = []
    for box in everything(root):
        body += _box_svg(box)
    for box in everything(root):
        body += [f'<polyline points="{_points(line)}"/>' for line in box.lines]
        body += [f'<polyline class="arrow" points="{_points(line)}"/>' for line in box.arrows]
    width, height = _number(root.width), _number(root.height)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{escape(name)}" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">\n'
        f"<style>{asset('drawing.css', 'drawing')}</style>\n"
        '<defs><marker id="tip" viewBox="0 0 6 6" refX="6" refY="3" markerWidth="6" markerHeight="6" orient="auto">'
        '<path d="M0 0L6 3L0 6z"/></marker></defs>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _box_svg(box: Box) -> list[str]:
    part = box.part
    lines: list[str] = []
    if part.kind in KIND_COLORS or part.framed or part.kind == "page":
        mark = " marked" if part.marked else ""
        title = f"<title>{escape(describe(part))}</title>" if part.place else ""
        lines.append(
            f'<rect class="{part.kind}{mark}" x="{_number(box.x)}" y="{_number(box.y)}" '
            f'width="{_number(box.width)}" height="{_number(box.height)}" rx="4">{title}</rect>'
        )
    if part.kind == "port":
        lines.append(f'<circle cx="{_number(box.x + 3)}" cy="{_number(box.y + 3)}" r="3"/>')
    for text in box.texts:
        bold = ' font-weight="bold"' if text.bold else ""
        lines.append(
            f'<text x="{_number(text.x)}" y="{_number(text.y)}" font-size="{_number(text.size)}"{bold}>'
            f"{escape(text.content)}</text>"
        )
    return lines


def _points(line: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{_number(x)},{_number(y)}" for x, y in line)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
