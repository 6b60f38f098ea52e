"""A strategy: asks for genomes and is told their results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn

from uninas_evo.errors import StrategyError

if TYPE_CHECKING:
    import pydantic

    from uninas_evo.contracts.array import Array
    from uninas_evo.contracts.problem import Constraint
    from uninas_evo.contracts.supernet import Learned


@dataclass(frozen=True, slots=True)
class Draft:
    """A genome that a strategy wants scored.

    Attributes:
        genome: what is to be scored.
        parents: the numbers of the candidates it was made from.
        origin: the operator that made it: "start", "sample", "mutate", "crossover", ...
        fidelity: index into the problem's fidelities; None for the full one.
        inherits: the number of the candidate whose trained weights it starts from; None for none.
    """

    genome: Any
    parents: tuple[int, ...] = ()
    origin: str = "sample"
    fidelity: int | None = None
    inherits: int | None = None


@dataclass(frozen=True, slots=True)
class Candidate(Draft):
    """A draft with its number: candidates of a run count from 0 in the order they were asked."""

    number: int = -1


def numbered(draft: Draft, number: int) -> Candidate:
    """A draft as candidate `number`."""
    return Candidate(draft.genome, draft.parents, draft.origin, draft.fidelity, draft.inherits, number)


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

    The contract: `ask` returns drafts, which are numbered from 0 in the order they are returned, or an empty sequence
    while it waits for results; results are told in the order of their candidates, one or several at a time, and how
    they are cut into calls of `tell` never changes what is asked. Asking depends only on the seed and on the results
    told so far. Duplicates may be asked: they are answered from what is known and not charged. A strategy may propose
    and reject as many genomes as it likes before it returns one.

    A class that run files name is called as ``Class(space, objectives, seed=..., **options)``; one that `climbs` also
    gets ``fidelities=``, the number of the problem's fidelities.
    """

    Options: ClassVar[type[pydantic.BaseModel]]
    """The fields of the run file's `[strategy]` table beside `name`."""
    options: pydantic.BaseModel
    """What it was made with, for the run's record."""
    objectives_allowed: ClassVar[Literal["one", "several", "any"]] = "any"
    """How many objectives the strategy can follow."""
    used: bool = False
    """Whether a loop has asked it: what it learned belongs to that search alone."""
    constraints: Sequence[Constraint] = ()
    """Bounds on values of results; the loop sets them before the first `ask`, to those of the problem."""
    climbs: ClassVar[bool] = False
    """Whether it asks for cheap fidelities before the full one."""
    asks_learned: ClassVar[bool] = False
    """Whether it asks what the problem's preparation learned, so that this comes before its first `ask`."""
    learner: Learned | None = None
    """What was learned, for a strategy that `asks_learned`; the run sets it before the first `ask`."""

    def __init__(self, *given: Any, **options: Any) -> None:
        if given or options:
            raise StrategyError(
                "the contract Strategy takes nothing and keeps nothing: derive from "
                "uninas_evo.strategies.base.SearchStrategy, which has space, objectives, rng and options, or set them "
                f"yourself in {type(self).__name__}.__init__"
            )

    def candidate(self, *given: Any, **options: Any) -> NoReturn:
        """Was how version 0.1 numbered candidates.

        Raises:
            StrategyError: always; the loop numbers what `ask` returns.
        """
        raise StrategyError("candidates are numbered by the loop: have `ask` return Draft(genome, parents, origin)")

    @property
    def exactly(self) -> int | None:
        """How many candidates it asks for, of a strategy that asks for a whole space; None for all others.

        A run confirms the number by as many evaluations, so that nobody begins a large one by mistake.
        """
        return None

    @abstractmethod
    def ask(self) -> Sequence[Draft]:
        """The next drafts; empty while results are awaited.

        Raises:
            StopSearch: there is nothing more to ask for.
        """

    @abstractmethod
    def tell(self, results: Sequence[Result]) -> None:
        """Takes results in the order of their candidates."""

    def ranking(self) -> Sequence[int] | None:
        """Numbers of candidates at the full fidelity, best first, where the strategy knows better than their values."""
        return None

    def snapshot(self) -> Mapping[str, Array] | None:
        """Everything that replaying the results so far would make anew, as arrays; None where replay is cheap.

        A resumed run restores the last snapshot and replays only what was told after it: for strategies that learn by
        gradient steps, whose replay is slow and exact on one machine alone.
        """
        return None

    def restore(self, state: Mapping[str, Array]) -> None:
        """Takes up what `snapshot` returned.

        Raises:
            StrategyError: the state is not one of this strategy.
        """
        raise StrategyError(f"{type(self).__name__} takes no snapshots, so that there is nothing to restore")
