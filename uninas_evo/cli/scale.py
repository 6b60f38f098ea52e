"""`uninas-evo scale`: a deeper, wider network for larger images, by coefficients that are searched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uninas_evo.cli._app import app
from uninas_evo.cli._genomes import GenomeArgument, space_and_genome

if TYPE_CHECKING:
    from uninas_evo.spaces.compound import Coefficients, Scaled


@app.command()
def scale(
    genome: GenomeArgument,
    target_flops: Annotated[float, typer.Option(min=1, help="Most FLOPs of one image, such as 500e6.")],
    coefficients: Annotated[
        str,
        typer.Option(help="`found`, `classical` (EfficientNet's), or depth,width,resolution for twice the FLOPs."),
    ] = "found",
    proxy: Annotated[str, typer.Option(help="The training-free score that coefficients are found by.")] = "vkdnw",
    data: Annotated[
        str | None, typer.Option(help="Find them by short trainings on this data instead; as for train.")
    ] = None,
    protocol: Annotated[str, typer.Option(help="Of these trainings.")] = "small",
    epochs: Annotated[int, typer.Option(min=1, help="Of these trainings.")] = 1,
    images: Annotated[int, typer.Option(min=0, help="Training images of these trainings; 0 for all.")] = 5000,
    refinements: Annotated[int, typer.Option(min=0, help="Evaluations after the grid.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Of weights and images.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
    out: Annotated[Path | None, typer.Option(help="Writes the largest network's genome to this file.")] = None,
) -> None:
    """Scales a network up to a target, depth, width and image together, and prints the curve over the exponent φ.

    Networks of UniNAS and UniNet can be scaled. The coefficients multiply depth, width and resolution for twice the
    FLOPs. They are found on a grid and refined by a simplex; what has more than twice the FLOPs is punished.

    Example: `uninas-evo scale coatnet --target-flops 4e9 --coefficients classical`
    """
    from uninas_evo.errors import GenomeError
    from uninas_evo.files import write_text
    from uninas_evo.spaces.compound import curve, find_coefficients, stride_of

    _, loaded = space_and_genome(genome)
    stride = stride_of(loaded)
    found = _given(coefficients)
    if found is None:
        how = _trained(data, protocol, epochs, images, seed, device) if data else _scored(proxy, seed, device)
        found, tried = find_coefficients(loaded, how, stride=stride, refinements=refinements)
        typer.echo(f"{len(tried)} coefficients were compared by {'training' if data else proxy}", err=True)
    print(f"coefficients for twice the FLOPs: {found}")
    networks = curve(loaded, found, target_flops, stride)
    print(f"{'φ':>5} {'image':>9} {'params':>14} {'FLOPs':>16}")
    for one in networks:
        cost, (_, height, width) = one.space.cost(one.genome), one.space.image
        print(f"{one.phi:>5.2f} {f'{height}x{width}':>9} {cost['params']:>14,} {cost['flops']:>16,}")
    if len(networks) == 1:
        raise GenomeError(
            f"no larger network has at most {target_flops:,.0f} FLOPs: the first step of growth lies above; give more"
        )
    if out is not None:
        write_text(out, networks[-1].genome.text)


def _given(text: str) -> Coefficients | None:
    """Coefficients that are not searched; None for those to be found.

    Raises:
        GenomeError: the text is none.
    """
    from uninas_evo.errors import GenomeError
    from uninas_evo.spaces.compound import CLASSICAL, Coefficients

    if text in ("found", "classical"):
        return CLASSICAL if text == "classical" else None
    try:
        depth, width, resolution = (float(part) for part in text.split(","))
        if not all(1 <= one <= 4 for one in (depth, width, resolution)):  # NaN is no factor either
            raise ValueError
    except ValueError:
        raise GenomeError(
            f"coefficients are found, classical, or three factors from 1 to 4, got {text!r:.60}; such as 1.2,1.1,1.15"
        ) from None
    return Coefficients(depth, width, resolution)


def _scored(proxy: str, seed: int, device: str) -> Callable[[Scaled], float]:
    """The score by a proxy, the greater the better."""
    from uninas_evo.proxies import Inputs
    from uninas_evo.proxies import score as score_module
    from uninas_evo.proxies.registry import find

    sign = -1.0 if find(proxy).goal == "minimize" else 1.0

    def value(one: Scaled) -> float:
        inputs = Inputs(batch=16, image=one.space.image, seed=seed, device=device)
        network = one.space.build(one.genome)
        return sign * score_module(network, [proxy], inputs, costs=one.space.cost(one.genome))[proxy]

    return value


def _trained(data: str, protocol: str, epochs: int, images: int, seed: int, device: str) -> Callable[[Scaled], float]:
    """The validation accuracy after a short training; 0 where that diverged."""
    from uninas_evo.errors import TrainingError
    from uninas_evo.scoring.subject import GenomeSubject
    from uninas_evo.scoring.training import TrainScorer
    from uninas_evo.threads import fixed_threads

    scorer = TrainScorer(data=data, protocol=protocol, epochs=epochs, images=images, peers=0)

    def value(one: Scaled) -> float:
        try:
            with fixed_threads(1):
                return float(scorer.score(GenomeSubject(one.genome, one.space, seed), device)["train"])
        except TrainingError:
            return 0.0

    return value
