"""`uninas-evo report`: the page of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uninas_evo.cli._app import INTERRUPTED, app


@app.command()
def report(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="A run folder, also of a run that goes on; or several.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="The page; by default report.html in the run folder, runs.html of several.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Write the page anew until the run ends.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks with --follow.")] = 5,
) -> None:
    """Write one self-contained HTML page of a run.

    It shows the best with its noise, scores against size, the winner drawn beside the start, its ancestry, which
    edits paid off, failures, device use, and all that reproducing takes. Several runs stand side by side on one page.

    Example: `uninas-evo report runs/quickstart`
    """
    from uninas_evo.errors import RunFileError
    from uninas_evo.report.runpage import PAGE
    from uninas_evo.report.runpage import follow as write_on
    from uninas_evo.report.runpage import report as write
    from uninas_evo.report.together import report_together

    if len(folders) > 1:
        if follow:
            raise RunFileError(f"--follow takes one run folder, got {len(folders)}; leave --follow out, or name one")
        typer.echo(report_together(folders, out))
        return
    folder = folders[0]
    if not follow:
        typer.echo(write(folder, out))
        return
    typer.echo(f"{out or folder / PAGE} is written anew until the run ends; Ctrl-C stops that", err=True)
    try:
        typer.echo(write_on(folder, out, every_s=every))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
