"""`uninas-evo cost`: what a network costs."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated

import typer

from uninas_evo.cli._app import GenomeArgument, app


@app.command()
def cost(
    genome: GenomeArgument,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Parameters, FLOPs, further costs of its space, and nodes of a network, from formulas.

    Example: `uninas-evo cost coatnet --json`
    """
    from uninas_evo.spaces.load import load_space

    space, loaded = load_space(genome)
    digest = hashlib.sha256(space.encode(loaded).encode()).hexdigest()[:12]
    nodes = {"nodes": len(loaded)} if hasattr(loaded, "__len__") else {}
    values: dict[str, float | str] = {**space.cost(loaded), **nodes, "id": digest}
    if as_json:
        print(json.dumps(values))
        return
    width = max(map(len, values))
    for name, value in values.items():
        print(f"{name:<{width}} {value if isinstance(value, str) else f'{value:,}':>20}")
