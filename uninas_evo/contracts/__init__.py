"""The contracts that spaces, problems and strategies meet; everything else knows only these.

A strategy asks, the loop scores, the strategy is told::

    strategy = Evolution(problem.space, problem.objectives, seed=0)
    while True:
        candidates = strategy.ask()          # empty: results are awaited; StopSearch: done
        for candidate in candidates:
            values = problem.evaluate(candidate.genome, "cpu")
            strategy.tell([Result(candidate, values)])

Every operator takes an explicit `random.Random` last and leaves its arguments unchanged.
"""

from __future__ import annotations

import copy
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Self, TypeVar

from uninas_evo.errors import BudgetError

if TYPE_CHECKING:
    import pydantic
    from torch import nn

Goal = Literal["maximize", "minimize"]
Choose = Callable[[str, Sequence[str]], str]
"""Takes a decision's name and its options, returns one of the options. The options of a name never change."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a network costs: parameters (a count) and FLOPs (multiplications and additions of one image)."""

    params: int
    flops: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.params + other.params, self.flops + other.flops)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.params - other.params, self.flops - other.flops)


@dataclass(frozen=True, slots=True)
class Budget:
    """Lower and upper bounds on parameters and FLOPs, all inclusive.

    Raises:
        BudgetError: a bound is negative, or a lower bound lies above its upper one.
    """

    min_params: float = 0
    max_params: float = float("inf")
    min_flops: float = 0
    max_flops: float = float("inf")

    def __post_init__(self) -> None:
        for name in ("params", "flops"):
            low, high = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if not 0 <= low <= high:
                raise BudgetError(
                    f"the budget's {name} are wrong: 0 <= min_{name} <= max_{name} must hold, "
                    f"got min_{name}={low:g} and max_{name}={high:g}; lower the one or raise the other"
                )

    def admits(self, cost: Cost) -> bool:
        """Whether a cost lies within all four bounds."""
        return self.min_params <= cost.params <= self.max_params and self.min_flops <= cost.flops <= self.max_flops


G = TypeVar("G", bound=Hashable)


class Space(ABC, Generic[G]):
    """Builds, changes, costs and encodes genomes; knows the budget and never leaves it."""

    start: G
    """The genome that walks begin at, inside the budget."""
    budget: Budget

    @abstractmethod
    def with_budget(self, budget: Budget) -> Self:
        """The same space inside another budget."""

    def around(self, genome: G) -> Self:
        """The same space seen from one of its genomes: `compose` stays near it.

        By default the space itself, for spaces whose `compose` has no start.
        """
        return self

    @abstractmethod
    def compose(self, choose: Choose) -> G:
        """Builds a genome by asking `choose(name, options)` for every decision."""

    def sample(self, rng: random.Random) -> G:
        """Composes a genome with uniform random choices."""
        return self.compose(lambda _, options: rng.choice(options))

    @abstractmethod
    def mutate(self, genome: G, rng: random.Random) -> G | None:
        """One feasible step inside the budget, or None where none was found."""

    @abstractmethod
    def crossover(self, a: G, b: G, rng: random.Random) -> G | None:
        """A child of two genomes inside the budget, or None where none was found."""

    @abstractmethod
    def cost(self, genome: G) -> Cost:
        """Exact parameters and FLOPs, from formulas; nothing is built."""

    @abstractmethod
    def build(self, genome: G) -> nn.Module:
        """The network of a genome, with its default initialization."""

    @abstractmethod
    def encode(self, genome: G) -> str:
        """The genome's canonical text; equal genomes have equal text in every process."""

    @abstractmethod
    def decode(self, text: str) -> G:
        """The genome of a text.

        Raises:
            GenomeError: the text is not a genome of this space.
        """


@dataclass(frozen=True, slots=True)
class Objective:
    """A named number that a search maximizes or minimizes.

    Attributes:
        name: its key among the values that `Problem.evaluate` returns.
        goal: which direction is better.
        repeats: whether scoring a genome again gives the same value; a measured time does not.
    """

    name: str
    goal: Goal
    repeats: bool = True


class Problem(ABC):
    """What is optimized: a space with its budget, and objectives. Pickled once into each worker."""

    Options: ClassVar[type[pydantic.BaseModel]]
    """The fields of the run file's `[problem]` table."""
    space: Space[Any]
    objectives: tuple[Objective, ...]
    seed: int = 0
    """Fixes every random draw of `evaluate`."""
    sources: tuple[Path, ...] = ()
    """Files of the user's own code that `evaluate` runs; a run records their hashes before it runs them."""

    def with_seed(self, seed: int) -> Self:
        """The same problem with fresh random draws: scores a genome again, independently."""
        other = copy.copy(self)
        other.seed = seed
        return other

    @classmethod
    @abstractmethod
    def from_options(cls, options: pydantic.BaseModel, seed: int) -> Problem:
        """The problem of a run file's `[problem]` table, `options` being an instance of `Options`."""

    def prepare(self, device: str) -> None:  # noqa: B027 - most problems have nothing to prepare
        """Called once in each worker before the first `evaluate`: imports and settings of libraries go here."""

    @abstractmethod
    def evaluate(self, genome: Any, device: str) -> Mapping[str, float]:
        """Scores a genome: a value for every objective, further named values as one likes.

        Runs in a worker and depends on the genome and the run's seed alone, never on the worker or the order.
        """


@dataclass(frozen=True, slots=True)
class Candidate:
    """A genome that a strategy wants scored.

    Attributes:
        number: counts a run's candidates from 0, in the order they were asked.
        genome: what is to be scored.
        parents: the numbers of the candidates it was made from.
        origin: the operator that made it: "start", "sample", "mutate", "crossover", ...
    """

    number: int
    genome: Any
    parents: tuple[int, ...] = ()
    origin: str = "sample"


@dataclass(frozen=True, slots=True)
class Result:
    """What scoring a candidate gave: its values, or the reason why there are none."""

    candidate: Candidate
    values: Mapping[str, float] = field(default_factory=dict)
    failure: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the candidate has values; a failed one must never win."""
        return self.failure is None


class StopSearch(Exception):
    """Raised by `Strategy.ask` when the strategy has nothing more to ask for, ever."""


class Strategy(ABC):
    """Asks for genomes and is told their results.

    The contract: `ask` returns candidates numbered consecutively from 0, or an empty sequence while it waits for
    results; results are told in the order of their candidates, one or several at a time, and how they are cut into
    calls of `tell` never changes what is asked. Asking only depends on the seed and on the results told so far.
    Duplicates may be asked: they are answered from what is known and not charged.
    """

    Options: ClassVar[type[pydantic.BaseModel]]
    """The fields of the run file's `[strategy]` table beside `name`."""
    objectives_allowed: ClassVar[Literal["one", "several", "any"]]
    """How many objectives the strategy can follow."""

    def __init__(self, space: Space[Any], objectives: Sequence[Objective], *, seed: int, **options: Any) -> None:
        self.space = space
        self.objectives = tuple(objectives)
        self.options = self.Options(**options)
        self.rng = random.Random(seed)
        self._asked = 0

    def candidate(self, genome: Any, parents: Sequence[int] = (), origin: str = "sample") -> Candidate:
        """Numbers a genome as the next candidate."""
        number = self._asked
        self._asked += 1
        return Candidate(number, genome, tuple(parents), origin)

    @abstractmethod
    def ask(self) -> Sequence[Candidate]:
        """The next candidates; empty while results are awaited.

        Raises:
            StopSearch: there is nothing more to ask for.
        """

    @abstractmethod
    def tell(self, results: Sequence[Result]) -> None:
        """Takes results in the order of their candidates."""
