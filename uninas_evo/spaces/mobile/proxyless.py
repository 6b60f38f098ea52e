"""The genomes of ProxylessNAS' space: 21 inverted bottlenecks of which fifteen may be left out.

Source: Cai et al., "ProxylessNAS", ICLR 2019, arXiv 1812.00332, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from uninas_evo.errors import GenomeError
from uninas_evo.spaces.lines import read_lines, whole
from uninas_evo.spaces.mobile.genome import MobileGenome
from uninas_evo.spaces.mobile.plan import Block, Plan

HEADER = "proxyless 1"
ZERO = "zero"
WORDS = tuple(f"k{kernel}e{expansion}" for expansion in (3, 6) for kernel in (3, 5, 7))
"""The six inverted bottlenecks of a layer."""
LAYERS = 21
CHANGING = (0, 4, 8, 12, 16, 20)
"""The layers, from 0, that change the width; they cannot be `zero`, as an identity cannot change a width."""
HALVING = (0, 4, 8, 16)
"""The layers of stride 2."""
EPSILON = 1e-3
"""Of the norms, as in the authors' code."""


@dataclass(frozen=True, slots=True)
class ProxylessSkeleton:
    """What the search leaves alone.

    Attributes:
        image: pixels of a side, at least 32.
        classes: K.
        stem: channels behind the stem and behind the first block without expansion.
        widths: channels of the six groups of layers.
        head: channels before the classifier.

    Raises:
        GenomeError: a number is outside its rule.
    """

    image: int = 224
    classes: int = 1000
    stem: tuple[int, int] = (40, 24)
    widths: tuple[int, ...] = (32, 56, 112, 128, 256, 432)
    head: int = 1728

    def __post_init__(self) -> None:
        if len(self.stem) != 2 or len(self.widths) != len(CHANGING):
            raise GenomeError(f"a skeleton has 2 stem widths and 6 more, got {self.stem} and {self.widths}; fix them")
        if self.image < 32 or min(self.classes, *self.stem, *self.widths, self.head) < 1:
            raise GenomeError(f"image must be at least 32 and every number positive, got {self}; fix the number")

    @property
    def text(self) -> str:
        """The widths in one line."""
        return f"{_joined(self.stem)} | {_joined(self.widths)} | {self.head}"


@dataclass(frozen=True)
class ProxylessGenome(MobileGenome):
    """21 words, `k5e3` for kernel 5 and expansion 3, or `zero` for an identity.

    Raises:
        GenomeError: there are not 21 words, one is unknown, or a layer that changes the width is `zero`.
    """

    layers: tuple[str, ...]
    skeleton: ProxylessSkeleton = field(default_factory=ProxylessSkeleton)

    def __post_init__(self) -> None:
        if len(self.layers) != LAYERS:
            raise GenomeError(f"a proxyless genome has {LAYERS} layers, got {len(self.layers)}; fix the line 'layers'")
        for index, word in enumerate(self.layers):
            if word not in options(index):
                raise GenomeError(
                    f"layer {index + 1} must be one of {', '.join(options(index))}, got {word[:40]!r}; fix the word"
                )

    @property
    def text(self) -> str:
        """The canonical text."""
        s = self.skeleton
        return f"{HEADER}\nimage {s.image}\nclasses {s.classes}\nwidths {s.text}\nlayers {' '.join(self.layers)}\n"

    @property
    def plan(self) -> Plan:
        """The network as data."""
        s = self.skeleton
        first, width = s.stem
        blocks = [Block(first, first, width, 3, 1, "relu6")]
        for index, word in enumerate(self.layers):
            if word != ZERO:
                blocks.append(block(s, index, word))
        return Plan(s.image, s.classes, first, tuple(blocks), s.head, 0, "relu6", EPSILON)


def options(layer: int) -> tuple[str, ...]:
    """The words that a layer, counted from 0, may be."""
    return WORDS if layer in CHANGING else (*WORDS, ZERO)


def block(skeleton: ProxylessSkeleton, layer: int, word: str) -> Block:
    """The inverted bottleneck of a word other than `zero`."""
    group = sum(layer >= first for first in CHANGING) - 1
    outputs = skeleton.widths[group]
    changes = layer in CHANGING
    inputs = outputs if not changes else (skeleton.widths[group - 1] if group else skeleton.stem[1])
    kernel, expansion = int(word[1]), int(word[3])
    stride = 2 if layer in HALVING else 1
    return Block(inputs, expansion * inputs, outputs, kernel, stride, "relu6", 0, not changes)


def parse(text: str) -> ProxylessGenome:
    """The genome of a canonical text.

    Raises:
        GenomeError: the text is no genome; the message says where and why.
    """
    found = read_lines(text, HEADER, ("image", "classes", "widths", "layers"))
    groups = [[whole(word, "a width") for word in group.split()] for group in found["widths"].split("|")]
    if [len(group) for group in groups] != [2, len(CHANGING), 1]:
        raise GenomeError(f"widths read like '{ProxylessSkeleton().text}', got {found['widths'][:80]!r}; fix the line")
    stem, widths, (head,) = groups
    image, classes = whole(found["image"], "image"), whole(found["classes"], "classes")
    skeleton = ProxylessSkeleton(image, classes, (stem[0], stem[1]), tuple(widths), head)
    return ProxylessGenome(tuple(found["layers"].split()), skeleton)


def _joined(numbers: Sequence[int]) -> str:
    return " ".join(map(str, numbers))
