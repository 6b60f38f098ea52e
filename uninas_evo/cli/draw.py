"""`uninas-evo draw`: a network as SVG, PNG, PDF or HTML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uninas_evo.cli._app import app
from uninas_evo.cli._genomes import GenomeArgument, space_and_genome


@app.command()
def draw(
    genome: GenomeArgument,
    out: Annotated[Path, typer.Option(help="The file; .svg, .png, .pdf or .html says the format.")],
    against: Annotated[
        str | None,
        typer.Option(metavar="OTHER", help="A second genome of the same skeleton: side by side, differences marked."),
    ] = None,
    sideways: Annotated[
        bool, typer.Option("--sideways", help="Names alone, stages from left to right: small enough for a slide.")
    ] = False,
) -> None:
    """Draw a network: stages, blocks, chains and coupled pairs, with the shape and cost of every operation.

    The HTML page folds, zooms, tells on hovering, and shades by share of the cost.

    Example: `uninas-evo draw best.txt --out best.html --against coatnet`
    """
    from uninas_evo.drawing import draw as draw_file
    from uninas_evo.drawing.sketch import sketched
    from uninas_evo.spaces.uninas import PRESETS, Genome, preset

    first, other = sketched(*space_and_genome(genome)), None
    if against is not None:
        other = sketched(*space_and_genome(against))
        if not (isinstance(first, Genome) and isinstance(other, Genome)):
            pass
        elif against in PRESETS:  # a preset stands on the skeleton of what it is compared with
            other = preset(against, first.skeleton)
        elif genome in PRESETS:
            first = preset(genome, other.skeleton)
    typer.echo(draw_file(first, out, _title(genome), other, _title(against or ""), sideways=sideways))


def _title(source: str) -> str:
    """The preset's or the file's name."""
    return Path(source).stem if "\n" not in source else ""
