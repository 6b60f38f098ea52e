"""The command line: `uninas-evo COMMAND ...`, one module a command, named as the command.

Every command prints its result on stdout and everything else on stderr. A user's mistake (`UninasEvoError`)
is one message and exit code 2. To add a command, define it in a module of this package with `@app.command()`
and import heavy packages inside its body.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import pkgutil
import sys

from uninas_evo.cli._app import app

__all__ = ["app", "main"]

_GROUPS = {
    "Search": ("solve", "run", "resume", "verify", "list"),
    "Look at a run": ("report", "plot", "pick"),
    "Compare": ("compare", "audit", "walk", "export-study", "monitor"),
    "Train": ("scenes", "train", "handover", "predict", "export", "bench", "profile"),
    "One network": ("draw", "cost", "score", "scale", "convert"),
    "Other": ("reference",),
}
"""The commands as the help shows them, in the order of their use."""

for _module in pkgutil.iter_modules(__path__):
    if not _module.name.startswith("_"):
        importlib.import_module(f"{__name__}.{_module.name}")
_places = {name: group for group, names in _GROUPS.items() for name in names}
_order = {name: index for index, name in enumerate(_places)}
for _command in app.registered_commands:
    _command.name = _command.name or (_command.callback.__name__ if _command.callback else "").replace("_", "-")
    _command.rich_help_panel = _places.get(_command.name, "Other")
app.registered_commands.sort(key=lambda command: _order.get(command.name or "", len(_order)))


def main() -> None:
    """Runs the command line; the `uninas-evo` script calls this."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a character gets its number
    try:
        app()
    finally:
        _flush()


def _flush() -> None:
    """Writes the rest of the output; a full disk behind it is one message, not a traceback at exit."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if error.errno != errno.EPIPE:
            print(f"error: the output cannot be written ({error.strerror}); free space there", file=sys.stderr)
            sys.exit(2)
