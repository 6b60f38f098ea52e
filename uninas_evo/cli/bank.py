"""`uninas-evo bank`: many networks trained by one protocol, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uninas_evo.cli._app import INTERRUPTED, app
from uninas_evo.cli._options import Quiet, Set


@app.command()
def bank(
    file: Annotated[Path, typer.Argument(help="A run file (TOML) whose objective trains, such as runs/bank.toml.")],
    out: Annotated[Path | None, typer.Option(help="Folder; by default the run file's path without .toml.")] = None,
    networks: Annotated[int | None, typer.Option(min=1, help="How many in all, instead of the run file's.")] = None,
    set_: Set = None,
    quiet: Quiet = False,
) -> None:
    """Train many networks by one protocol and write them as a table, `bank.csv.gz`.

    The same command goes on where it was interrupted, and with more --networks adds to what is there.

    Example: `uninas-evo bank runs/bank.toml --networks 300 --out bank`
    """
    from uninas_evo.api import resume, run_file
    from uninas_evo.config.runfile import load_run_file
    from uninas_evo.engine.journal import FILE_NAME
    from uninas_evo.report.bank import write_bank
    from uninas_evo.strategies.walks import WalksOptions

    folder = out or file.with_suffix("")
    settings = list(set_ or [])
    run = load_run_file(file, settings)
    if networks:
        options = run.strategy_options
        settings += [f"evaluations={options.evaluations(networks) if isinstance(options, WalksOptions) else networks}"]
        run = load_run_file(file, settings)
    if (folder / FILE_NAME).is_file():
        result = resume(folder, settings, quiet=quiet)
    else:
        result = run_file(run, folder, quiet=quiet)
    count = write_bank(folder)
    typer.echo(f"{count} networks in {folder / 'bank.csv.gz'}")
    if result.end.kind == "interrupted":
        raise typer.Exit(INTERRUPTED)
