"""`uninas-evo reference`: every field of a run file."""

from __future__ import annotations

import typer

from uninas_evo.cli._app import app


@app.command()
def reference() -> None:
    """Print the run-file reference (Markdown), made from the models that check run files.

    Example: `uninas-evo reference > docs/run-files.md`
    """
    from uninas_evo.config.reference import reference as page

    typer.echo(page(), nl=False)
