"""The command that hands a Bayesian run to Optuna's own tools: export-study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uninas_evo.cli._app import app


@app.command("export-study")
def export_study(
    folder: Annotated[Path, typer.Argument(help="The folder of a run with the strategy bayesian.")],
    storage: Annotated[
        str | None, typer.Option(help="An Optuna storage URL; by default study.db (SQLite) in the run folder.")
    ] = None,
    allow_changed_objective: Annotated[
        bool, typer.Option("--allow-changed-objective", help="Trust an objective's file that has changed.")
    ] = False,
) -> None:
    """Write the Optuna study of a Bayesian run to a storage, for optuna-dashboard.

    The study is rebuilt by replaying the journal; nothing is scored.

    Example: `uninas-evo export-study runs/bayesian && optuna-dashboard sqlite:///runs/bayesian/study.db`
    """
    from uninas_evo.engine.identity import check_sources, current_sources
    from uninas_evo.engine.journal import Journal
    from uninas_evo.engine.loop import Loop
    from uninas_evo.engine.search import plan_of, reopen
    from uninas_evo.errors import RunFileError
    from uninas_evo.strategies.bayesian import Bayesian
    from uninas_evo.strategies.bayesian import export_study as export

    journal = Journal.of(folder)
    plan = plan_of(reopen(folder, header=journal.header)[0])
    if journal.header is not None:
        check_sources(current_sources(plan.problem), journal.header, allowed=allow_changed_objective)
    if not isinstance(plan.strategy, Bayesian):
        raise RunFileError(
            f"{folder} is no run of the strategy bayesian but of {type(plan.strategy).__name__}: only bayesian keeps "
            f"an Optuna study; give another folder"
        )
    Loop(plan.problem, plan.strategy, journal).replay()
    if storage is None and (folder / "study.db").is_symlink():
        raise RunFileError(f"{folder / 'study.db'} is a link, and nothing is written through one; remove it")
    url = storage or f"sqlite:///{(folder / 'study.db').absolute()}"
    export(plan.strategy.study, url, folder.absolute().name)
    typer.echo(url)
