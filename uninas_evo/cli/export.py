"""`uninas-evo export`: a trained network for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uninas_evo.cli._app import app
from uninas_evo.cli._genomes import SpaceOption, house_of


@app.command()
def export(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a training that has ended.")],
    to: Annotated[list[str] | None, typer.Option(help="onnx or torch; both by default. Repeat for several.")] = None,
    maps: Annotated[
        bool, typer.Option("--maps", help="The backbone alone: its stage maps, at strides 4 to 32.")
    ] = False,
    space: SpaceOption = None,
    out: Annotated[Path | None, typer.Option(help="Where the files go; beside the weights by default.")] = None,
) -> None:
    """Writes a trained network as ONNX and as a `torch.export` program, each checked to give the same outputs.

    Example: `uninas-evo export trained/6d55139d748d/seed-0 --to onnx`
    """
    from uninas_evo.training.formats import FORMATS, export, load

    folder = out or (source if source.is_dir() else source.parent)
    for path in export(load(source, house_of(space)), folder, to or tuple(FORMATS), maps=maps):
        print(path)
