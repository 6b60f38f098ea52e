"""`uninas-evo solve`: from data to a trained network within a clock."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uninas_evo.cli._app import INTERRUPTED, app
from uninas_evo.cli._options import BaselineOption, Quiet


@app.command()
def solve(
    data: Annotated[str, typer.Argument(help="As for train: a folder, IDX files, or an .npz file.")],
    hours: Annotated[float, typer.Option(help="All the time that may be spent.")],
    max_params: Annotated[
        float | None, typer.Option(min=1, help="Most parameters, such as 100e3; a million by default.")
    ] = None,
    max_flops: Annotated[
        float | None,
        typer.Option(min=1, help="Most FLOPs of one image, such as 6e6; by default what the time trains."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for everything.")] = Path("solved"),
    protocol: Annotated[str, typer.Option(help="How networks are trained; its epochs are chosen.")] = "small",
    vary: Annotated[
        list[str] | None, typer.Option(help="Search this part of the skeleton too: width, depth, image or stem.")
    ] = None,
    baseline: BaselineOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Of all draws.")] = 0,
    devices: Annotated[
        list[str] | None, typer.Option("--device", help="cpu or cuda:0; repeat for several. By default all.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Searches and trains the best network for a data set within a clock, and says what the search added.

    It prints its plan first. The same command goes on where a kill stopped it, with what is left of the time.

    Example: `uninas-evo solve photos --hours 2 --max-params 100e3`
    """
    from uninas_evo.solving.solve import solve as work

    try:
        found = work(
            data,
            hours,
            max_params=max_params,
            max_flops=max_flops,
            out=out,
            protocol=protocol,
            vary=vary or (),
            baseline=baseline,
            seed=seed,
            devices=devices,
            quiet=quiet,
        )
    except KeyboardInterrupt:
        typer.echo("interrupted; nothing is lost, give the same command to go on", err=True)
        raise typer.Exit(INTERRUPTED) from None
    print(found.sentence)
    print(f"test accuracy {found.accuracy:.2%} ({found.chosen})")
    print(f"network       {found.network}")
    print(f"onnx          {found.onnx}")
    print(f"page          {found.page}")
