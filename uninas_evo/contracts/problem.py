"""A problem: what is optimized, a space times objectives."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

from uninas_evo.contracts.space import Space
from uninas_evo.errors import ObjectiveError

if TYPE_CHECKING:
    import pydantic

    from uninas_evo.contracts.supernet import Learned

Goal = Literal["maximize", "minimize"]


@dataclass(frozen=True, slots=True)
class Objective:
    """A named number that a search maximizes or minimizes.

    Attributes:
        name: its key among the values that `Problem.evaluate` returns.
        goal: which direction is better.
        repeats: whether scoring a genome again gives the same value; a measured time does not.
        unit: what it is counted in, such as "%" or "ms"; empty for a plain number.
        is_cost: whether it is known before anything is built, as params and FLOPs are.

    Raises:
        ObjectiveError: the goal is none of the two.
    """

    name: str
    goal: Goal
    repeats: bool = True
    unit: str = ""
    is_cost: bool = False

    def __post_init__(self) -> None:
        if self.goal not in ("maximize", "minimize"):
            raise ObjectiveError(
                f"the goal of objective {self.name!r} must be 'maximize' or 'minimize', got {self.goal!r}; use one"
            )

    @property
    def sign(self) -> int:
        """1 where greater is better, −1 where less is."""
        return 1 if self.goal == "maximize" else -1

    def better(self, a: float, b: float) -> bool:
        """Whether value `a` is better than value `b`; a NaN is better than nothing, and nothing than it."""
        return self.sign * a > self.sign * b


@dataclass(frozen=True, slots=True)
class Constraint:
    """Bounds on a value that only scoring gives, such as a measured latency; inclusive.

    Attributes:
        name: its key among the values that `Problem.evaluate` returns.
        low: the least that is feasible.
        high: the most that is feasible.
        drop: beyond it the genome fails, and no other scorer sees it.
    """

    name: str
    low: float = float("-inf")
    high: float = float("inf")
    drop: float = float("inf")

    def excess(self, values: Mapping[str, float]) -> float:
        """By which share of the bound a value lies outside, 0 inside; infinite where it is missing."""
        value = values.get(self.name, math.nan)
        if math.isnan(value):
            return math.inf
        return max(0.0, (value - self.high) / _scale(self.high), (self.low - value) / _scale(self.low))


def _scale(bound: float) -> float:
    return abs(bound) if math.isfinite(bound) and bound else 1.0


def violation(values: Mapping[str, float], constraints: Sequence[Constraint]) -> float:
    """The sum of all constraints' excesses: 0 where every one is met."""
    return sum((one.excess(values) for one in constraints), 0.0)


class Ancestor(NamedTuple):
    """A candidate whose trained weights another one starts from.

    Attributes:
        genome: what it is; its text where jobs are sent.
        fidelity: at which it was trained; None for the full one.
    """

    genome: Any
    fidelity: int | None = None


Progress = Callable[[str], None]
"""Takes a line that says how far a preparation is."""


class Problem(ABC):
    """What is optimized: a space with its budget, and objectives. Pickled once into each worker.

    Attributes:
        space: where genomes come from.
        objectives: what is followed.
        constraints: bounds on scored values; strategies are told, each in its engine's own way.
        fidelities: ways to evaluate from cheap to full, such as epochs of training; `Draft.fidelity` is an index
            into them. Empty where there is one way only.
        seed: fixes every random draw of `evaluate`.
        sources: files of the user's own that `evaluate` depends on; their hashes are part of a run's identity.
        prepared: name -> SHA-256 of what `make_ready` made: part of a run's identity.
        canonical: whether scores are those of what stands for a genome, see `standing_for`.
        derives: whether `make_ready` learns which genomes to prefer, as learners with a policy do.
        learned: what it learned; None before, and where it learns nothing of the kind.
        lookup: whether `evaluate` only looks numbers up: it neither hangs nor crashes, and a process of its own would
            cost more than it.
    """

    Options: ClassVar[type[pydantic.BaseModel]]
    """The fields of the run file's `[problem]` table."""
    space: Space[Any]
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()
    fidelities: tuple[Mapping[str, float], ...] = ()
    seed: int = 0
    sources: tuple[Path, ...] = ()
    prepared: Mapping[str, str] = MappingProxyType({})
    canonical: bool = False
    derives: bool = False
    learned: Learned | None = None
    lookup: bool = False

    def with_seed(self, seed: int) -> Self:
        """The same problem with fresh random draws: scores a genome again, independently."""
        other = copy.copy(self)
        other.seed = seed
        return other

    @classmethod
    @abstractmethod
    def from_options(cls, options: Any, seed: int) -> Problem:
        """The problem of a run file's `[problem]` table, `options` being an instance of `Options`."""

    def make_ready(self, folder: Path | None, device: str, progress: Progress) -> None:  # noqa: B027 - optional
        """Called once a run, before the first ask: trains or fits what evaluations share. Can be resumed.

        Args:
            folder: the run folder, where what is made is kept; None keeps nothing.
            device: what to compute on.
            progress: is told how far it is.
        """

    def clean_up(self, folder: Path | None) -> int:
        """Called when a search has ended: removes what evaluations alone needed, and can be made again.

        Returns:
            The bytes that it took.
        """
        return 0

    def prepare(self, device: str) -> None:  # noqa: B027 - most problems have nothing to prepare
        """Called once in each worker before the first `evaluate`: imports and settings of libraries go here."""

    def standing_for(self, genome: Any) -> Any:
        """The genome whose values, but for costs, are also this one's: itself by default.

        What stands for several genomes is evaluated once for all of them; costs stay each genome's own.
        """
        return genome

    @abstractmethod
    def evaluate(
        self, genome: Any, device: str, *, fidelity: int | None = None, lineage: Sequence[Ancestor] = ()
    ) -> Mapping[str, float]:
        """Scores a genome: a value for every objective, further named values as one likes.

        Runs in a worker and depends on the arguments, the seed and what `make_ready` made, never on the worker or
        the order.

        Args:
            genome: what is scored.
            device: what to compute on.
            fidelity: index into `fidelities`; None for the full one.
            lineage: candidates whose trained weights this one descends from, oldest first; empty for none.
        """
