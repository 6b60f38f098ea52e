"""What the strategies share: two schedules of asking and telling, and one reading of results.

A `Generational` strategy asks a whole generation and waits for all of it. A `SteadyState` one asks candidate k as
soon as the results up to k − lag are told, and uses exactly those. Both give the same asks however results are cut
into calls of `tell`, so that the number of workers changes nothing.
"""

from __future__ import annotations

import json
import math
import random
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import pydantic

from uninas_evo.contracts import Candidate, Draft, Objective, Result, Space, StopSearch, Strategy, violation
from uninas_evo.errors import RunFileError, StrategyError
from uninas_evo.mistakes import check
from uninas_evo.strategies import check_objectives

if TYPE_CHECKING:
    from uninas_evo.contracts.array import Array

MAX_REPEATS = 1000
"""Candidates in a row that a walk has asked before: what it can reach is exhausted."""
INFEASIBLE = 1e30
"""The fitness of what violates a constraint is below minus this: no objective comes near it, and a float still tells
violations apart."""
LARGEST = 1e150
"""Fitness beyond counts as that: its square is finite. No score that means anything comes near."""
MAX_TRIES = 100
"""Draws of an operator for a genome that was not asked before; drawing is cheap, scoring is not."""


def start_of(space: Space[Any]) -> Any:
    """The genome that a space's walks begin at.

    Raises:
        StrategyError: the space has no start.
    """
    if space.start is None:
        raise StrategyError(
            f"this strategy begins at the space's start, and {type(space).__name__} has none; "
            f"give the space a start, or use a strategy that samples, such as random, evolution or aging"
        )
    return space.start


MOST = 100_000
"""Members, candidates of a generation, samples: each is held in memory, and a generation is asked in one go."""


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


def made(model: type[Any], options: Mapping[str, Any], whose: str) -> Any:
    """Options of a model.

    Raises:
        RunFileError: one is wrong; the message lists all mistakes.
    """
    found, mistakes = check(model, options, (), Path())
    if mistakes:
        raise RunFileError(f"the options of {whose} are wrong: {'; '.join(mistakes)}")
    return found


