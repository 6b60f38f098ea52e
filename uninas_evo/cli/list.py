"""`uninas-evo list`: what a run file can name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uninas_evo.cli._app import app, show


@app.command("list")
def list_(
    kind: Annotated[
        str | None, typer.Argument(help="strategies, problems or objectives; all of them by default.")
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option("--for", help="A run file: which strategies can search its problem, and why others cannot."),
    ] = None,
) -> None:
    """List the strategies, problems and objectives that a run file can name.

    Example: `uninas-evo list strategies`
    """
    from uninas_evo.cli._listing import listing, searchable

    show(listing(kind) if run is None else searchable(run))
