"""Drawings of networks as SVG, PNG and HTML, all from one layout; the same bytes for the same genome."""

from __future__ import annotations

from pathlib import Path

from uninas_evo.draw.html import page
from uninas_evo.draw.layout import layout
from uninas_evo.draw.parts import titled_parts
from uninas_evo.draw.png import write_png
from uninas_evo.draw.svg import svg
from uninas_evo.errors import GenomeError
from uninas_evo.spaces.uninas import Genome

FORMATS = ("svg", "png", "html")


def draw(genome: Genome, out: Path, title: str = "", against: Genome | None = None, other_title: str = "") -> Path:
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
        out.write_text(page(networks), encoding="utf-8")
    elif kind == "svg":
        out.write_text(svg(layout(networks)), encoding="utf-8")
    else:
        write_png(layout(networks), out)
    return out
