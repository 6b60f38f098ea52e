"""Options that several commands have, and what they print at their end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uninas_evo.cli._app import INTERRUPTED, show

if TYPE_CHECKING:
    from uninas_evo.engine.results import SearchResult

Set = Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the run file.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show nothing but errors.")]
Debug = Annotated[
    bool, typer.Option("--debug", help="Score in this process, and show the whole traceback of every failure.")
]
Allow = Annotated[
    bool, typer.Option("--allow-changed-objective", help="Run your own objective although its file was changed.")
]

Trust = Annotated[
    bool, typer.Option("--trust", help="Agree, once and for all, to running or connecting to what the folder names.")
]
BaselineOption = Annotated[
    str | None,
    typer.Option(
        metavar="timm:NAME", help="Fine-tune this pretrained network beside ours; timm:NAME@FILE has its weights."
    ),
]


def finish(result: SearchResult, folder: Path, quiet: bool) -> None:
    """Prints what a search came to; an interrupted run says how to go on."""
    from uninas_evo.cli._tables import summary_table

    if result.end.kind == "interrupted":
        typer.echo(f"{result.end.text}; nothing is lost, go on with: uninas-evo resume {folder}", err=True)
        raise typer.Exit(INTERRUPTED)
    if not quiet:
        show(summary_table(result))
        for trained in sorted(folder.glob("train*/table.md")):
            typer.echo(trained.read_text(encoding="utf-8"))


Width = Annotated[
    float | None, typer.Option(min=1, max=50, help="Inches, for a paper: 3.3 is a column. Titles are left out.")
]
Style = Annotated[
    str | None, typer.Option(help="A style of matplotlib, such as grayscale, or the path of a style file.")
]
