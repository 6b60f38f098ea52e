"""The genome: a skeleton, and for each stage a downsampling module, an operator and their sizes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

from uninas_evo.contracts import Cost
from uninas_evo.errors import GenomeError
from uninas_evo.spaces.genome import TextGenome
from uninas_evo.spaces.uninet.widths import GENERAL_DIVISOR, neighbors

TEXT_HEADER = "uninet 1"
"""First line of the text form: its name and version."""
OPERATORS = ("SA", "LSA", "Conv", "DWConv", "MLP")
"""General operators (GOP), in the paper's order."""
MODULES = ("L", "G", "LG")
"""Downsampling modules (DSM): local, global, local-global."""
MAX_NUMBER = 999_999
"""Largest number of a genome: six digits."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: a downsampling module and r equal blocks.

    Attributes:
        module: one of `MODULES`.
        operator: one of `OPERATORS`.
        expansion: e, hidden channels are e·c.
        channels: c, of the module's output and all blocks.
        repeats: r, how many blocks.
    """

    module: str
    operator: str
    expansion: int
    channels: int
    repeats: int

    @property
    def attends(self) -> bool:
        """Whether its channels are cut into heads."""
        return self.operator in ("SA", "LSA") or self.module in ("G", "LG")

    def with_module(self, module: str) -> Stage:
        """The same blocks behind another module."""
        return replace(self, module=module)


