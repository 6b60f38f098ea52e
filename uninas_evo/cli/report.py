"""Commands that compare strategies and look at runs: compare, plot, pick."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uninas_evo.cli._app import INTERRUPTED, app

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
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show nothing but errors.")] = False,
) -> None:
    """Compare strategies on the same seeds with the same number of evaluations.

    Writes tables (CSV), figures (PNG, SVG) and a page, `index.html`; the same command goes on where it was
    interrupted.

    Example: `uninas-evo compare runs/compare_small.toml --set seeds=20 --out runs/compare`
    """
    from uninas_evo.compare.compare import compare as run
    from uninas_evo.compare.comparefile import load_compare_file

    checked = load_compare_file(file, set_ or [])
    folder = out or file.with_suffix("")
    try:
        with _progress(quiet) as watch:
            comparisons = run(checked, folder, watch)
    except KeyboardInterrupt:
        typer.echo("interrupted; nothing is lost, give the same command to go on", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if not quiet:
        for comparison in comparisons:
            _print(_table(comparison))
        typer.echo(folder / "index.html")


@app.command()
def plot(
    folder: Annotated[Path, typer.Argument(help="A run folder.")],
    out: Annotated[Path | None, typer.Option(help="Where the files go; by default the run folder.")] = None,
    presets: Annotated[
        bool, typer.Option("--presets", help="Score the presets on the run's skeleton, and mark them.")
    ] = False,
) -> None:
    """Draw a run as PNG and SVG: its best so far or its hypervolume, and its Pareto front.

    Example: `uninas-evo plot runs/pareto --presets`
    """
    from uninas_evo.report.folder import plot_run

    for path in plot_run(folder, out, presets=presets):
        typer.echo(path)


@app.command()
def pick(
    folder: Annotated[Path, typer.Argument(help="A run folder.")],
    params: Annotated[float, typer.Option(min=0, help="Most parameters, such as 5e6.")] = float("inf"),
    flops: Annotated[float, typer.Option(min=0, help="Most FLOPs of one image, such as 1e9.")] = float("inf"),
    by: Annotated[
        str | None,
        typer.Option(help="The objective that decides; by default the front's knee; a limited cost does not."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The genome file; by default picked.txt in the run folder.")] = None,
) -> None:
    """Take the best member of a run under a limit as a genome file.

    Example: `uninas-evo pick runs/pareto --params 5e6 --out small.txt`
    """
    from uninas_evo.report.folder import pick as choose

    picked = choose(folder, max_params=params, max_flops=flops, by=by, out=out)
    values = ", ".join(f"{name} {value:.6g}" for name, value in picked.values.items())
    cost = f"{picked.cost.params:,} params, {picked.cost.flops:,} FLOPs"
    typer.echo(f"candidate {picked.number}, genome {picked.id}: {values}; {cost}", err=True)
    typer.echo(picked.path)


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar in a terminal, a line every ten seconds elsewhere."""
    if quiet:
        yield lambda done, total: None
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

        columns = ("seeds", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), "left", TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
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
    from rich.markup import escape
    from rich.table import Table

    from uninas_evo.compare.page import method, power
    from uninas_evo.compare.tables import HEADINGS, final_table, for_people

    rows = for_people(final_table(comparison))
    told = f"{method(comparison)} {power(comparison)}"
    table = Table(*(HEADINGS[key] for key in rows[0]), title=escape(comparison.problem), caption=escape(told))
    for row in rows:
        table.add_row(*map(escape, row.values()))
    return table


def _print(table: Table) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    console.width = max(console.width, 160)
    console.print(table)
