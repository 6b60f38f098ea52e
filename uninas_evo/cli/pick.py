"""`uninas-evo pick`: the best member of a run under limits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uninas_evo.cli._app import app
from uninas_evo.cli._options import Trust


@app.command()
def pick(
    folder: Annotated[Path, typer.Argument(help="A run folder.")],
    params: Annotated[
        float | None, typer.Option("--max-params", "--params", min=0, help="Most parameters, such as 5e6.")
    ] = None,
    flops: Annotated[
        float | None, typer.Option("--max-flops", "--flops", min=0, help="Most FLOPs of one image, such as 1e9.")
    ] = None,
    most: Annotated[
        list[str] | None,
        typer.Option("--max", metavar="NAME=VALUE", help="The most of any cost or objective; repeat for several."),
    ] = None,
    least: Annotated[
        list[str] | None,
        typer.Option("--min", metavar="NAME=VALUE", help="The least of any cost or objective; repeat for several."),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(help="The objective that decides; by default the front's knee; what is limited does not."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The genome file; by default picked.txt in the run folder.")] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="A folder for its network with the run's shared weights: trained already, for export."),
    ] = None,
    trust: Trust = False,
) -> None:
    """Take the best member of a run under limits on its costs and objectives as a genome file.

    Of a run over shared weights, --weights takes its trained network too, in seconds and without a training of its own.

    Example: `uninas-evo pick runs/pareto --max-params 5e6 --max latency_ms=3 --out small.txt`
    """
    from uninas_evo.formats import exact
    from uninas_evo.report.folder import pick as choose

    limits = {"params": params, "flops": flops, **dict(_limit(text, "--max") for text in most or ())}
    bounds = {f"max_{name}": value for name, value in limits.items() if value is not None}
    bounds |= {f"min_{name}": value for name, value in (_limit(text, "--min") for text in least or ())}
    picked = choose(folder, by=by, out=out, **bounds)
    values = ", ".join(f"{name} {value:.6g}" for name, value in picked.values.items())
    costs = ", ".join(f"{name} {exact(value)}" for name, value in picked.cost.items())
    typer.echo(f"candidate {picked.number}, genome {picked.id}: {values}; {costs}", err=True)
    typer.echo(picked.path)
    if weights is not None:
        from uninas_evo.api import specialize

        typer.echo(specialize(folder, picked.path, weights, trust=trust))


def _limit(text: str, option: str) -> tuple[str, float]:
    """The name and the bound of "NAME=VALUE".

    Raises:
        BudgetError: it is not written so.
    """
    from uninas_evo.errors import BudgetError

    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise BudgetError(f"{option} takes NAME=VALUE, such as latency_ms=3; got {text!r}") from None