@dataclass(frozen=True)
class Skeleton:
    """What the search does not change.

    Attributes:
        image_size: side of the images, in pixels.
        classes: K, outputs of the head.
        stem: channels of the stem.
        stem_stride: 1 or 2.
        first: channels and blocks of the fixed stage of DWConv blocks without expansion; None for no such stage.
        heads: channels of an attention head.
        window: side of LSA's windows.
        head: channels of the 1×1 convolution before the classifier.
        strides: 1 or 2 for each stage.

    Raises:
        GenomeError: a number is out of range, or the strides do not divide the image at every step.
    """

    image_size: int = 160
    classes: int = 1000
    stem: int = 32
    stem_stride: int = 2
    first: tuple[int, int] | None = (24, 1)
    heads: int = 32
    window: int = 7
    head: int = 1280
    strides: tuple[int, ...] = (2, 2, 2, 1, 2)

    def __post_init__(self) -> None:
        for name in ("image_size", "classes", "stem", "heads", "window", "head"):
            check_number(name, getattr(self, name), "the skeleton")
        for number in self.first or ():
            check_number("first", number, "the skeleton")
        if not self.strides:
            raise GenomeError("a genome needs at least one stage, got none; add one")
        for stride in (self.stem_stride, *self.strides):
            check_stride(stride, "the skeleton")
        check_side(self.image_size, self.total_stride, "the skeleton")

    @property
    def total_stride(self) -> int:
        """By how much the last map is smaller than the image."""
        total = self.stem_stride
        for stride in self.strides:
            total *= stride
        return total

    @cached_property
    def sides(self) -> tuple[int, ...]:
        """Sides of the maps: after the stem, then after each stage."""
        sides = [self.image_size // self.stem_stride]
        for stride in self.strides:
            sides.append(sides[-1] // stride)
        return tuple(sides)


@dataclass(frozen=True)
class Genome(TextGenome):
    """A network of the UniNet space: immutable and hashable.

    Attributes:
        skeleton: what the search does not change.
        stages: as many as the skeleton has strides.
        counted: what its length counts.

    Raises:
        GenomeError: the number of stages is not the skeleton's, or one of them is not feasible.
    """

    skeleton: Skeleton
    stages: tuple[Stage, ...]
    counted: ClassVar[str] = "blocks and modules"

    def __post_init__(self) -> None:
        if len(self.stages) != len(self.skeleton.strides):
            raise GenomeError(
                f"a genome has as many stages as its skeleton has strides, {len(self.skeleton.strides)}, "
                f"got {len(self.stages)}; give one for each stride"
            )
        for number, stage in enumerate(self.stages, 1):
            check_stage(stage, self.skeleton.heads, f"stage {number}")

    def with_stage(self, index: int, stage: Stage) -> Genome:
        """The genome with another stage at `index`."""
        return Genome(self.skeleton, (*self.stages[:index], stage, *self.stages[index + 1 :]))

    def resized(self, image_size: int | None = None, classes: int | None = None) -> Genome:
        """The same stages for images of another side, or another number of classes.

        Raises:
            GenomeError: the strides do not divide the side at every step.
        """
        s = self.skeleton
        skeleton = replace(s, image_size=image_size or s.image_size, classes=classes or s.classes)
        return Genome(skeleton, self.stages)

    @property
    def inputs(self) -> tuple[int, ...]:
        """Channels that come into each stage."""
        s = self.skeleton
        return (s.first[0] if s.first else s.stem, *(stage.channels for stage in self.stages[:-1]))

    @cached_property
    def cost(self) -> Cost:
        """Parameters, FLOPs and published FLOPs, in closed form."""
        from uninas_evo.spaces.uninet.cost import genome_cost

        return genome_cost(self)

    @property
    def published_flops(self) -> int:
        """What the paper prints as FLOPs: multiply-accumulates, with norms and global pooling."""
        return int(self.cost["published_flops"])

    @property
    def text(self) -> str:
        """The canonical text: the skeleton, then one line for each stage."""
        s = self.skeleton
        first = f"{s.first[0]} r={s.first[1]}" if s.first else "none"
        lines = [
            TEXT_HEADER,
            f"image {s.image_size}",
            f"classes {s.classes}",
            f"stem {s.stem} stride={s.stem_stride}",
            f"first {first}",
            f"heads {s.heads}",
            f"window {s.window}",
            f"head {s.head}",
            *map(stage_line, self.stages, s.strides),
        ]
        return "\n".join(lines) + "\n"

    def __len__(self) -> int:
        """The number of blocks and modules."""
        fixed = self.skeleton.first[1] if self.skeleton.first else 0
        return fixed + sum(1 + stage.repeats for stage in self.stages)

    def __repr__(self) -> str:
        kinds = " ".join(f"{stage.operator}/{stage.module}" for stage in self.stages)
        return f"<UniNet genome {self.id}: {kinds}, {self.params:,} params, {self.published_flops:,} published FLOPs>"


def stage_line(stage: Stage, stride: int) -> str:
    """A stage's line of the text form."""
    sizes = f"e={stage.expansion} c={stage.channels} r={stage.repeats}"
    return f"stage {stage.module}-DSM stride={stride} {stage.operator} {sizes}"


def check_number(name: str, value: object, where: str) -> None:
    """Raises a `GenomeError` unless the value is a whole number from 1 to `MAX_NUMBER`."""
    if type(value) is not int or not 1 <= value <= MAX_NUMBER:
        raise GenomeError(
            f"{where}: {name} must be a whole number from 1 to {MAX_NUMBER:,}, got {value!r}; fix the number"
        )


def check_stride(stride: int, where: str) -> None:
    """Raises a `GenomeError` unless a stride is 1 or 2."""
    if stride not in (1, 2):
        raise GenomeError(f"{where}: a stride is 1 or 2, got {stride}; use one of them")


def check_side(image_size: int, total_stride: int, where: str) -> None:
    """Raises a `GenomeError` unless every map before a stride of 2 has an even side."""
    if image_size % total_stride:
        works = -(-image_size // total_stride) * total_stride
        raise GenomeError(
            f"{where}: the strides of stem and stages must divide the image's side at every step, {total_stride} in "
            f"all, got a side of {image_size}; the next side that works is {works}"
        )


def check_stage(stage: Stage, heads: int, where: str) -> None:
    """Raises a `GenomeError` unless a stage is feasible with heads of this width."""
    for name in ("expansion", "channels", "repeats"):
        check_number(name, getattr(stage, name), where)
    for kind, known in (("operator", OPERATORS), ("module", MODULES)):
        if getattr(stage, kind) not in known:
            raise GenomeError(f"{where}: there is no {kind} {getattr(stage, kind)!r}; use one of {', '.join(known)}")
    divisor = heads if stage.attends else GENERAL_DIVISOR
    if stage.channels % divisor:
        below, above = neighbors(stage.channels, divisor)
        rule = f"a stage that attends are cut into heads of {heads}" if stage.attends else "a stage are a multiple of 8"
        raise GenomeError(f"{where}: the channels of {rule}, got c={stage.channels}; use {below} or {above}")