class SearchStrategy(Strategy):
    """Checks the objectives, knows what was asked, and reads results.

    Args:
        space: builds and varies genomes.
        objectives: what is followed.
        seed: of all draws.
        fidelities: how many the problem has; only strategies that climb are told.
        options: an object of the class's `Options`, which a type checker reads, in place of its fields.
        fields: the fields of `Options`, as run files have them.

    Attributes:
        rungs: fidelities to climb, at least the full one.
        repeats_end: how many candidates in a row that were asked before end the search; None where asking again is
            part of the method, as a policy's converged samples are.

    Raises:
        ObjectiveError: the strategy cannot follow as many objectives.
        RunFileError: an option is wrong.
    """

    repeats_end: ClassVar[int | None] = MAX_REPEATS

    def __init__(
        self,
        space: Space[Any],
        objectives: Sequence[Objective],
        *,
        seed: int,
        fidelities: int = 0,
        options: StrategyOptions | None = None,
        **fields: Any,
    ) -> None:
        check_objectives(type(self), objectives)
        self.rungs = max(fidelities, 1)
        self.space = space
        self.objectives = tuple(objectives)
        self.options = self._chosen(options, fields)
        self.rng = random.Random(seed)
        self._asked = 0
        self._known: set[Any] = set()
        self._pairs: set[tuple[Any, int | None]] = set()
        self._repeats = 0
        self._exhausted = False
        self._told = 0

    def _chosen(self, options: StrategyOptions | None, fields: Mapping[str, Any]) -> StrategyOptions:
        """The options, given whole or as fields."""
        whose = type(self).__name__
        if options is None:
            return cast(StrategyOptions, made(self.Options, fields, whose))
        if fields or not isinstance(options, self.Options):
            raise RunFileError(
                f"the options of {whose} are one {self.Options.__name__}, or its fields, not both: got "
                f"{type(options).__name__}{' and ' + ', '.join(fields) if fields else ''}"
            )
        return options

    @property
    def next_number(self) -> int:
        """The number that the next draft gets when it is asked."""
        return self._asked

    def _register(self, drafts: Iterator[Draft]) -> list[Draft]:
        """Counts drafts as asked, one after the other, up to a `StopSearch`, which is raised only before the first."""
        asked: list[Draft] = []
        try:
            for draft in drafts:
                pair = draft.genome, draft.fidelity
                self._repeats = self._repeats + 1 if pair in self._pairs else 0
                if self._exhausted or (self.repeats_end is not None and self._repeats >= self.repeats_end):
                    raise self.exhausted()
                self._known.add(draft.genome)
                self._pairs.add(pair)
                self._asked += 1
                asked.append(draft)
        except StopSearch:
            if not asked:
                raise
        return asked

    def novel(self, draw: Callable[[], Draft | None]) -> Draft:
        """The first draft whose genome was not asked before.

        Where `MAX_TRIES` draws give none (the neighborhood is exhausted), as many samples of the space are tried.

        Raises:
            StopSearch: neither gave a new genome.
        """
        for make in (draw, self.sample):
            for _ in range(MAX_TRIES):
                draft = make()
                if draft is not None and not self.asked(draft.genome):
                    return draft
        raise self.exhausted()

    def exhausted(self) -> StopSearch:
        """Ends the search for good; the exception to raise."""
        self._exhausted = True
        return StopSearch("no genome within reach is new: the space is exhausted")

    def sample(self) -> Draft:
        """A genome composed with uniform choices."""
        return Draft(self.space.sample(self.rng))

    def asked(self, genome: Any) -> bool:
        """Whether a genome was asked before."""
        return genome in self._known

    def saved(self) -> dict[str, Array]:
        """What this base knows, for a snapshot: its generator, counts, and the genomes that were asked."""
        known = sorted(map(self.space.encode, self._known))
        facts = {
            "random": self.rng.getstate(),
            "asked": self._asked,
            "told": self._told,
            "repeats": self._repeats,
            "exhausted": self._exhausted,
            "known": known,
        }
        return {"base": np.frombuffer(json.dumps(facts).encode(), np.uint8)}

    def load_saved(self, state: Mapping[str, Array]) -> None:
        """Takes up what `saved` returned."""
        facts = json.loads(state["base"].tobytes())
        version, internal, gauss = facts["random"]
        self.rng.setstate((version, tuple(internal), gauss))
        self._asked, self._told, self._repeats = facts["asked"], facts["told"], facts["repeats"]
        self._exhausted = facts["exhausted"]
        self._known = set(map(self.space.decode, facts["known"]))

    def fitness(self, result: Result) -> tuple[float, ...]:
        """A value for each objective, greater is better; minus infinity in all of them for a failure.

        What violates a constraint is worse than all that violates none, and better the less it violates (Deb, "An
        efficient constraint handling method for genetic algorithms", 2000, section 3).
        """
        values, over = self.values(result), self.violation(result)
        if -math.inf not in values and over > 0:
            return (-INFEASIBLE * (1 + over),) * len(self.objectives)
        return values

    def values(self, result: Result) -> tuple[float, ...]:
        """A value for each objective, greater is better, whatever the constraints say; minus infinity for a failure."""
        values = tuple(result.values.get(one.name, math.nan) * one.sign for one in self.objectives)
        values = tuple(max(-LARGEST, min(LARGEST, value)) if math.isfinite(value) else value for value in values)
        if not result.ok or not all(map(math.isfinite, values)) or self.violation(result) == math.inf:
            return (-math.inf,) * len(self.objectives)
        return values

    def violation(self, result: Result) -> float:
        """By how much a result violates the constraints, 0 for not at all."""
        return violation(result.values, self.constraints)

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
    def propose(self) -> Draft:
        """The next draft, from what was learned."""

    def learn(self, result: Result) -> None:
        """Takes one result into account; by default results change nothing."""

    def ask(self) -> Sequence[Draft]:
        """Every draft whose results are in."""
        return self._register(self._propose_all())

    def _propose_all(self) -> Iterator[Draft]:
        while (needed := self._needed()) <= self._told:
            while self._learned < needed:
                self.learn(self._unlearned.popleft())
                self._learned += 1
            yield self.propose()

    def tell(self, results: Sequence[Result]) -> None:
        """Keeps the results until a candidate needs them."""
        self._receive(results)
        self._unlearned.extend(results)

    def saved(self) -> dict[str, Array]:
        """What the base knows, and the results that no candidate has needed yet."""
        waiting = [
            [one.candidate.number, self.space.encode(one.candidate.genome), dict(one.values), one.failure]
            for one in self._unlearned
        ]
        facts = {"learned": self._learned, "waiting": waiting}
        return super().saved() | {"steady": np.frombuffer(json.dumps(facts).encode(), np.uint8)}

    def load_saved(self, state: Mapping[str, Array]) -> None:
        """Takes up what `saved` returned."""
        super().load_saved(state)
        facts = json.loads(state["steady"].tobytes())
        self._learned = facts["learned"]
        self._unlearned = deque(
            Result(Candidate(self.space.decode(text), number=number), values, failure)
            for number, text, values, failure in facts["waiting"]
        )

    def _needed(self) -> int:
        return 0 if self._asked < self.free else max(0, self._asked - self.options.lag + 1)


class Generational(SearchStrategy):
    """Asks a generation at once, and the next when all its results are told."""

    def __init__(self, space: Space[Any], objectives: Sequence[Objective], *, seed: int, **options: Any) -> None:
        super().__init__(space, objectives, seed=seed, **options)
        self._results: list[Result] = []

    @abstractmethod
    def breed(self) -> Iterator[Draft]:
        """The next generation, one draft after the other; each is asked, and numbered, as it is yielded."""

    @abstractmethod
    def select(self, results: Sequence[Result]) -> None:
        """Takes a whole generation's results, in the order it was asked."""

    def ask(self) -> Sequence[Draft]:
        """The next generation, or nothing while one is under way."""
        return self._register(self.breed()) if self._told == self._asked else ()

    def tell(self, results: Sequence[Result]) -> None:
        """Collects results; the last one of a generation makes the strategy learn from all."""
        self._receive(results)
        self._results.extend(results)
        if self._told == self._asked and self._results:
            generation, self._results = self._results, []
            self.select(generation)
