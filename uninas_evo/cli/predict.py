"""`uninas-evo predict`: what a trained detector or segmentation network finds in images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uninas_evo.cli._app import app
from uninas_evo.cli.train import DeviceOption


@app.command()
def predict(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a detection or segmentation.")],
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="An image, or a folder of images.")],
    out: Annotated[Path, typer.Option(help="The folder of the drawings, a PNG an image.")],
    score: Annotated[float, typer.Option(min=0, max=1, help="Least score of an object that is drawn.")] = 0.5,
    device: DeviceOption = "auto",
) -> None:
    """Draws boxes, masks and names of what a trained network finds on images.

    Example: `uninas-evo predict trained-detection/3f0c/seed-0 photos --out found`
    """
    from uninas_evo.training.predict import predict
    from uninas_evo.training.process import device_of

    for path in predict(source, images, out, score=score, device=str(device_of(device))):
        print(path)
