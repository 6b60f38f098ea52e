"""`uninas-evo walk`: search steps without a score."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uninas_evo.cli._app import app

STEPS = 500_000
"""Steps unless the run file or `--steps` says otherwise: enough to forget the start many times over, in seconds."""


@app.command()
def walk(
    file: Annotated[
        Path | None,
        typer.Argument(help="A run file: its space, its seed, and as many steps as it has evaluations."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for walk.csv, end.txt and the figures.")] = Path("walk"),
    start: Annotated[str | None, typer.Option(help="A preset or a genome's file; coatnet by default.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help=f"Attempts at a search step; {STEPS:,} by default.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of all draws; 0 by default.")] = None,
    max_params: Annotated[float | None, typer.Option(help="Most parameters; no bound by default.")] = None,
    max_flops: Annotated[float | None, typer.Option(help="Most FLOPs of one image; no bound by default.")] = None,
    eliminate: Annotated[float | None, typer.Option(help="Probability p of removing a node; 0.3 by default.")] = None,
    max_nodes: Annotated[
        int | None, typer.Option(help="Nodes of one block that an addition may lead to; 24 by default.")
    ] = None,
) -> None:
    """Walk at random through the space, without a score, and draw what the walk visits.

    Options override the run file. Prints how the walk behaved as one JSON object.

    Example: `uninas-evo walk --steps 500000 --max-params 40e6 --max-flops 20e9 --out walk`
    """
    import json

    from uninas_evo.config.runfile import apply_setting, load_run_file, parse_run
    from uninas_evo.errors import RunFileError
    from uninas_evo.report.walkplots import write
    from uninas_evo.spaces.uninas import UninasSpace
    from uninas_evo.spaces.uninas.walk import summary
    from uninas_evo.spaces.uninas.walk import walk as take

    fields = {
        "problem.start": start,
        "evaluations": steps,
        "seed": seed,
        "problem.budget.max_params": max_params,
        "problem.budget.max_flops": max_flops,
        "problem.step.eliminate": eliminate,
        "problem.step.max_nodes": max_nodes,
    }
    settings = [f"{field}={value}" for field, value in fields.items() if value is not None]
    if file is None:
        content = {"evaluations": STEPS}
        for setting in settings:
            apply_setting(content, setting)
        run = parse_run(content, "the walk", Path())
    else:
        run = load_run_file(file, settings)
    space, length = run.problem().space, run.options.evaluations
    if not isinstance(space, UninasSpace) or length is None:
        raise RunFileError(
            f"a walk needs a number of steps and the UniNAS space, got problem {run.problem_name!r} and "
            f"evaluations {length}; give --steps, or a run file of the problem 'uninas'"
        )
    walked = take(space, length, run.options.seed)
    for path in write(walked, out):
        typer.echo(path, err=True)
    typer.echo(json.dumps(summary(walked)))
