"""The command line's one `typer` application; every sibling module adds commands with `@app.command()`."""

from __future__ import annotations

import errno
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from uninas_evo.errors import UninasEvoError
from uninas_evo.formats import printable

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""


class _Group(TyperGroup):
    """Turns a user's mistake into one message on stderr and exit code 2, in the shell and in tests alike."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except UninasEvoError as error:
            _tell(str(error))
            raise typer.Exit(2) from error
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # nobody reads any more
            named = "what is written" if error.filename is None else ascii(error.filename)[1:-1]
            _tell(f"{named} cannot be used ({error.strerror or error}); name another path, free space, or fix this one")
            raise typer.Exit(2) from error


def _tell(text: str) -> None:
    from rich.console import Console
    from rich.text import Text

    shown = "\n".join(map(printable, text.split("\n")))
    message = Text.assemble(("error: ", "bold red"), shown)
    Console(stderr=True).print(message, highlight=False, soft_wrap=True)


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


def _version(wanted: bool) -> None:
    if wanted:
        from uninas_evo import __version__

        typer.echo(f"uninas-evo {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Evolutionary neural-architecture search: in the UniNAS space and in those of its sources."""


def show(shown: object, at_least: int = 0) -> None:
    """Prints a table on stdout, as wide as the terminal but not narrower than so many characters."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    console.width = max(console.width, at_least)
    console.print(shown)
