"""`uninas-evo plot`: the figures of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uninas_evo.cli._app import app
from uninas_evo.cli._options import Style, Trust, Width


@app.command()
def plot(
    folder: Annotated[Path, typer.Argument(help="A run folder.")],
    out: Annotated[Path | None, typer.Option(help="Where the files go; by default the run folder.")] = None,
    presets: Annotated[
        bool, typer.Option("--presets", help="Score the presets on the run's skeleton, and mark them.")
    ] = False,
    importance: Annotated[
        bool, typer.Option("--importance", help="Draw how much each decision mattered, too; takes seconds.")
    ] = False,
    width: Width = None,
    style: Style = None,
    trust: Trust = False,
) -> None:
    """Draw a run as PNG, SVG and PDF: its best so far or its hypervolume, and its Pareto front.

    Example: `uninas-evo plot runs/pareto --width 3.3`
    """
    from uninas_evo.report.folder import plot_run
    from uninas_evo.report.plots import styled

    with styled(style):
        for path in plot_run(folder, out, presets=presets, importances=importance, width=width, trust=trust):
            typer.echo(path)
