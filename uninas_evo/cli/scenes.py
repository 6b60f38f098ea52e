"""`uninas-evo scenes`: a small data set for detection and segmentation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uninas_evo.cli._app import app


@app.command()
def scenes(
    source: Annotated[str, typer.Argument(metavar="FASHION_MNIST", help="The folder of its IDX files.")],
    out: Annotated[Path, typer.Option(help="The folder to write, new or empty.")],
    seed: Annotated[int, typer.Option(min=0, help="Of all scenes.")] = 0,
    train: Annotated[int, typer.Option(min=2, help="Scenes to train on.")] = 2000,
    test: Annotated[int, typer.Option(min=1, help="Scenes to test on.")] = 500,
) -> None:
    """Composes scenes of one to six garments with boxes, masks and a class for every pixel.

    The folder serves `train --task detection` and `train --task segmentation` alike.

    Example: `uninas-evo scenes /usr/share/datasets/fashion-mnist --out scenes`
    """
    from uninas_evo.training.tasks.scenes import write_scenes

    write_scenes(source, out, seed, {"train": train, "test": test}, lambda line: typer.echo(line, err=True))
