"""The published networks UniNet-B0 to B6 and the space's reference, and compound scaling.

Source: Liu et al., "UniNet: Unified Architecture Search with Convolution, Transformer, and MLP", ECCV 2022, arXiv
2207.05420, and the authors' code. The first version of the paper has other networks under the same names.
"""

from __future__ import annotations

from dataclasses import replace

from uninas_evo.errors import GenomeError
from uninas_evo.spaces.uninet.genome import Genome, Skeleton, Stage

REFERENCE = "uninet-reference"
"""All DWConv and L at the middle of the lattice: where a search begins, so that it does not begin at its answer."""

_KINDS = (("L", "DWConv", 4), ("L", "DWConv", 6), ("L", "DWConv", 3), ("LG", "SA", 2), ("LG", "SA", 5))
_SIZES: dict[str, tuple[int, tuple[int, int], tuple[int, ...], tuple[int, ...]]] = {
    "uninet-b0": (160, (24, 1), (48, 80, 128, 128, 256), (2, 4, 4, 4, 8)),
    "uninet-b1": (224, (24, 1), (48, 80, 128, 128, 256), (2, 4, 4, 4, 8)),
    "uninet-b2": (256, (24, 2), (48, 80, 128, 128, 256), (3, 6, 6, 6, 12)),
    "uninet-b3": (288, (24, 2), (56, 96, 160, 160, 288), (3, 7, 7, 7, 14)),
    "uninet-b4": (320, (32, 2), (64, 112, 192, 192, 352), (4, 9, 9, 9, 18)),
    "uninet-b5": (384, (32, 3), (64, 112, 224, 224, 448), (5, 10, 10, 10, 20)),
    "uninet-b6": (448, (48, 4), (96, 160, 256, 256, 512), (6, 12, 12, 12, 24)),
}
"""Image side, fixed stage, channels and repeats of the stages: the lists of the authors' code."""
_REFERENCE_STAGES = tuple(
    Stage("L", "DWConv", e, c, r)
    for e, c, r in zip((4, 4, 4, 6, 6), (32, 48, 96, 128, 192), (2, 2, 3, 5, 8), strict=True)
)

PRESETS = (*_SIZES, REFERENCE)
"""The names of the presets."""


def preset(name: str) -> Genome:
    """A published network, or the reference.

    Raises:
        GenomeError: there is no preset of this name.
    """
    if name == REFERENCE:
        return Genome(Skeleton(), _REFERENCE_STAGES)
    if name not in _SIZES:
        from uninas_evo.mistakes import nearest

        raise GenomeError(f"unknown preset {name!r}; use one of {', '.join(PRESETS)}{nearest(name, PRESETS)}")
    image, first, channels, repeats = _SIZES[name]
    sizes = zip(_KINDS, channels, repeats, strict=True)
    return Genome(Skeleton(image_size=image, first=first), tuple(Stage(*kind, c, r) for kind, c, r in sizes))


def scale(
    genome: Genome, depth: float = 1, width: float = 1, image: int | None = None, late_width: float | None = None
) -> Genome:
    """A deeper, wider network for other images: compound scaling as from B0 to B1–B6.

    The multipliers are fitted to the code's lists, the paper gives none: depth 1, 1, 1.5, 1.7, 2.2, 2.5, 3 and width
    1, 1, 1, 1.15, 1.4, 1.4, 2 for B0 to B6, B5's `late_width` 1.75. They give every list but for the fixed stage of
    B6, which is 4 deep and not 3.

    Args:
        genome: is left as it is.
        depth: multiplies the blocks of all stages, halves rounded up.
        width: multiplies the channels of all stages, to the nearest multiple of 8 in the fixed stage and the first
            two stages, of the head width in the others and where a stage attends.
        image: side of the images; the genome's own by default.
        late_width: multiplies the channels from the third stage on instead of `width`.

    Raises:
        GenomeError: the strides do not divide the side at every step.
    """
    s = genome.skeleton
    first = s.first and (_nearest(s.first[0] * width, 8), _nearest(s.first[1] * depth, 1))
    stages = []
    for index, stage in enumerate(genome.stages):
        divisor = 8 if index < 2 and not stage.attends else s.heads
        factor = width if index < 2 or late_width is None else late_width
        channels, repeats = _nearest(stage.channels * factor, divisor), _nearest(stage.repeats * depth, 1)
        stages.append(replace(stage, channels=channels, repeats=repeats))
    return Genome(replace(s, image_size=image or s.image_size, first=first), tuple(stages))


def _nearest(value: float, divisor: int) -> int:
    """The nearest positive multiple, halves rounded up; 80 · 1.15 is 92 and not a last bit less."""
    return max(1, int(round(value, 9) / divisor + 0.5)) * divisor
