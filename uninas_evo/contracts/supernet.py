"""A supernet: one network that holds the weights of every genome of a space."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeVar, Union, runtime_checkable

from uninas_evo.contracts.decision import Decision

if TYPE_CHECKING:
    from torch import Tensor, nn

    from uninas_evo.contracts.array import FloatArray

G = TypeVar("G")


class Chosen(NamedTuple):
    """One option of a slot alone, its output multiplied by a weight ()."""

    option: int
    weight: Tensor


class Gated(NamedTuple):
    """One option of a slot alone, whose gate is open; the backward pass measures what each gate would change.

    Attributes:
        option: the index of the one that runs.
        gradient: (options,) to which the loss's derivative by each gate is added.
        among: the options whose gates are measured; they run without a graph in the backward pass.
    """

    option: int
    gradient: Tensor
    among: tuple[int, ...]


Weights: TypeAlias = Union["Tensor", Chosen, Gated]
"""How a slot's options are mixed: weights (options,), or (N, options) for an architecture an image."""
Mixture = Mapping[str, Weights]
"""The weights of each slot, by its name."""


class Learned(Protocol):
    """What a training of shared weights learned: a preference among genomes."""

    @abstractmethod
    def derive(self) -> Any:
        """The genome that is preferred."""

    @abstractmethod
    def sample(self, rng: random.Random) -> Any:
        """A draw of the distribution over genomes."""


@runtime_checkable
class Supernet(Protocol[G]):
    """A `torch.nn.Module` that runs any path of its space.

    Attributes:
        slots: what a mixture weights: the space's decisions, or a relaxation of them; empty where genomes alone are
            run.
        joins_slots: whether a place's weights come from several slots, so that it takes weights of all options alone.
    """

    slots: tuple[Decision, ...]
    joins_slots: bool

    @abstractmethod
    def forward(self, images: Tensor, path: G | Mixture) -> Tensor:
        """(N, K) logits of images (N, C, H, W) along a genome's path, or of a mixture of all options."""

    @abstractmethod
    def extract(self, genome: G) -> nn.Module:
        """The genome's own network with copies of the shared weights: equal outputs, bit for bit."""

    @abstractmethod
    def derive(self, probabilities: Mapping[str, FloatArray]) -> G:
        """The genome that probabilities (options,) of each slot favor, inside the space's budget."""
