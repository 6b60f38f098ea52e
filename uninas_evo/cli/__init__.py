"""The command line: `uninas-evo COMMAND ...`, one module a command, named as the command.

Every command prints its result on stdout and everything else on stderr. A user's mistake (`UninasEvoError`)
is one message and exit code 2. To add a command, define it in a module of this package with `@app.command()`
and import heavy packages inside its body.
"""

from __future__ import annotations

import importlib
import pkgutil

from uninas_evo.cli._app import app

__all__ = ["app", "main"]

for _module in pkgutil.iter_modules(__path__):
    if not _module.name.startswith("_"):
        importlib.import_module(f"{__name__}.{_module.name}")


def main() -> None:
    """Runs the command line; the `uninas-evo` script calls this."""
    app()
