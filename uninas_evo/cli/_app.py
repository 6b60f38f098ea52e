"""The command line's one `typer` application; every sibling module adds commands with `@app.command()`."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from uninas_evo.errors import UninasEvoError


class _Group(TyperGroup):
    """Turns a user's mistake into one message on stderr and exit code 2, in the shell and in tests alike."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except UninasEvoError as error:
            from rich.console import Console
            from rich.text import Text

            message = Text.assemble(("error: ", "bold red"), str(error))
            Console(stderr=True).print(message, highlight=False, soft_wrap=True)
            raise typer.Exit(2) from error


app = typer.Typer(
    name="uninas-evo",
    cls=_Group,
    help="Evolutionary neural-architecture search in the UniNAS space.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
