"""The command line's help: quick, complete, with an example for every command."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer.main
from typer.testing import CliRunner

import uninas_evo
from uninas_evo.cli import app

COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
HEAVY = ("torch", "numpy", "scipy", "pymoo", "optuna", "deap", "matplotlib", "timm", "pydantic", "networkx")


def test_help_imports_nothing_heavy() -> None:
    """`--help` is quick because it needs no library that is slow to import."""
    script = (
        "import sys\nfrom uninas_evo.cli import main\n"
        "sys.argv = ['uninas-evo', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    for command in COMMANDS:
        assert command in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    """A sentence, and a command that can be copied."""
    done = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert done.exit_code == 0
    assert f"uninas-evo {command}" in done.output
    assert "Example" in done.output


def test_the_package_exports_what_it_says() -> None:
    """Every name of `__all__` is there, documented in the package's docstring, and found by `dir`."""
    assert dir(uninas_evo) == sorted(uninas_evo.__all__)
    for name in uninas_evo.__all__:
        assert getattr(uninas_evo, name).__name__ == name
        assert name in (uninas_evo.__doc__ or "")
    with pytest.raises(AttributeError, match=r"'uninas_evo' has no attribute 'serch'; did you mean 'search'?"):
        _ = uninas_evo.serch  # type: ignore[attr-defined]


def test_importing_the_package_imports_nothing_heavy() -> None:
    """`import uninas_evo` is instant."""
    script = f"import sys, uninas_evo\nprint([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
