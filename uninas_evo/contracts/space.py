"""A space: builds, changes, costs and encodes genomes, and never leaves its budget."""

from __future__ import annotations

import copy
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, Self, TypeVar, runtime_checkable

from uninas_evo.contracts.costs import Budget, Cost, CostModel
from uninas_evo.contracts.decision import Choose
from uninas_evo.errors import SpaceError

if TYPE_CHECKING:
    from torch import nn

    from uninas_evo.contracts.supernet import Supernet

G = TypeVar("G", bound=Hashable)
Shape = tuple[int, int, int]
"""(C, H, W): channels, height, width."""


class Space(ABC, Generic[G]):
    """All genomes that a search may reach; every operator takes its `random.Random` last and changes no argument.

    Attributes:
        budget: bounds on named costs that no operator leaves.
        costs: what gives further named costs, such as the latency on a device.
        start: the genome that walks begin at, inside the budget; None where the space has none.
        image: (C, H, W) of the images that its networks take.
        classes: outputs of its networks.
    """

    budget: Budget
    costs: tuple[CostModel[G], ...] = ()
    start: G | None = None
    image: Shape
    classes: int

    @abstractmethod
    def compose(self, choose: Choose) -> G:
        """Builds a genome inside the budget by asking `choose` for every decision."""

    def sample(self, rng: random.Random) -> G:
        """Composes a genome with uniform random choices."""
        return self.compose(lambda decision: decision.draw(rng))

    @abstractmethod
    def mutate(self, genome: G, rng: random.Random) -> G | None:
        """One feasible step inside the budget, or None where none was found."""

    def attempt(self, genome: G, rng: random.Random) -> G | None:
        """One try at a step, which may end outside the budget and then is None: `mutate` without its patience."""
        return self.mutate(genome, rng)

    @abstractmethod
    def crossover(self, a: G, b: G, rng: random.Random) -> G | None:
        """A child of two genomes inside the budget, or None where none was found."""

    @abstractmethod
    def cost(self, genome: G) -> Cost:
        """Exact named costs, from formulas; nothing is built. Ends with `return self.extended(genome, cost)`."""

    def extended(self, genome: G, cost: Cost) -> Cost:
        """A genome's cost with the amounts that `costs` give."""
        for model in self.costs:
            cost = cost.extended(**model(genome, cost))
        return cost

    def image_of(self, genome: G) -> Shape:
        """(C, H, W) of the images that a genome's network takes; the space's own, unless the search changes them."""
        return self.image

    def with_costs(self, costs: Sequence[CostModel[G]], budget: Budget) -> Self:
        """The same space with further named costs, inside a budget that may bound them.

        Raises:
            SpaceError: the space cannot change its budget.
            BudgetError: no genome, or not the start, is inside.
        """
        other = copy.copy(self)
        if not isinstance(other, Rebudgeted):
            raise SpaceError(f"{type(self).__name__} takes no further costs: it has no `with_budget`; add the method")
        object.__setattr__(other, "costs", (*self.costs, *costs))  # spaces may be frozen
        return other.with_budget(budget)

    def features(self, genome: G) -> Mapping[str, float]:
        """Numbers that predictors learn from; by default the costs alone."""
        return dict(self.cost(genome))

    @abstractmethod
    def build(self, genome: G) -> nn.Module:
        """The network of a genome, with its default initialization."""

    def supernet(self, **options: Any) -> Supernet[G]:
        """A network that holds the weights of all genomes.

        Raises:
            SpaceError: the space shares no weights.
        """
        raise SpaceError(f"{type(self).__name__} has no supernet: it shares no weights; train genomes one by one")

    @abstractmethod
    def encode(self, genome: G) -> str:
        """The genome's canonical text; equal genomes have equal text in every process."""

    @abstractmethod
    def decode(self, text: str) -> G:
        """The genome of a text.

        Raises:
            GenomeError: the text is not a genome of this space.
        """


@runtime_checkable
class Anchored(Protocol):
    """The capability of spaces whose `compose` begins at a genome: Bayesian search restarts near the best."""

    def around(self, genome: Any) -> Self:
        """The same space seen from one of its genomes: `compose` stays near it."""


@runtime_checkable
class Rebudgeted(Protocol):
    """The capability of spaces that can leave their budget, for engines that take bounds as constraints."""

    def with_budget(self, budget: Budget) -> Self:
        """The same space inside another budget."""


Variation = Callable[[Any, random.Random], Any]
"""An operator: a child of a genome inside the budget, or None where none was found."""


@runtime_checkable
class Varied(Protocol):
    """The capability of spaces with operators beside `mutate` and `crossover`, such as known pieces put in whole."""

    def variations(self) -> Mapping[str, Variation]:
        """The further operators by name."""


@runtime_checkable
class Started(Protocol):
    """The capability of spaces that know several genomes worth beginning at."""

    def starts(self) -> Sequence[Any]:
        """Genomes inside the budget, the best guess first."""


@runtime_checkable
class Trained(Protocol):
    """The capability of spaces whose genomes decide how their networks are trained, too."""

    def training(self, genome: Any) -> Mapping[str, Any]:
        """The settings of the training protocol that a genome decides, by name."""


class Piece(NamedTuple):
    """An operation as a device runs it.

    Attributes:
        operation: its name in the space.
        shape: (C, H, W) of one copy's input.
        copies: how many run side by side as one, such as heads of attention.
    """

    operation: str
    shape: Shape
    copies: int = 1


@runtime_checkable
class Pieced(Protocol):
    """The capability of spaces whose networks are pieces that a device can run, and time, one by one."""

    def pieces(self, genome: Any) -> Mapping[Piece, int]:
        """How often each piece stands in a genome; what all genomes have in common is none of them."""

    def build_piece(self, piece: Piece) -> nn.Module:
        """A piece alone: (N, copies·C, H, W) to any output."""

    def sums(self, amount: Callable[[Piece], float]) -> Callable[[Any], float]:
        """Adds an amount over the pieces of genomes, in microseconds where they have most in common."""


@runtime_checkable
class Canonical(Protocol):
    """The capability of spaces that can tell, without building anything, what no training-free score can see."""

    def canonical(self, genome: Any) -> Any:
        """The genome that stands for all whose networks no training-free score tells apart; its own is itself."""


@runtime_checkable
class Reducible(Protocol):
    """The capability of spaces that can tell, without building anything, that networks compute the same."""

    def reduced(self, genome: Any) -> Hashable:
        """Equal for genomes whose networks compute the same function of their weights, as far as is known."""


@runtime_checkable
class Backbones(Protocol):
    """The capability of spaces whose networks give maps of images of any height and width (`forward_features`)."""

    def backbone_cost(self, genome: Any, height: int, width: int) -> Cost:
        """Exact named costs of these maps, everything but the classifier's head, from formulas.

        Args:
            genome: one of the space's.
            height: of the image in pixels.
            width: of the image in pixels.
        """
