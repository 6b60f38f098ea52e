"""`uninas-evo compare`: strategies on the same seeds with the same number of evaluations."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uninas_evo.cli._app import INTERRUPTED, app, show
from uninas_evo.cli._options import Style, Width

if TYPE_CHECKING:
    from rich.table import Table

    from uninas_evo.compare.analysis import Comparison


@app.command()
def compare(
    file: Annotated[Path, typer.Argument(help="A compare file (TOML).")],
    out: Annotated[Path | None, typer.Option(help="Folder; by default the compare file's path without .toml.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the compare file.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="STRATEGY", help="Draw this strategy alone; repeat for several.")
    ] = None,
    width: Width = None,
    style: Style = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show nothing but errors.")] = False,
) -> None:
    """Compare strategies on the same seeds with the same number of evaluations.

    Writes tables (CSV), figures (PNG, SVG, PDF) and a page, `index.html`; the same command goes on where it was
    interrupted, and draws anew what is done.

    Example: `uninas-evo compare runs/compare_small.toml --set seeds=20 --out runs/compare`
    """
    from uninas_evo.compare.compare import compare as run
    from uninas_evo.compare.comparefile import load_compare_file
    from uninas_evo.report.plots import styled

    checked = load_compare_file(file, set_ or [])
    folder = out or file.with_suffix("")
    try:
        with _progress(quiet) as watch, styled(style):
            comparisons = run(checked, folder, watch, only=only or (), width=width)
    except KeyboardInterrupt:
        typer.echo("interrupted; nothing is lost, give the same command to go on", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if not quiet:
        for comparison in comparisons:
            show(_table(comparison), at_least=160)
        typer.echo(folder / "index.html")


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar in a terminal, a line every ten seconds elsewhere."""
    if quiet:
        yield lambda done, total: None
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

        columns = ("seeds", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), "left", TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True, markup=False), transient=True) as bar:
            task = bar.add_task("", total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
    else:
        yield _Lines()


class _Lines:
    """Says how far it is, every ten seconds and at the end."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if done == total or time.monotonic() - self.last >= 10:
            self.last = time.monotonic()
            typer.echo(f"{done} of {total} groups of runs are done", err=True)


def _table(comparison: Comparison) -> Table:
    """The final table of one problem."""
    from rich.table import Table

    from uninas_evo.compare.page import method, power
    from uninas_evo.compare.tables import HEADINGS, final_table, for_people

    rows = for_people(final_table(comparison))
    told = f"{method(comparison)} {power(comparison)}"
    table = Table(*(HEADINGS[key] for key in rows[0]), title=comparison.problem, caption=told)
    for row in rows:
        table.add_row(*row.values())
    return table
