"""`uninas-evo verify`: recorded genomes scored again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uninas_evo.cli._app import app, show
from uninas_evo.cli._options import Allow, Trust


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="A run folder.")],
    random: Annotated[int | None, typer.Option(min=1, help="Verify this many random entries, not the winner.")] = None,
    device: Annotated[str | None, typer.Option(help="Where to score: cpu, cuda:0, ...; by default as the run.")] = None,
    allow_changed_objective: Allow = False,
    trust: Trust = False,
) -> None:
    """Score recorded genomes again and compare: bit for bit on the same kind of device, else within a tolerance.

    Exit code 0: all agree; 1: some differ.

    Example: `uninas-evo verify runs/quickstart --random 5`
    """
    from uninas_evo.cli._tables import verify_table
    from uninas_evo.engine.verify import verify as check

    rows = check(
        folder, random, device=device, allow_changed_objective=allow_changed_objective, trust=trust, watch=_watch
    )
    show(verify_table(rows))
    if not all(row.agrees for row in rows):
        typer.echo(
            "a value that differs each time, such as a time, is declared `measured = true` in its objective", err=True
        )
        raise typer.Exit(1)


def _watch(done: int, total: int) -> None:
    """Ten lines at most, for more than a few."""
    if total > 20 and (done * 10 // total) > ((done - 1) * 10 // total):
        typer.echo(f"{done} of {total} are scored again", err=True)
