"""Drawings of networks as SVG, PNG, PDF and HTML, all from one layout; the same bytes for the same genome."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from uninas_evo.drawing import uninet as uninet_drawing
from uninas_evo.drawing.html import page
from uninas_evo.drawing.layout import layout
from uninas_evo.drawing.parts import Titled, network_parts
from uninas_evo.drawing.png import write_png
from uninas_evo.drawing.sideways import sideways as turned
from uninas_evo.drawing.sketch import Sketch
from uninas_evo.drawing.svg import svg
from uninas_evo.errors import GenomeError
from uninas_evo.files import write_text
from uninas_evo.spaces import uninet
from uninas_evo.spaces.uninas import Genome
from uninas_evo.spaces.uninas.diff import edits

FORMATS = ("svg", "png", "pdf", "html")


def draw(
    genome: Any, out: Path, title: str = "", against: Any = None, other_title: str = "", *, sideways: bool = False
) -> Path:
    """Draws a genome into a file.

    Args:
        genome: what is drawn: a genome of UniNAS or UniNet, or what `sketched` gives of one of another space.
        out: the file; its ending says the format: .svg, .png, .pdf or .html.
        title: above the drawing; the genome's id by default.
        against: a second genome of the same skeleton, drawn beside the first; what differs is marked in both.
        other_title: above the second drawing.
        sideways: draws names alone, stages from left to right, for slides.

    Raises:
        GenomeError: the file's ending is none of these, or the skeletons differ.
    """
    kind = out.suffix.lower().lstrip(".")
    if kind not in FORMATS:
        raise GenomeError(
            f"a drawing's file must end in one of {', '.join('.' + f for f in FORMATS)}, got {out.name!r}; rename it"
        )
    networks = titled_parts(genome, title, against, other_title)
    if sideways:
        networks = [(name, one, turned(parts)) for name, one, parts in networks]
    if kind == "html":
        write_text(out, page(networks))
    elif kind == "svg":
        write_text(out, svg(layout(networks)))
    else:
        write_png(layout(networks), out)
    return out


def titled_parts(genome: Any, title: str, against: Any, other_title: str) -> list[Titled]:
    """The networks of a drawing: one, or two with the marks of what differs.

    Raises:
        GenomeError: the genomes are of different spaces, or a space's genomes have no drawing.
    """
    if against is not None and type(against) is not type(genome):
        raise GenomeError("two genomes are drawn side by side where they are of one space; draw each by itself")
    if isinstance(genome, Sketch):
        if against is None:
            return [(title or genome.id, genome, genome.parts)]
        pairs = ((title or genome.id, genome.marked(against)), (other_title or against.id, against.marked(genome)))
        return [(name, one, one.parts) for name, one in pairs]
    if isinstance(genome, uninet.Genome):
        return _uninet_parts(genome, title, against, other_title)
    if not isinstance(genome, Genome):
        raise GenomeError(
            f"a {type(genome).__name__} does not tell its space, which a drawing needs; give the space too: "
            "uninas_evo.draw(genome, space=space)"
        )
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
