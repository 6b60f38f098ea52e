"""The same topology on another skeleton: scaled as a whole, or widened until it spends a budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, lru_cache

from uninas_evo.errors import GenomeError
from uninas_evo.spaces.uninas.chain import Chain
from uninas_evo.spaces.uninas.genome import Genome
from uninas_evo.spaces.uninas.operations import Shape
from uninas_evo.spaces.uninas.skeleton import Skeleton
from uninas_evo.spaces.uninas.text import parse_chain

CHANNEL_STEP = 8
"""Widths are multiples of it: the group sizes that convolutions are fast at."""
MOST_STEP = 192
"""Greatest step of a width that is tried: six attention heads, which two nested thirds of a width need."""
STEM_STEP = 4
"""Stems are narrow, and have no groups."""
COMPOUND = (1.2, 1.1, 1.15)
"""Depth, width and resolution for twice the FLOPs (Tan & Le, "EfficientNet", ICML 2019, section 3.3)."""


def on_skeleton(genome: Genome, skeleton: Skeleton) -> Genome:
    """A genome's chains on another skeleton with as many stages.

    A stage that gets deeper repeats its blocks, one that gets shallower leaves some out, both evenly.

    Raises:
        GenomeError: the numbers of stages differ, or an operation cannot stand on its new shape.
    """
    old = genome.skeleton
    if len(old.channels) != len(skeleton.channels):
        raise GenomeError(
            f"a network keeps its stages, got a skeleton of {len(skeleton.channels)} for one of {len(old.channels)}; "
            "give as many channels and depths"
        )
    chains = []
    for stage, place in skeleton.blocks:
        source = sum(old.depths[:stage]) + place * old.depths[stage] // skeleton.depths[stage]
        for own in genome.chains[2 * source : 2 * source + 2]:
            chains.append(_moved(own, skeleton.stage_shape(stage), f"stage {stage + 1}"))
    return Genome.of(skeleton, chains)


def scale(genome: Genome, depth: float = 1, width: float = 1, image: int | tuple[int, int] | None = None) -> Genome:
    """A deeper, wider network for other images.

    Args:
        genome: is left as it is.
        depth: multiplies the blocks of all stages, halves rounded up.
        width: multiplies the channels of the stem and all stages, to the nearest multiple of 8 or of what their
            operations need, such as 32 for attention.
        image: side of the images, or their height and width; the genome's own by default.

    Raises:
        GenomeError: a factor is not positive, an operation cannot stand on its new shape, or the stride does not
            divide the sides.
    """
    if not (depth > 0 and width > 0):
        raise GenomeError(f"depth and width are factors above 0, got {depth} and {width}; 1 changes nothing")
    old = genome.skeleton
    channels, stem = old.channels, old.stem
    if width != 1:
        steps = width_steps(genome)
        if 0 in steps:
            raise GenomeError(
                f"stage {steps.index(0) + 1} cannot be widened: it has attention heads that differ; give width = 1"
            )
        channels = tuple(_nearest(c * width, step) for c, step in zip(channels, steps, strict=True))
        stem = _nearest(stem[0] * width, STEM_STEP), _nearest(stem[1] * width, STEM_STEP)
    skeleton = replace(
        old,
        image_size=old.image_size if image is None else image,
        stem=stem,
        channels=channels,
        depths=tuple(_nearest(d * depth, 1) for d in old.depths),
    )
    return on_skeleton(genome, skeleton)


def compound(genome: Genome, exponent: float) -> Genome:
    """A network of about 2^exponent times the FLOPs: depth, width and image grow together (see `COMPOUND`).

    Raises:
        GenomeError: as `scale`.
    """
    depth, width, resolution = (factor**exponent for factor in COMPOUND)
    _, height, wide = genome.skeleton.image
    stride = genome.skeleton.stride
    sides = _nearest(height * resolution, stride), _nearest(wide * resolution, stride)
    return scale(genome, depth, width, sides)


def fill(genome: Genome, fits: Callable[[Genome], bool]) -> Genome | None:
    """The genome with its stages as wide as fits, in their own proportions (see `widest`).

    Args:
        genome: is left unchanged; it may be wider than fits.
        fits: whether a genome is inside, for all that are narrower than one that is.
    """
    skeleton = genome.skeleton
    return widest(
        lambda channels: on_skeleton(genome, replace(skeleton, channels=channels)),
        skeleton.channels,
        width_steps(genome),
        fits,
    )


def widest(
    make: Callable[[tuple[int, ...]], Genome],
    proportions: Sequence[int],
    steps: Sequence[int],
    fits: Callable[[Genome], bool],
) -> Genome | None:
    """The widest genome that fits; None where the narrowest does not.

    All stages are widened by one factor, rounded down to multiples of their steps; then, while that fits, by single
    steps, last stage first and none beyond its successor.

    Args:
        make: the genome of channels, one for each stage.
        proportions: of these channels.
        steps: what each stage's channels are multiples of; 0 keeps them as in `proportions`.
        fits: whether a genome is inside.
    """

    def widths(factor: float) -> tuple[int, ...]:
        pairs = zip(proportions, steps, strict=True)
        return tuple(step * max(1, int(factor * c / step)) if step else c for c, step in pairs)

    @cache
    def made(channels: tuple[int, ...]) -> Genome | None:
        genome = make(channels)
        return genome if fits(genome) else None

    low, high = 0.0, 1.0
    best = made(widths(low))
    if best is None or not any(steps):
        return best
    while high < 2**10 and made(widths(high)):
        low, high = high, 2 * high
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if made(widths(middle)) else (low, middle)
    best = made(widths(low))
    while best and (wider := next(filter(None, map(made, _one_step_wider(best.skeleton.channels, steps))), None)):
        best = wider
    return best


def width_steps(genome: Genome) -> tuple[int, ...]:
    """For each stage the least number of channels by which it can grow and shrink; 0 where it cannot."""
    found, skeleton = [], genome.skeleton
    for stage in range(len(skeleton.channels)):
        texts = {c.text for c, (own, _) in zip(genome.chains[::2], skeleton.blocks, strict=True) if own == stage}
        texts |= {c.text for c, (own, _) in zip(genome.chains[1::2], skeleton.blocks, strict=True) if own == stage}
        _, height, width = skeleton.stage_shape(stage)
        steps = range(CHANNEL_STEP, MOST_STEP + 1, CHANNEL_STEP)
        found.append(next((s for s in steps if all(_stands(text, (s, height, width)) for text in texts)), 0))
    return tuple(found)


def _one_step_wider(channels: tuple[int, ...], steps: Sequence[int]) -> Iterator[tuple[int, ...]]:
    for stage in reversed(range(len(channels))):
        wider = channels[stage] + steps[stage]
        if steps[stage] and (stage + 1 == len(channels) or wider <= channels[stage + 1]):
            yield (*channels[:stage], wider, *channels[stage + 1 :])


@lru_cache(2**14)
def _stands(text: str, shape: Shape) -> bool:
    """Whether a chain can stand on a shape and, since all rules divide, on all multiples of its channels."""
    try:
        return all(parse_chain(text, (factor * shape[0], *shape[1:])) for factor in (1, 2))
    except GenomeError:
        return False


def _moved(own: Chain, shape: Shape, where: str) -> Chain:
    return own if own.shape == shape else _parsed(own.text, shape, where)


_parsed = lru_cache(2**12)(parse_chain)
"""Most chains of a child are its parent's."""


def _nearest(value: float, divisor: int) -> int:
    """The nearest positive multiple, halves rounded up; 80 · 1.15 is 92 and not a last bit less."""
    return max(1, int(round(value, 9) / divisor + 0.5)) * divisor
