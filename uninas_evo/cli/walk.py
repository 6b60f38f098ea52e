"""The walk through the space: walk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uninas_evo.cli._app import app


@app.command()
def walk(
    out: Annotated[Path, typer.Option(help="Folder for walk.csv, end.txt and the figures.")],
    start: Annotated[str, typer.Option(help="A preset or a genome's file.")] = "coatnet",
    steps: Annotated[int, typer.Option(min=1, help="Attempts at a search step.")] = 500_000,
    seed: Annotated[int, typer.Option(help="Of all draws.")] = 0,
    max_params: Annotated[float, typer.Option(help="Most parameters.")] = float("inf"),
    max_flops: Annotated[float, typer.Option(help="Most FLOPs of one image.")] = float("inf"),
    eliminate: Annotated[float, typer.Option(min=0, max=1, help="Probability p of removing a node.")] = 0.3,
    max_nodes: Annotated[int, typer.Option(min=0, help="Nodes of one block that an addition may lead to.")] = 24,
) -> None:
    """Walk at random through the space, without a score, and draw what the walk visits.

    Prints how the walk behaved as one JSON object.

    Example: `uninas-evo walk --steps 500000 --max-params 40e6 --max-flops 20e9 --out walk`
    """
    import json

    from uninas_evo.contracts import Budget
    from uninas_evo.report.walk import summary, write
    from uninas_evo.report.walk import walk as take
    from uninas_evo.space import StepRule, UninasSpace, load_genome

    rule = StepRule(eliminate=eliminate, max_nodes=max_nodes)
    walked = take(UninasSpace(load_genome(start), Budget(0, max_params, 0, max_flops), rule), steps, seed)
    for path in write(walked, out):
        typer.echo(path, err=True)
    typer.echo(json.dumps(summary(walked)))
