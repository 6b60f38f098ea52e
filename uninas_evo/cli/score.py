"""`uninas-evo score`: training-free scores of a network."""

from __future__ import annotations

from typing import Annotated

import typer

from uninas_evo.cli._app import app
from uninas_evo.cli._genomes import GenomeArgument, space_and_genome


@app.command()
def score(
    genome: GenomeArgument,
    proxy: Annotated[list[str] | None, typer.Option(help="A proxy or aggregate; give it several times.")] = None,
    batch: Annotated[int, typer.Option(min=2, help="Images a batch.")] = 64,
    seed: Annotated[int, typer.Option(help="Keys weights and images; compare equal seeds.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score a network without training it.

    `vkdnw_se` is the standard error of `vkdnw` over initializations; an aggregate's name gives its parts. `params` and
    `flops` are the space's exact costs.

    Example: `uninas-evo score coatnet --proxy vkdnw --proxy naswot --json`
    """
    import json as json_module

    from uninas_evo.contracts import Canonical
    from uninas_evo.proxies import Inputs
    from uninas_evo.proxies import score as score_module
    from uninas_evo.proxies.registry import find, names

    space, loaded = space_and_genome(genome)
    inputs = Inputs(batch=batch, image=space.image, seed=seed, device=device)
    scored = space.canonical(loaded) if isinstance(space, Canonical) else loaded
    values = score_module(space.build(scored), proxy or ["vkdnw"], inputs, costs=space.cost(loaded))
    if json:
        typer.echo(json_module.dumps(values))
        return
    for name, value in values.items():
        goal = f"  ({find(name).goal})" if name in names() else ""
        typer.echo(f"{name:18} {value:.6g}{goal}")
