"""`uninas-evo export`: a trained network for other programs and devices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uninas_evo.cli._app import app
from uninas_evo.cli._genomes import SpaceOption, space_of_run_file

if TYPE_CHECKING:
    from uninas_evo.training.deployed import Deployed


@app.command()
def export(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a training that has ended.")],
    to: Annotated[
        list[str] | None,
        typer.Option(
            help="onnx, torch, onnx-fp16, onnx-int8, executorch, litert; the first two by default. Repeat for several."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="The data of the training: prints the test accuracy of each ONNX form; onnx-int8 needs it."),
    ] = None,
    calibration: Annotated[int, typer.Option(min=1, help="Training images that onnx-int8 is scaled to.")] = 256,
    maps: Annotated[
        bool, typer.Option("--maps", help="The backbone alone: its stage maps, at strides 4 to 32.")
    ] = False,
    space: SpaceOption = None,
    out: Annotated[Path | None, typer.Option(help="Where the files go; beside the weights by default.")] = None,
) -> None:
    """Writes a trained network as ONNX and as a `torch.export` program, each checked to give the same outputs.

    With --data it tests each ONNX form, and can quantize: onnx-int8 has weights and activations of 8 bits.

    Example: `uninas-evo export trained/6d55139d748d/seed-0 --to onnx --to onnx-int8 --data fashion-mnist`
    """
    from uninas_evo.errors import TrainingError
    from uninas_evo.training.formats import USUAL, export, load

    folder = out or (source if source.is_dir() else source.parent)
    if data is None:
        for path in export(load(source, space_of_run_file(space)), folder, to or USUAL, maps=maps):
            print(path)
        return
    if maps:
        raise TrainingError("--data tests a classifier, and --maps has none; leave one out")
    from uninas_evo.training.deployed import deploy

    deploy(source, folder, data, to or USUAL, space=space_of_run_file(space), calibration=calibration, told=_tell)


def _tell(one: Deployed) -> None:
    accuracy = "not tested here" if one.accuracy is None else f"test accuracy {one.accuracy:.2%}"
    print(f"{one.form:<10} {one.megabytes:8.3f} MB  {accuracy:<22} {one.path}", flush=True)
