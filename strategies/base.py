"""What the strategies share: two schedules of asking and telling, and one reading of results.

A `Generational` strategy asks a whole generation and waits for all of it. A `SteadyState` one asks candidate k as
soon as the results up to k − lag are told, and uses exactly those. Both give the same asks however results are cut
into calls of `tell`, so that the number of workers changes nothing.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pydantic

from uninas_evo.contracts import Candidate, Objective, Result, Space, StopSearch, Strategy
from uninas_evo.errors import StrategyError
from uninas_evo.strategies import check_objectives

MAX_REPEATS = 1000
"""Candidates in a row that a walk has asked before: what it can reach is exhausted."""
MAX_TRIES = 100
"""Draws of an operator for a genome that was not asked before; drawing is cheap, scoring is not."""


class StrategyOptions(pydantic.BaseModel):
    """The base of every strategy's options: unknown fields are refused."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Lag(StrategyOptions):
    """The option of every steady-state strategy."""

    lag: int = pydantic.Field(
        4,
        ge=1,
        le=MAX_REPEATS,
        description="candidate k is asked when all results up to k - lag are told, so that up to lag workers stay "
        "busy; 4 costs nothing measurable on NAS-Bench-201 against 1, larger values learn later",
    )


@dataclass(frozen=True, slots=True)
class Draft:
    """A candidate that has no number yet."""

    genome: Any
    parents: tuple[int, ...] = ()
    origin: str = "sample"


class SearchStrategy(Strategy):
    """Checks the objectives, knows what was asked, and reads results."""

    def __init__(self, space: Space[Any], objectives: Sequence[Objective], *, seed: int, **options: Any) -> None:
        check_objectives(type(self), objectives)
        super().__init__(space, objectives, seed=seed, **options)
        self._known: set[Any] = set()
        self._repeats = 0
        self._exhausted = False
        self._told = 0

    def candidate(self, genome: Any, parents: Sequence[int] = (), origin: str = "sample") -> Candidate:
        """Numbers a genome as the next candidate.

        Raises:
            StopSearch: the last `MAX_REPEATS` genomes were all asked before, or the search has ended.
        """
        self._repeats = self._repeats + 1 if genome in self._known else 0
        if self._exhausted or self._repeats >= MAX_REPEATS:
            raise self.exhausted()
        self._known.add(genome)
        return super().candidate(genome, parents, origin)

    def novel(self, draw: Callable[[], Draft | None]) -> Candidate:
        """Numbers the first draft whose genome was not asked before.

        Where `MAX_TRIES` draws give none (the neighborhood is exhausted), as many samples of the space are tried.

        Raises:
            StopSearch: neither gave a new genome.
        """
        for make in (draw, self.sample):
            for _ in range(MAX_TRIES):
                draft = make()
                if draft is not None and not self.asked(draft.genome):
                    return self.number(draft)
        raise self.exhausted()

    def exhausted(self) -> StopSearch:
        """Ends the search for good; the exception to raise."""
        self._exhausted = True
        return StopSearch("no genome within reach is new: the space is exhausted")

    def number(self, draft: Draft) -> Candidate:
        """Makes a draft the next candidate."""
        return self.candidate(draft.genome, draft.parents, draft.origin)

    def sample(self) -> Draft:
        """A genome composed with uniform choices."""
        return Draft(self.space.sample(self.rng))

    def asked(self, genome: Any) -> bool:
        """Whether a genome was asked before."""
        return genome in self._known

    def fitness(self, result: Result) -> tuple[float, ...]:
        """A value for each objective, greater is better; minus infinity in all of them for a failure."""
        values = tuple(
            result.values.get(objective.name, math.nan) * (1 if objective.goal == "maximize" else -1)
            for objective in self.objectives
        )
        if not result.ok or not all(map(math.isfinite, values)):
            return (-math.inf,) * len(self.objectives)
        return values

    def _receive(self, results: Sequence[Result]) -> None:
        for result in results:
            if result.candidate.number != self._told:
                raise StrategyError(
                    f"results must be told in the order of their candidates: number {self._told} comes next, "
                    f"got {result.candidate.number}; keep later results back until it is scored"
                )
            if self._told >= self._asked:
                raise StrategyError(f"candidate {self._told} was never asked; tell only results of asked ones")
            self._told += 1


class SteadyState(SearchStrategy):
    """Asks candidate k once results 0 to k − lag are told; proposing it uses exactly those results.

    Attributes:
        free: how many first candidates need no result at all.
    """

    options: Lag
    free: int = 0

    def __init__(self, space: Space[Any], objectives: Sequence[Objective], *, seed: int, **options: Any) -> None:
        super().__init__(space, objectives, seed=seed, **options)
        self._unlearned: deque[Result] = deque()
        self._learned = 0

    @abstractmethod
    def propose(self) -> Candidate:
        """The next candidate, from what was learned."""

    def learn(self, result: Result) -> None:
        """Takes one result into account; by default results change nothing."""

    def ask(self) -> Sequence[Candidate]:
        """Every candidate whose results are in."""
        return _until_stopped(self._propose_all())

    def _propose_all(self) -> Iterator[Candidate]:
        while (needed := self._needed()) <= self._told:
            while self._learned < needed:
                self.learn(self._unlearned.popleft())
                self._learned += 1
            yield self.propose()

    def tell(self, results: Sequence[Result]) -> None:
        """Keeps the results until a candidate needs them."""
        self._receive(results)
        self._unlearned.extend(results)

    def _needed(self) -> int:
        return 0 if self._asked < self.free else max(0, self._asked - self.options.lag + 1)


class Generational(SearchStrategy):
    """Asks a generation at once, and the next when all its results are told."""

    def __init__(self, space: Space[Any], objectives: Sequence[Objective], *, seed: int, **options: Any) -> None:
        super().__init__(space, objectives, seed=seed, **options)
        self._results: list[Result] = []

    @abstractmethod
    def breed(self) -> Iterator[Candidate]:
        """The next generation, one candidate after the other."""

    @abstractmethod
    def select(self, results: Sequence[Result]) -> None:
        """Takes a whole generation's results, in the order it was asked."""

    def ask(self) -> Sequence[Candidate]:
        """The next generation, or nothing while one is under way."""
        return _until_stopped(self.breed()) if self._told == self._asked else ()

    def tell(self, results: Sequence[Result]) -> None:
        """Collects results; the last one of a generation makes the strategy learn from all."""
        self._receive(results)
        self._results.extend(results)
        if self._told == self._asked and self._results:
            generation, self._results = self._results, []
            self.select(generation)


def _until_stopped(candidates: Iterator[Candidate]) -> list[Candidate]:
    """All candidates before a `StopSearch`, which is only raised where there are none."""
    made = []
    try:
        for candidate in candidates:
            made.append(candidate)
    except StopSearch:
        if not made:
            raise
    return made
