"""`uninas-evo bench`: how fast networks are on this device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uninas_evo.cli._app import app

if TYPE_CHECKING:
    from uninas_evo.compare.bench import Benched


@app.command()
def bench(
    networks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NETWORK...",
            help="ONNX files, run or training folders, genomes, presets, timm:NAME, torchvision:NAME, known.",
        ),
    ] = None,
    backend: Annotated[str, typer.Option(help="ort (ONNX Runtime), eager (torch) or compile (torch.compile).")] = "ort",
    threads: Annotated[int, typer.Option(min=1, help="Threads of a forward pass.")] = 1,
    repeats: Annotated[int, typer.Option(min=1, help="Timed passes, after a quarter as many.")] = 50,
    run: Annotated[
        Path | None,
        typer.Option(help="The run that promised latencies; by default the one whose folder the network lies in."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="A PNG of error against latency.")] = None,
) -> None:
    """Time networks on this device, beside what a search promised and beside known networks.

    Without a NETWORK these are MobileNetV2 and V3, MnasNet, EfficientNet-B0, ShuffleNetV2 and the presets.

    Example: `uninas-evo bench known runs/pareto --plot bench.png`
    """
    from uninas_evo.compare.bench import bench, figure
    from uninas_evo.devices.timing import checked
    from uninas_evo.report.plots import save

    found = bench(networks or (), backend=checked(backend), threads=threads, repeats=repeats, run=run, told=_tell)
    if plot is not None:
        print(save(figure(found), plot.with_suffix(""))[0])


def _tell(one: Benched) -> None:
    timing = one.timing
    promised = "".join(f", promised {name} {value:.3g}" for name, value in one.promised.items())
    memory = "" if one.memory is None else f", {one.memory:.3g} MB of memory"
    error = "" if one.error is None else f", error {one.error:.2%} {one.source}"
    print(
        f"{one.name}: {timing.median:.3g} ms ({timing.low:.3g} to {timing.high:.3g}){promised}; "
        f"{one.megabytes:.3g} MB{memory} at {'x'.join(map(str, one.image))}{error}",
        flush=True,
    )
