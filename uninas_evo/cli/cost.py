"""`uninas-evo cost`: what a network costs."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from uninas_evo.cli._app import GenomeArgument, app


@app.command()
def cost(
    genome: GenomeArgument,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Parameters, FLOPs and nodes of a network, from formulas.

    Example: `uninas-evo cost coatnet --json`
    """
    from uninas_evo.spaces.uninas import load_genome

    loaded = load_genome(genome)
    values = {"params": loaded.params, "flops": loaded.flops, "nodes": len(loaded), "id": loaded.id}
    if as_json:
        print(json.dumps(values))
        return
    print(f"params {loaded.params:>20,}\nflops  {loaded.flops:>20,}\nnodes  {len(loaded):>20,}\nid     {loaded.id:>20}")
