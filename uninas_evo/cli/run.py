"""Commands that search: run, resume, verify; and what a run file can say: list, reference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uninas_evo.cli._app import INTERRUPTED, app

if TYPE_CHECKING:
    from uninas_evo.engine.results import SearchResult

Set = Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the run file.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show nothing but errors.")]
Allow = Annotated[
    bool,
    typer.Option("--allow-changed-objective", help="Run your own objective although its file was changed."),
]


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="A run file (TOML).")],
    out: Annotated[Path | None, typer.Option(help="Run folder; by default the run file's path without .toml.")] = None,
    set_: Set = None,
    quiet: Quiet = False,
) -> None:
    """Search as a run file says, and write a run folder.

    Example: `uninas-evo run runs/quickstart.toml --set evaluations=50 --out runs/try`
    """
    from uninas_evo.config.runfile import load_run_file
    from uninas_evo.engine.search import run_file

    checked = load_run_file(file, set_ or [])
    if (training := checked.options.train) is not None:
        from uninas_evo.training import load_protocol, read_splits

        read_splits(training.data, load_protocol(training.protocol).val_fraction)  # hours later would be too late
    folder = out or file.with_suffix("")
    _finish(run_file(checked, folder, quiet=quiet), folder, quiet)


@app.command()
def resume(
    folder: Annotated[Path, typer.Argument(help="A run folder.")],
    set_: Set = None,
    allow_changed_objective: Allow = False,
    quiet: Quiet = False,
) -> None:
    """Go on with a run that was killed or interrupted, or that is to get more evaluations.

    Example: `uninas-evo resume runs/quickstart --set evaluations=400`
    """
    from uninas_evo.engine.search import resume as go_on

    result = go_on(folder, set_ or [], allow_changed_objective=allow_changed_objective, quiet=quiet)
    _finish(result, folder, quiet)


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="A run folder.")],
    random: Annotated[int | None, typer.Option(min=1, help="Verify this many random entries, not the winner.")] = None,
    device: Annotated[str | None, typer.Option(help="Where to score: cpu, cuda:0, ...; by default as the run.")] = None,
    allow_changed_objective: Allow = False,
) -> None:
    """Score recorded genomes again and compare: bit for bit on the same kind of device, else within a tolerance.

    Exit code 0: all agree; 1: some differ.

    Example: `uninas-evo verify runs/quickstart --random 5`
    """
    from uninas_evo.engine.verify import table
    from uninas_evo.engine.verify import verify as check

    rows = check(folder, random, device=device, allow_changed_objective=allow_changed_objective)
    _print(table(rows))
    if not all(row.agrees for row in rows):
        raise typer.Exit(1)


@app.command("list")
def list_(
    kind: Annotated[
        str | None, typer.Argument(help="strategies, problems or objectives; all of them by default.")
    ] = None,
) -> None:
    """List the strategies, problems and objectives that a run file can name.

    Example: `uninas-evo list strategies`
    """
    from uninas_evo.cli.listing import listing

    _print(listing(kind))


@app.command()
def reference() -> None:
    """Print the run-file reference (Markdown), made from the models that check run files.

    Example: `uninas-evo reference > docs/run-files.md`
    """
    from uninas_evo.config.reference import reference as page

    typer.echo(page(), nl=False)


def _finish(result: SearchResult, folder: Path, quiet: bool) -> None:
    """Does what comes after a search, and prints its summary; an interrupted run says how to go on."""
    from uninas_evo.cli.terminal_tables import summary_table
    from uninas_evo.engine.search import reopen

    if result.end.kind == "interrupted":
        typer.echo(f"{result.end.text}; nothing is lost, go on with: uninas-evo resume {folder}", err=True)
        raise typer.Exit(INTERRUPTED)
    options = reopen(folder)[0].options
    if result.front and options.after.plot:
        from uninas_evo.report.folder import plot_run

        plot_run(folder)
    if not quiet:
        _print(summary_table(result))
    if result.front and options.train is not None:
        from uninas_evo.compare.train_and_compare import as_markdown, train_and_compare

        rows = train_and_compare(folder, options.train, lambda line: None if quiet else typer.echo(line, err=True))
        if not quiet:
            typer.echo(as_markdown(rows))


def _print(table: object) -> None:
    from rich.console import Console

    Console(highlight=False).print(table)
