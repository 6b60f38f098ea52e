"""The choices of the macro space, and the layers that a genome's choices mean.

Sources of the kinds: He et al., arXiv 1512.03385 (plain and bottleneck); Sandler et al., "MobileNetV2", arXiv
1801.04381 (inverted bottleneck); Dosovitskiy et al., arXiv 2010.11929 (transformer); Hu et al., arXiv 1709.01507
(squeeze-and-excitation); He et al., "Bag of Tricks", arXiv 1812.01187, figure 2c (shortcuts that pool).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uninas_evo.errors import SpaceError
from uninas_evo.mistakes import nearest
from uninas_evo.spaces.choices.own import Value, When
from uninas_evo.spaces.mobile.plan import div8, halved

FEWEST, MOST = 3, 8
"""Stages of a network."""
KINDS = ("conv", "bottleneck", "inverted", "transformer")
WIDTHS = (16, 24, 32, 48, 64, 96, 128, 160, 192, 256, 320, 512)
"""Multiples of 8, so that every number of heads divides them: those of the presets, and between."""
STEMS = {"conv3": 1, "conv3_half": 2, "conv7_pool": 4, "patch4": 4, "patch8": 8, "patch16": 16}
"""How much smaller each stem makes an image: a 3x3 convolution, ResNet's 7x7 and pooling, or patches with positions."""
HEADS = {"pool": 0, "norm": 0, "conv1280": 1280}
"""What stands before the classifier: nothing, a layer norm, or a 1x1 convolution of so many channels; then the mean."""
PER_STAGE: Mapping[str, tuple[Value, ...]] = {
    "kind": KINDS,
    "depth": tuple(range(1, 9)),
    "width": WIDTHS,
    "stride": (1, 2),
    "kernel": (3, 5, 7),
    "expansion": (1, 2, 4, 6),
    "squeeze": (0.0, 0.25, 0.5),
    "shortcut": ("identity", "conv", "pool"),
    "heads": (1, 2, 4, 8),
}
"""What every stage decides; the name of stage 2's width is ``width_2``."""
Only = Mapping[str, Sequence[Value]]
"""The values that are left of choices, by name."""
_ONLY: Mapping[str, tuple[str, ...]] = {
    "kernel": ("conv", "bottleneck", "inverted"),
    "expansion": ("bottleneck", "inverted", "transformer"),
    "squeeze": ("conv", "bottleneck", "inverted"),
    "shortcut": ("conv", "bottleneck", "inverted"),
    "heads": ("transformer",),
}
"""The kinds for which a choice counts, where it is not all."""


def table(images: Sequence[int], only: Only = {}) -> dict[str, tuple[Value, ...]]:  # noqa: B006 - it is not changed
    """All choices of the space.

    Args:
        images: pixels of a side to choose among.
        only: for names of choices, those of a stage without its number, the values that are left, such as
            ``{"kind": ["inverted"]}``.

    Raises:
        SpaceError: there is no such choice or value.
    """
    general: dict[str, tuple[Value, ...]] = {
        "image": tuple(images),
        "multiplier": (0.5, 0.75, 1.0, 1.4),
        "stem": tuple(STEMS),
        "stem_width": (16, 32, 64, 96, 192),
        "head": tuple(HEADS),
        "stages": tuple(range(FEWEST, MOST + 1)),
    }
    whole = {**general, **PER_STAGE}
    for name, values in only.items():
        known = whole.get(name, ())
        if not values or any(value not in known for value in values):
            raise SpaceError(
                f"`only` leaves some values of a choice, got {name} = {list(values)}: {name} has "
                f"{', '.join(map(str, known)) or 'none'}; there are {', '.join(whole)}{nearest(name, whole)}"
            )
    left = {name: tuple(one for one in values if one in only.get(name, values)) for name, values in whole.items()}
    stages = range(1, max(map(int, left["stages"])) + 1)
    counting = [name for name in PER_STAGE if set(_ONLY.get(name, KINDS)) & set(left["kind"])]
    return {name: left[name] for name in general} | {
        f"{name}_{stage}": left[name] for stage in stages for name in counting
    }


