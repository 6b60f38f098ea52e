"""`uninas-evo resume`: going on with a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uninas_evo.cli._app import app
from uninas_evo.cli._options import Allow, Debug, Quiet, Set, Trust, finish


@app.command()
def resume(
    folder: Annotated[Path, typer.Argument(help="A run folder.")],
    set_: Set = None,
    allow_changed_objective: Allow = False,
    trust: Trust = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Go on with a run that was killed or interrupted, or that is to get more evaluations.

    Example: `uninas-evo resume runs/quickstart --set evaluations=400`
    """
    from uninas_evo.api import resume as go_on

    result = go_on(
        folder, set_ or [], allow_changed_objective=allow_changed_objective, trust=trust, quiet=quiet, debug=debug
    )
    finish(result, folder, quiet)
