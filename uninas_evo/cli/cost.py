"""`uninas-evo cost`: what a network costs."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uninas_evo.cli._app import app
from uninas_evo.cli._genomes import GenomeArgument, space_and_genome

if TYPE_CHECKING:
    from uninas_evo.contracts import Cost, Space


@app.command()
def cost(
    genome: GenomeArgument,
    image: Annotated[
        str | None,
        typer.Option(metavar="HxW", help="As a backbone: what the maps of an image of so many pixels cost."),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(help="With --image: measure images a second under this protocol's head, such as coco, here."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Parameters, FLOPs, further costs of its space, and nodes of a network, from formulas.

    With --image it is the network without its classifier's head, as detectors and segmentation use it; with --protocol
    too, how many such images the whole detector or segmentation network takes a second on this CPU.

    Example: `uninas-evo cost coatnet --image 800x1280`
    """
    space, loaded = space_and_genome(genome)
    digest = hashlib.sha256(space.encode(loaded).encode()).hexdigest()[:12]
    nodes = {"nodes": len(loaded)} if hasattr(loaded, "__len__") else {}
    costs = space.cost(loaded) if image is None else _backbone_cost(space, loaded, image)
    measured = {} if image is None or protocol is None else {"images_per_s": _speed(space, loaded, image, protocol)}
    values: dict[str, float | str] = {**costs, **measured, **nodes, "id": digest}
    if as_json:
        print(json.dumps(values))
        return
    width = max(map(len, values))
    for name, value in values.items():
        print(f"{name:<{width}} {value if isinstance(value, str) else f'{value:,}':>20}")


def _backbone_cost(space: Space[Any], genome: Any, image: str) -> Cost:
    from uninas_evo.contracts import Backbones
    from uninas_evo.errors import SpaceError

    if not isinstance(space, Backbones):
        raise SpaceError(
            f"--image is for networks whose maps have formulas at every size, those of UniNAS and UniNet, got one of "
            f"{type(space).__name__}; leave it out"
        )
    height, width = image_size(image)
    return space.backbone_cost(genome, height, width)


def _speed(space: Space[Any], genome: Any, image: str, name: str) -> float:
    """Images a second, one after the other, of a network under a protocol's head; two are run before."""
    import time

    import torch

    from uninas_evo.threads import fixed_threads
    from uninas_evo.training.protocol import load_protocol
    from uninas_evo.training.tasks import task_class

    height, width = image_size(image)
    protocol = load_protocol(name).replace(image_size=min(height, width))
    network = task_class(protocol.task).assembled(space.build(genome), space.classes, protocol, seed=0).eval()
    pixels = torch.rand(3, height, width)
    images = [pixels] if protocol.task == "detection" else pixels[None]
    with torch.inference_mode(), fixed_threads(protocol.threads):
        for _ in range(2):
            network(images)
        start, count = time.perf_counter(), 0
        while (passed := time.perf_counter() - start) < 1:
            network(images)
            count += 1
    return round(count / passed, 2)


def image_size(text: str) -> tuple[int, int]:
    """Height and width of a text such as 800x1280.

    Raises:
        SpaceError: it is none.
    """
    from uninas_evo.errors import SpaceError

    found = re.fullmatch(r"([1-9]\d{1,4})[x×]([1-9]\d{1,4})", text)
    if found is None:
        raise SpaceError(f"an image's size is height x width of 10 to 99999 pixels, got {text!r:.40}; such as 800x1280")
    return int(found[1]), int(found[2])
