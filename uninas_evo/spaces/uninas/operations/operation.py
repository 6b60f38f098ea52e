"""What is to be known of an operation: its cost, where it stands, its layers, its parts and its foreign names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from uninas_evo.contracts import Cost

if TYPE_CHECKING:
    from torch import nn

Shape = tuple[int, int, int]
"""Channels, height, width."""
Count = Callable[[int, int, int], int]
"""A number as a function of (C, H, W)."""


def free(_c: int, _h: int, _w: int) -> int:
    """No parameters, or no FLOPs."""
    return 0


def per_value(factor: int) -> Count:
    """`factor` FLOPs for each value of the input."""
    return lambda c, h, w: factor * c * h * w


@dataclass(frozen=True, slots=True)
class Foreign:
    """What the authors' package `uninas` calls an operation.

    Attributes:
        cls: the class in its JSON.
        params: its parameters there; the branches of a coupled pair are added.
    """

    cls: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One row of Table I.

    Attributes:
        name: the word used in texts.
        kind: "convolution", "attention", "norm", "activation" or "shape", for drawings and statistics.
        params: parameters as a function of (C, H, W).
        flops: FLOPs as a function of (C, H, W), its branches excluded.
        rule: what a shape must satisfy, in words; empty when every shape is admitted.
        admits: whether a shape satisfies the rule.
        layer: makes the module of an elementary operation from the shape of one copy and the number of copies that
            run side by side; None for a pair. torch is imported inside.
        branches: shapes of the branches of a coupled pair; None for an elementary operation. For attention, the
            shapes of the five chains of one head.
        couple: makes the module of a coupled pair from its branches' modules, the number of copies, and a function
            that makes a 1×1 convolution with `before` and `after` channels per copy under a name; None for
            attention, whose branches come in groups of heads.
        halves: what the two halves of a coupled pair are called; attention has more parts than two.
        opening: what the first of them costs; the second costs the rest.
        commutes: whether the order of the branches does not matter, so that the order of their texts is canonical.
        foreign: its name in the package `uninas`.
        addable: whether the search step may add it.
    """

    name: str
    kind: str
    params: Count = free
    flops: Count = free
    rule: str = ""
    admits: Callable[[Shape], bool] = lambda _shape: True
    layer: Callable[[Shape, int], nn.Module] | None = None
    branches: Callable[[Shape], tuple[Shape, ...]] | None = None
    couple: Callable[[Shape, Sequence[Any], int, Callable[[int, int, str], nn.Conv2d]], nn.Module] | None = None
    halves: tuple[str, str] = ("", "")
    opening: Callable[[int, int, int], Cost] = lambda _c, _h, _w: Cost(0, 0)
    commutes: bool = False
    foreign: Foreign = Foreign("")
    addable: bool = True

    def cost(self, shape: Shape) -> Cost:
        """Parameters and FLOPs on a shape, branches excluded."""
        return Cost(self.params(*shape), self.flops(*shape))

    def half_costs(self, shape: Shape) -> tuple[Cost, Cost]:
        """What the two halves of a coupled pair cost."""
        opening = self.opening(*shape)
        return opening, self.cost(shape) - opening

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> str | tuple[object, ...]:
        return by_name, (self.name,)  # one object a name in every process


def by_name(name: str) -> Operation:
    """The operation of a name."""
    from uninas_evo.spaces.uninas.operations import OPERATIONS

    return OPERATIONS[name]
