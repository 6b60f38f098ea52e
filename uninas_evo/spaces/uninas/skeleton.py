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
MOST_IMAGE_CHANNELS = 16
"""As many as the data readers take."""
STEM_STRIDES = (1, 2, 4)
MOST_STAGES = 30
MOST_BLOCKS = 2_000
"""Ten times the deepest networks; each block is built, drawn and searched."""


@dataclass(frozen=True)
class Skeleton:
    """Image size, classes, stem widths, and the channels and number of blocks of each stage.

    The defaults are the CoAtNet skeleton of the paper (224 px, 1000 classes). The stem halves the resolution once,
    unless another stride is given, and so does the first block of each stage.

    Attributes:
        image_size: side of the input in pixels, or its height and width where these differ; divisible by the whole
            stride, the stem's times 2 to the power of the stages.
        classes: number of logits K.
        stem: output channels of the two stem convolutions.
        channels: channels of each stage.
        depths: blocks of each stage.
        image_channels: channels of the input: 3 for colors, 1 for grays, 16 at most.
        stem_stride: of the stem: 1 keeps the resolution of small images, 2 is the paper's, with 4 both of its
            convolutions halve it.

    Raises:
        GenomeError: a number breaks these rules.
    """

    image_size: int | tuple[int, int] = 224
    classes: int = 1000
    stem: tuple[int, int] = (32, 64)
    channels: tuple[int, ...] = (96, 192, 384, 768)
    depths: tuple[int, ...] = (2, 3, 5, 2)
    image_channels: int = 3
    stem_stride: int = 2

    def __post_init__(self) -> None:
        for name in ("stem", "channels", "depths"):
            object.__setattr__(self, name, _positive(name, getattr(self, name)))
        for name in ("classes", "image_channels"):
            _positive(name, (getattr(self, name),))
        self._check_image()
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
        if any(side % self.stride for side in self.image[1:]):
            nearest = [max(1, round(side / self.stride)) * self.stride for side in self.image[1:]]
            halve = "the stem and" if self.stem_stride == 2 else f"after a stem of stride {self.stem_stride},"
            raise GenomeError(
                f"the image size must be divisible by {self.stride}, since {halve} {len(self.channels)} stages "
                f"halve it each; got {self.image_size}; use {nearest if nearest[0] != nearest[1] else nearest[0]}"
            )

    def _check_image(self) -> None:
        size = self.image_size
        sides = _positive("image_size", (size,) if isinstance(size, int) else size)
        if len(sides) not in (1, 2):
            raise GenomeError(f"an image has a height and a width, got {list(sides)}; give both, or one for a square")
        # Squares have one form, so that equal skeletons are equal.
        object.__setattr__(self, "image_size", sides[0] if sides[0] == sides[-1] else sides)
        if self.image_channels > MOST_IMAGE_CHANNELS:
            raise GenomeError(
                f"images have {MOST_IMAGE_CHANNELS} channels at most, got {self.image_channels}; 3 are colors, 1 grays"
            )
        if self.stem_stride not in STEM_STRIDES:
            raise GenomeError(f"the stem's stride is one of {STEM_STRIDES}, got {self.stem_stride!r}; 2 is the paper's")

    @property
    def image(self) -> Shape:
        """(C, H, W) of the images."""
        size = self.image_size
        height, width = (size, size) if isinstance(size, int) else size
        return self.image_channels, height, width

    @property
    def is_plain(self) -> bool:
        """Whether it is one of the paper's: for colored squares, with a stem of stride 2."""
        return self.image_channels == 3 and isinstance(self.image_size, int) and self.stem_stride == 2

    @property
    def stride(self) -> int:
        """Pixels of the input for one of the last stage, along a side."""
        return int(self.stem_stride * 2 ** len(self.channels))

    @property
    def stem_strides(self) -> tuple[int, int]:
        """The strides of the two stem convolutions."""
        return min(self.stem_stride, 2), max(self.stem_stride // 2, 1)

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
        _, height, width = self.image
        stride = self.stem_stride * 2 ** (stage + 1)
        return self.channels[stage], height // stride, width // stride

    @cached_property
    def cost(self) -> Cost:
        """Parameters and FLOPs of all but the chains: stem, norms, downsampling, residual additions, head."""
        _, height, width = self.image
        total = self.stem_cost(height, width) + self.head_cost
        for stage, place in self.blocks:
            _, h, w = self.stage_shape(stage)
            total = total + self.block_cost(stage, h * w, 4 * h * w if place == 0 else None)
        return total

    def stem_cost(self, height: int, width: int) -> Cost:
        """Two convolutions with a norm and an activation between them, for an image of so many pixels."""
        first, second = self.stem
        params = 9 * self.image_channels * first + 2 * first + 9 * first * second
        (h, w), _ = self.stem_sizes(height, width)
        return Cost(params, self.stem_convolutions(height, width) + (2 * first + 3 * first) * h * w)

    def stem_sizes(self, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Height and width of the maps behind both convolutions, which round up."""
        a, b = self.stem_strides
        h, w = -(-height // a), -(-width // a)
        return (h, w), (-(-h // b), -(-w // b))

    def stem_convolutions(self, height: int, width: int) -> int:
        """FLOPs of the stem's two convolutions alone."""
        first, second = self.stem
        (h1, w1), (h2, w2) = self.stem_sizes(height, width)
        return 18 * self.image_channels * first * h1 * w1 + 18 * first * second * h2 * w2

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
