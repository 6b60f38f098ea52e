"""The skeleton: everything of a network that the search does not change, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from uninas_evo.contracts import Cost
from uninas_evo.errors import GenomeError
from uninas_evo.spaces.uninas.operations import Shape

MOST = 2**20
"""Pixels of a side, classes or channels: no machine holds a layer of more."""
MOST_STAGES = 30
MOST_BLOCKS = 2_000
"""Ten times the deepest networks; each block is built, drawn and searched."""


@dataclass(frozen=True)
class Skeleton:
    """Image size, classes, stem widths, and the channels and number of blocks of each stage.

    The defaults are the CoAtNet skeleton of the paper (224 px, 1000 classes). The stem halves the resolution once,
    and so does the first block of each stage.

    Attributes:
        image_size: height and width of the input in pixels, divisible by 2 to the power of (stages + 1).
        classes: number of logits K.
        stem: output channels of the two stem convolutions.
        channels: channels of each stage.
        depths: blocks of each stage.

    Raises:
        GenomeError: a number breaks these rules.
    """

    image_size: int = 224
    classes: int = 1000
    stem: tuple[int, int] = (32, 64)
    channels: tuple[int, ...] = (96, 192, 384, 768)
    depths: tuple[int, ...] = (2, 3, 5, 2)

    def __post_init__(self) -> None:
        for name in ("stem", "channels", "depths"):
            object.__setattr__(self, name, _positive(name, getattr(self, name)))
        for name in ("image_size", "classes"):
            _positive(name, (getattr(self, name),))
        if len(self.stem) != 2:
            raise GenomeError(f"a stem has two widths, got {list(self.stem)}; give two, such as [32, 64]")
        if len(self.channels) != len(self.depths) or not self.channels:
            raise GenomeError(
                f"every stage needs its channels and its depth, got {len(self.channels)} channels "
                f"{list(self.channels)} and {len(self.depths)} depths {list(self.depths)}; give as many of both"
            )
        if len(self.channels) > MOST_STAGES or sum(self.depths) > MOST_BLOCKS:
            raise GenomeError(
                f"a skeleton has {MOST_STAGES} stages and {MOST_BLOCKS} blocks at most, got {len(self.channels)} "
                f"stages and {sum(self.depths)} blocks; use fewer"
            )
        factor = 2 ** (len(self.channels) + 1)
        if self.image_size % factor:
            raise GenomeError(
                f"the image size must be divisible by {factor}, since the stem and {len(self.channels)} stages "
                f"halve it each; got {self.image_size}; use {max(1, round(self.image_size / factor)) * factor}"
            )

    @cached_property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """(stage, place in the stage) of every block, both counted from 0."""
        return tuple((stage, place) for stage, depth in enumerate(self.depths) for place in range(depth))

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """The shape on which the chains of each block stand."""
        return tuple(self.stage_shape(stage) for stage, _ in self.blocks)

    def stage_shape(self, stage: int) -> Shape:
        """(C, H, W) of a stage's output."""
        side = self.image_size >> (stage + 2)
        return self.channels[stage], side, side

    @cached_property
    def cost(self) -> Cost:
        """Parameters and FLOPs of all but the chains: stem, norms, downsampling, residual additions, head."""
        area = (self.image_size // 2) ** 2
        total = self.stem_cost(area) + self.head_cost
        for stage, place in self.blocks:
            _, h, w = self.stage_shape(stage)
            total = total + self.block_cost(stage, h * w, 4 * h * w if place == 0 else None)
        return total

    def stem_cost(self, area: int) -> Cost:
        """Two convolutions with a norm and an activation between them, on so many positions."""
        first, second = self.stem
        params = 27 * first + 2 * first + 9 * first * second
        return Cost(params, self.stem_convolutions(area) + (2 * first + 3 * first) * area)

    def stem_convolutions(self, area: int) -> int:
        """FLOPs of the stem's two convolutions alone."""
        first, second = self.stem
        return (54 * first + 18 * first * second) * area

    def block_cost(self, stage: int, area: int, area_before: int | None) -> Cost:
        """Norms and residual additions of a block; downsampling on both ways in the first one of a stage.

        Args:
            stage: counted from 0.
            area: positions of the stage's maps.
            area_before: positions of the map that comes in, for the first block of a stage; None for the others.
        """
        c = self.channels[stage]
        norms_and_additions = Cost(2 * c, 4 * c * area)  # norm₂ and the two residual additions
        if area_before is None:
            return norms_and_additions + Cost(2 * c, 2 * c * area)
        before = self._before(stage)
        norm1 = Cost(2 * before, 2 * before * area_before)
        pooling = Cost(0, 2 * 4 * before * area)  # two 2×2 averages: three additions, one multiplication each
        return norms_and_additions + norm1 + pooling + self.widening(stage, area)

    def widening(self, stage: int, area: int) -> Cost:
        """The two 1×1 convolutions that change the channels in a stage's first block, where these differ."""
        before, c = self._before(stage), self.channels[stage]
        return Cost(2 * (before + 1) * c, 2 * 2 * before * c * area) if before != c else Cost(0, 0)

    def _before(self, stage: int) -> int:
        """Channels that come into a stage."""
        return self.stem[1] if stage == 0 else self.channels[stage - 1]

    @property
    def head_cost(self) -> Cost:
        """Norm, global average and the classifier."""
        c, h, w = self.stage_shape(len(self.channels) - 1)
        return Cost(2 * c + (c + 1) * self.classes, 3 * c * h * w + 2 * c * self.classes)


def _positive(name: str, values: Sequence[int]) -> tuple[int, ...]:
    good = isinstance(values, Sequence) and not isinstance(values, str)
    if not good or any(type(v) is not int or v < 1 for v in values):
        raise GenomeError(f"the skeleton's {name} must be whole numbers from 1 up, got {values!r}; fix the number")
    if max(values, default=0) > MOST:
        raise GenomeError(f"the skeleton's {name} must be {MOST:,} at most, got {max(values):.6g}; fix the number")
    return tuple(values)
