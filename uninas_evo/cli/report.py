"""`uninas-evo report`: the page of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uninas_evo.cli._app import INTERRUPTED, app


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A run folder; the run may still be going.")],
    out: Annotated[Path | None, typer.Option(help="The page; by default report.html in the run folder.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Write the page anew until the run ends.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks with --follow.")] = 5,
) -> None:
    """Write one self-contained HTML page of a run.

    It shows the best with its noise, scores against size, the winner drawn beside the start, its ancestry, which
    edits paid off, failures, device use, and all that reproducing takes.

    Example: `uninas-evo report runs/quickstart`
    """
    from uninas_evo.report.runpage import PAGE
    from uninas_evo.report.runpage import follow as write_on
    from uninas_evo.report.runpage import report as write

    if not follow:
        typer.echo(write(folder, out))
        return
    typer.echo(f"{out or folder / PAGE} is written anew until the run ends; Ctrl-C stops that", err=True)
    try:
        typer.echo(write_on(folder, out, every_s=every))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
