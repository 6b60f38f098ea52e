"""`uninas-evo cost`: what a network costs."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uninas_evo.cli._app import GenomeArgument, app

if TYPE_CHECKING:
    from uninas_evo.contracts import Cost, Space


@app.command()
def cost(
    genome: GenomeArgument,
    image: Annotated[
        str | None,
        typer.Option(metavar="HxW", help="As a backbone: what the maps of an image of so many pixels cost."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Parameters, FLOPs, further costs of its space, and nodes of a network, from formulas.

    With --image it is the network without its classifier's head, as detectors and segmentation use it.

    Example: `uninas-evo cost coatnet --image 800x1280`
    """
    from uninas_evo.spaces.load import load_space

    space, loaded = load_space(genome)
    digest = hashlib.sha256(space.encode(loaded).encode()).hexdigest()[:12]
    nodes = {"nodes": len(loaded)} if hasattr(loaded, "__len__") else {}
    costs = space.cost(loaded) if image is None else _backbone_cost(space, loaded, image)
    values: dict[str, float | str] = {**costs, **nodes, "id": digest}
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
