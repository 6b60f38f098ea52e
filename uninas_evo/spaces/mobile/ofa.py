"""The genomes of Once-for-All's space: MobileNetV3 with elastic depth, width, kernel and resolution.

Source: Cai et al., "Once-for-All", ICLR 2020, arXiv 1908.09791, section 3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from uninas_evo.errors import GenomeError
from uninas_evo.spaces.lines import read_lines, whole
from uninas_evo.spaces.mobile.genome import MobileGenome
from uninas_evo.spaces.mobile.plan import Activation, Block, Plan, div8

HEADER = "ofa 1"
KERNELS = (3, 5, 7)
EXPANSIONS = (3, 4, 6)
DEPTHS = (2, 3, 4)
RESOLUTIONS = tuple(range(128, 225, 4))
STAGES: tuple[tuple[int, int, Activation, bool], ...] = (
    (24, 2, "relu", False),
    (40, 2, "relu", True),
    (80, 2, "h_swish", False),
    (112, 1, "h_swish", True),
    (160, 2, "h_swish", True),
)
"""Width, stride, activation of each stage, and whether it has squeeze-and-excitation."""
STEM, HEAD, HIDDEN = 16, 960, 1280
"""Widths before and behind the stages."""
EPSILON = 1e-5
"""Of the norms."""

_BLOCK = re.compile(r"k([357])e([346])", re.ASCII)
_RESOLUTION = re.compile(r"r(\d{1,5})", re.ASCII)
_WIDTH = re.compile(r"\d(\.\d{1,4})?", re.ASCII)


@dataclass(frozen=True)
class OFAGenome(MobileGenome):
    """The blocks that run: (kernel, expansion) of each, in five stages of 2, 3 or 4.

    Attributes:
        resolution: pixels of a side.
        stages: (kernel, expansion) of the blocks of each stage.
        classes: K.
        width: factor of every width.

    Raises:
        GenomeError: a number is none of its options.
    """

    resolution: int
    stages: tuple[tuple[tuple[int, int], ...], ...]
    classes: int = 1000
    width: float = 1.0

    def __post_init__(self) -> None:
        if self.resolution < 32:
            raise GenomeError(f"the resolution must be at least 32, got {self.resolution}; give 128 to 224")
        if len(self.stages) != len(STAGES) or any(len(stage) not in DEPTHS for stage in self.stages):
            raise GenomeError(
                f"an ofa genome has {len(STAGES)} stages of 2, 3 or 4 blocks, got "
                f"{[len(stage) for stage in self.stages]}; add or remove blocks"
            )
        for kernel, expansion in (block for stage in self.stages for block in stage):
            if kernel not in KERNELS or expansion not in EXPANSIONS:
                raise GenomeError(
                    f"a block has kernel 3, 5 or 7 and expansion 3, 4 or 6, got k{kernel}e{expansion}; fix the block"
                )
        if not 0.1 <= self.width <= 9.9 or self.classes < 1:
            raise GenomeError(f"width lies in 0.1..9.9 and classes above 0, got {self.width} and {self.classes}")

    @property
    def text(self) -> str:
        """The canonical text: only blocks that run, so that equal networks have equal text."""
        stages = " | ".join(" ".join(f"k{kernel}e{expansion}" for kernel, expansion in s) for s in self.stages)
        return f"{HEADER}\nclasses {self.classes}\nwidth {self.width}\nr{self.resolution} {stages}\n"

    @property
    def plan(self) -> Plan:
        """The network as data."""
        inputs = div8(STEM * self.width)
        blocks = [Block(inputs, inputs, inputs, 3, 1, "relu", 0, True)]
        for index, stage in enumerate(self.stages):
            for place, (kernel, expansion) in enumerate(stage):
                blocks.append(block(index, place, inputs, kernel, expansion, self.width))
                inputs = blocks[-1].outputs
        head, hidden = div8(HEAD * self.width), div8(HIDDEN * self.width)
        stem = div8(STEM * self.width)
        return Plan(self.resolution, self.classes, stem, tuple(blocks), head, hidden, "h_swish", EPSILON)


def block(stage: int, place: int, inputs: int, kernel: int, expansion: int, width: float = 1.0) -> Block:
    """The block at a place of a stage, both counted from 0."""
    outputs, stride, activation, squeezes = STAGES[stage]
    outputs, stride = div8(outputs * width), stride if place == 0 else 1
    middle = div8(round(inputs * expansion))
    squeeze = div8(middle // 4) if squeezes else 0
    shortcut = stride == 1 and inputs == outputs
    return Block(inputs, middle, outputs, kernel, stride, activation, squeeze, shortcut)


def parse(text: str) -> OFAGenome:
    """The genome of a canonical text.

    Raises:
        GenomeError: the text is no genome; the message says where and why.
    """
    # The last line begins with its resolution, not with a key.
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    network = next((line for line in lines if _RESOLUTION.match(line)), "")
    rest = "\n".join(line for line in lines if line is not network)
    found = read_lines(rest, HEADER, ("classes", "width"))
    if not _WIDTH.fullmatch(found["width"]):
        raise GenomeError(f"width is a factor such as 1.0, got {found['width'][:40]!r}; fix the line")
    resolution, _, stages = network.partition(" ")
    if not (match := _RESOLUTION.fullmatch(resolution)):
        raise GenomeError(f"an ofa genome has a line such as 'r176 k7e6 k5e4 | ...', got {network[:80]!r}; add it")
    blocks = tuple(tuple(_pair(word) for word in stage.split()) for stage in stages.split("|"))
    return OFAGenome(int(match[1]), blocks, whole(found["classes"], "classes"), float(found["width"]))


def _pair(word: str) -> tuple[int, int]:
    if not (match := _BLOCK.fullmatch(word)):
        raise GenomeError(f"a block is written like k7e6, kernel 3, 5, 7 and expansion 3, 4, 6, got {word[:40]!r}")
    return int(match[1]), int(match[2])


def of_settings(
    kernels: str, expansions: str, depths: str, resolution: int = 224, classes: int = 1000, width: float = 1.0
) -> OFAGenome:
    """The genome of the authors' three lists, a digit a block (20, 20) and a stage (5).

    Raises:
        GenomeError: a list is too short or a digit none of its options.
    """
    if (len(kernels), len(expansions), len(depths)) != (20, 20, 5) or not (kernels + expansions + depths).isdecimal():
        raise GenomeError(f"give 20 kernels, 20 expansions and 5 depths, got {kernels!r}, {expansions!r}, {depths!r}")
    pairs = [(int(kernel), int(expansion)) for kernel, expansion in zip(kernels, expansions, strict=True)]
    stages = tuple(tuple(pairs[4 * index : 4 * index + int(depth)]) for index, depth in enumerate(depths))
    return OFAGenome(resolution, stages, classes, width)
