"""`uninas-evo run`: a search as a run file says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uninas_evo.cli._app import app
from uninas_evo.cli._options import Debug, Quiet, Set, finish


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="A run file (TOML).")],
    out: Annotated[Path | None, typer.Option(help="Run folder; by default the run file's path without .toml.")] = None,
    set_: Set = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Search as a run file says, and write a run folder.

    Example: `uninas-evo run runs/quickstart.toml --set evaluations=50 --out runs/try`
    """
    from uninas_evo.api import run_file
    from uninas_evo.config.runfile import load_run_file

    folder = out or file.with_suffix("")
    finish(run_file(load_run_file(file, set_ or []), folder, quiet=quiet, debug=debug), folder, quiet)
