"""Steps that change the skeleton: wider, narrower, deeper, shallower, other images, another stride of the stem."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, get_args

from uninas_evo.errors import GenomeError
from uninas_evo.spaces.uninas.genome import Genome
from uninas_evo.spaces.uninas.resize import STEM_STEP, on_skeleton, width_steps
from uninas_evo.spaces.uninas.skeleton import STEM_STRIDES

Part = Literal["width", "depth", "image", "stem"]
"""A part of the skeleton that a search may change: the channels of the stem and the stages, the blocks of the stages,
the sides of the image, the stride of the stem."""
PARTS: tuple[Part, ...] = get_args(Part)
SHARE = 0.25
"""By how much of itself a width or an image grows or shrinks: a step of 8 channels is nothing to 384."""


def vary(genome: Genome, parts: Sequence[Part], rng: random.Random) -> Genome | None:
    """One attempt to change one part of the skeleton by a step, up or down alike often; its budget is not bounded here.

    Args:
        genome: is left unchanged.
        parts: what may change; one is drawn.
        rng: all draws come from it.

    Returns:
        The changed genome, or None where an operation cannot stand on its new shape or there is no such skeleton.
    """
    edit = _EDITS[parts[rng.randrange(len(parts))]]
    try:
        child = edit(genome, rng.choice((-1, 1)), rng)
    except GenomeError:
        return None
    return None if child == genome else child


def _width(genome: Genome, way: int, rng: random.Random) -> Genome:
    skeleton = genome.skeleton
    place = rng.randrange(2 + len(skeleton.channels))
    widths = [*skeleton.stem, *skeleton.channels]
    step = STEM_STEP if place < 2 else width_steps(genome)[place - 2]
    if not step:
        raise GenomeError("a stage with attention heads that differ keeps its width")
    widths[place] += way * max(round(SHARE * widths[place] / step), 1) * step
    first, second, *channels = widths
    return on_skeleton(genome, replace(skeleton, stem=(first, second), channels=tuple(channels)))


def _depth(genome: Genome, way: int, rng: random.Random) -> Genome:
    """A block more, a copy of its neighbor, or a block less."""
    skeleton = genome.skeleton
    stage = rng.randrange(len(skeleton.depths))
    depths = list(skeleton.depths)
    block = 2 * (sum(depths[:stage]) + rng.randrange(depths[stage]))
    depths[stage] += way
    own = genome.chains[block : block + 2]
    chains = (*genome.chains[:block], *(own + own if way > 0 else ()), *genome.chains[block + 2 :])
    return Genome.of(replace(skeleton, depths=tuple(depths)), chains)


def _image(genome: Genome, way: int, _rng: random.Random) -> Genome:
    skeleton = genome.skeleton
    sides = [side // skeleton.stride for side in skeleton.image[1:]]
    factor = 1 + way * max(SHARE, 1 / min(sides))
    height, width = (max(round(factor * side), 1) * skeleton.stride for side in sides)
    return on_skeleton(genome, replace(skeleton, image_size=(height, width)))


def _stem(genome: Genome, way: int, _rng: random.Random) -> Genome:
    skeleton = genome.skeleton
    place = STEM_STRIDES.index(skeleton.stem_stride) + way
    if not 0 <= place < len(STEM_STRIDES):
        raise GenomeError("there is no such stride")
    return on_skeleton(genome, replace(skeleton, stem_stride=STEM_STRIDES[place]))


_EDITS: dict[Part, Callable[[Genome, int, random.Random], Genome]] = {
    "width": _width,
    "depth": _depth,
    "image": _image,
    "stem": _stem,
}