def conditions(choices: Mapping[str, Sequence[Value]]) -> When:
    """Choices of a stage count where there are so many stages, and where its kind has use for them.

    Args:
        choices: of the space, see `table`.
    """
    found: dict[str, dict[str, tuple[Value, ...]]] = {}
    for name in choices:
        own, _, stage = name.rpartition("_")
        if own not in PER_STAGE or not stage.isdigit():
            continue
        present = {"stages": tuple(one for one in choices["stages"] if int(one) >= int(stage))}
        kinds = (
            {f"kind_{stage}": tuple(one for one in choices[f"kind_{stage}"] if one in _ONLY[own])}
            if own in _ONLY
            else {}
        )
        found[name] = {**present, **kinds}
    return found


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of a stage.

    Attributes:
        kind: one of `KINDS`.
        inputs: channels of its input.
        outputs: channels of its output.
        stride: 1, or 2 in the first layer of a stage.
        kernel: of its spatial convolutions.
        expansion: of an inverted bottleneck or of a transformer's perceptron; a bottleneck is so much narrower.
        squeeze: channels inside squeeze-and-excitation, as a share of those it scales; 0 for none.
        shortcut: what is added where shapes differ: nothing ("identity"), a 1x1 convolution, or a pooling before it.
        heads: of a transformer.
    """

    kind: str
    inputs: int
    outputs: int
    stride: int = 1
    kernel: int = 3
    expansion: int = 1
    squeeze: float = 0.0
    shortcut: str = "identity"
    heads: int = 1

    @property
    def keeps_shape(self) -> bool:
        """Whether its output has its input's shape."""
        return self.stride == 1 and self.inputs == self.outputs

    @property
    def inner(self) -> int:
        """Channels between its first and last convolution."""
        if self.kind == "inverted":
            return self.inputs * self.expansion
        return max(8, self.outputs // self.expansion) if self.kind == "bottleneck" else self.outputs

    @property
    def squeezed(self) -> int:
        """Channels inside squeeze-and-excitation; 0 where it has none."""
        scaled = self.inner if self.kind == "inverted" else self.outputs
        return max(1, int(scaled * self.squeeze)) if self.squeeze else 0

    def after(self, side: int) -> int:
        """Height and width of its output."""
        return halved(side) if self.stride == 2 else side


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole network: image (pixels of a side), stem and its channels, layers, head."""

    image: int
    stem: str
    stem_width: int
    layers: tuple[Layer, ...]
    head: str

    @property
    def side(self) -> int:
        """Height and width behind the stem."""
        side = self.image
        if self.stem.startswith("patch"):
            return side // STEMS[self.stem]
        for _ in range(STEMS[self.stem].bit_length() - 1):
            side = halved(side)
        return side

    @property
    def last(self) -> int:
        """Channels that the classifier reads."""
        return HEADS[self.head] or self.layers[-1].outputs


def plan_of(genome: Mapping[str, Any]) -> Plan:
    """The network of a genome's choices."""
    multiplier = genome["multiplier"]
    inputs = stem = div8(genome["stem_width"] * multiplier)
    layers: list[Layer] = []
    for stage in range(1, genome["stages"] + 1):
        given = {name: genome[f"{name}_{stage}"] for name in PER_STAGE if f"{name}_{stage}" in genome}
        depth, outputs, stride = given.pop("depth"), div8(given.pop("width") * multiplier), given.pop("stride")
        for place in range(depth):
            layers.append(Layer(inputs=inputs, outputs=outputs, stride=1 if place else stride, **given))
            inputs = outputs
    return Plan(genome["image"], genome["stem"], stem, tuple(layers), genome["head"])
