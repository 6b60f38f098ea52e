"""Drawings of networks as SVG, PNG and HTML, all from one layout; the same bytes for the same genome."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from uninas_evo.draw import uninet as uninet_drawing
from uninas_evo.draw.layout import Box, layout
from uninas_evo.draw.parts import Part, amount, network_parts, shape_text
from uninas_evo.errors import GenomeError
from uninas_evo.pages.template import asset
from uninas_evo.spaces import uninet
from uninas_evo.spaces.uninas import Genome
from uninas_evo.spaces.uninas.diff import edits

COLORS = {
    "convolution": "#0072b2",
    "attention": "#d55e00",
    "norm": "#009e73",
    "activation": "#e69f00",
    "mlp": "#009e73",
    "shape": "#cc79a7",
    "skeleton": "#8a8f98",
}
"""Okabe & Ito's palette, which color-blind readers tell apart."""
FORMATS = ("svg", "png", "html")


def draw(genome: Any, out: Path, title: str = "", against: Any = None, other_title: str = "") -> Path:
    """Draws a genome into a file.

    Args:
        genome: what is drawn.
        out: the file; its ending says the format: .svg, .png or .html.
        title: above the drawing; the genome's id by default.
        against: a second genome of the same skeleton, drawn beside the first; what differs is marked in both.
        other_title: above the second drawing.

    Raises:
        GenomeError: the file's ending is none of these, or the skeletons differ.
    """
    kind = out.suffix.lower().lstrip(".")
    if kind not in FORMATS:
        raise GenomeError(
            f"a drawing's file must end in one of {', '.join('.' + f for f in FORMATS)}, got {out.name!r}; rename it"
        )
    networks = titled_parts(genome, title, against, other_title)
    out.parent.mkdir(parents=True, exist_ok=True)
    if kind == "html":
        from uninas_evo.draw.html import page

        out.write_text(page(networks), encoding="utf-8")
    elif kind == "svg":
        out.write_text(svg(layout(networks)), encoding="utf-8")
    else:
        from uninas_evo.draw.png import write_png

        write_png(layout(networks), out)
    return out


Titled = tuple[str, Any, tuple[Part, ...]]


def titled_parts(genome: Any, title: str, against: Any, other_title: str) -> list[Titled]:
    """The networks of a drawing: one, or two with the marks of what differs.

    Raises:
        GenomeError: the genomes are of different spaces, or a space's genomes have no drawing.
    """
    if against is not None and type(against) is not type(genome):
        raise GenomeError("two genomes are drawn side by side where they are of one space; draw each by itself")
    if isinstance(genome, uninet.Genome):
        return _uninet_parts(genome, title, against, other_title)
    if not isinstance(genome, Genome):
        raise GenomeError(f"a {type(genome).__name__} has no drawing; genomes of UniNAS and UniNet have")
    if against is None:
        return [(title or genome.id, genome, network_parts(genome))]
    found = edits(genome, against)
    marks = {change: [edit.place for edit in found if edit.change == change] for change in ("removed", "added")}
    return [
        (title or genome.id, genome, network_parts(genome, marks["removed"])),
        (other_title or against.id, against, network_parts(against, marks["added"])),
    ]


def _uninet_parts(genome: uninet.Genome, title: str, against: uninet.Genome | None, other_title: str) -> list[Titled]:
    if against is None:
        return [(title or genome.id, genome, uninet_drawing.network_parts(genome))]
    pairs = ((title, genome, against), (other_title, against, genome))
    return [
        (name or own.id, own, uninet_drawing.network_parts(own, uninet_drawing.differences(own, other)))
        for name, own, other in pairs
    ]


def everything(box: Box) -> Iterator[Box]:
    """A box and all boxes inside, outer ones first."""
    yield box
    for child in box.children:
        yield from everything(child)


def describe(part: Part) -> str:
    """All that is known of a part, on one line."""
    words = [part.name or part.kind]
    if part.shape:
        words.append(shape_text(part.shape))
    words.append(f"{amount(part.cost.params)} parameters")
    words.append(f"{amount(part.cost.flops)} FLOPs")
    if part.count > 1:
        words.append(f"× {part.count}")
    return " · ".join([*words, part.place])


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
        f"<style>{asset('drawing.css', 'draw')}</style>\n"
        '<defs><marker id="tip" viewBox="0 0 6 6" refX="6" refY="3" markerWidth="6" markerHeight="6" orient="auto">'
        '<path d="M0 0L6 3L0 6z"/></marker></defs>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _box_svg(box: Box) -> list[str]:
    part = box.part
    lines: list[str] = []
    if part.kind in COLORS or part.framed or part.kind == "page":
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
