"""The command that writes a run to TensorBoard, MLflow or Weights & Biases: monitor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uninas_evo.cli._app import app


@app.command()
def monitor(
    folder: Annotated[Path, typer.Argument(help="A run folder, of a run that goes on or has ended.")],
    to: Annotated[str, typer.Option(help="tensorboard, mlflow, or wandb (offline).")] = "tensorboard",
    out: Annotated[Path | None, typer.Option(help="Where it is written; by default a folder in the run's.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the run ends.")] = False,
) -> None:
    """Write a run's journal to a tool that people watch trainings with.

    Example: `uninas-evo monitor runs/quickstart && tensorboard --logdir runs/quickstart/tensorboard`
    """
    from uninas_evo.engine.journal import read_header
    from uninas_evo.errors import RunFileError
    from uninas_evo.report.monitor import TRACKERS
    from uninas_evo.report.monitor import monitor as write

    if to not in TRACKERS:
        raise RunFileError(f"--to must be one of {', '.join(TRACKERS)}, got {to!r}; name one of them")
    read_header(folder)  # before anything is made there
    place = folder / to if out is None else out
    count = write(folder, TRACKERS[to](place), follow)
    typer.echo(f"{count:,} evaluations in {place}")
