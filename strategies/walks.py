"""Samples for a bank of trained networks: walks of many lengths from many starts, a part of them near the best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pydantic

from uninas_evo.contracts import Draft, Objective, Result, Space, Started
from uninas_evo.errors import StrategyError
from uninas_evo.strategies.base import MOST, Lag, SteadyState
from uninas_evo.strategies.past import past_genomes


class WalksOptions(Lag):
    """Options of `walks`."""

    steps: int = pydantic.Field(
        320,
        ge=1,
        le=MOST,
        description="most search steps of a walk; lengths are drawn so that each doubling is as likely",
    )
    near: float = pydantic.Field(
        0.33,
        ge=0,
        le=1,
        description="share of candidates one to three steps from one of the best so far: what a trained search passes "
        "through is good networks, and a bank of random ones has none",
    )
    elite: int = pydantic.Field(10, ge=1, le=MOST, description="how many count as the best")
    every: list[int] = pydantic.Field(
        [],
        description="one in so many networks is evaluated at each of the problem's fidelities, in their order; "
        "[1, 1, 8] gives all networks two trainings and one in eight a third; unset: each network is evaluated at the "
        "full one alone",
    )
    start_from: list[Path] = pydantic.Field(
        [],
        description="run folders, named from the working folder, whose genomes come first: to train the same networks "
        "on other data",
    )

    @pydantic.field_validator("every")
    @classmethod
    def _some(cls, every: list[int]) -> list[int]:
        if every and (min(every) < 1 or 1 not in every):
            raise ValueError(f"every must hold whole numbers from 1, one of them 1, got {every}; use such as [1, 8]")
        return every

    def evaluations(self, networks: int) -> int:
        """How many evaluations so many networks take."""
        return sum(-(-networks // one) for one in self.every or [1])


class Walks(SteadyState):
    """Draws networks that a predictor can learn from: poor and good, near and far from what is known.

    How it searches: it does not. The space's starts come first; then each candidate is the end of a walk from a start,
    of a length whose logarithm is uniform, or, for a share of them, of a walk of one to three steps from one of the
    best so far, by the first fidelity that all networks get.

    When to use it: with `uninas-evo bank`, and to audit scores: samples of one walk alone are all of one kind.

    Args:
        space: its starts are where walks begin; a sample of it, where it has none.
        objectives: one or several; the first tells which are the best.
        seed: of all draws.
        fidelities: how many the problem has.
        options: see `WalksOptions`.

    Raises:
        StrategyError: `every` does not fit the problem, or a folder of `start_from` has no genomes of this space.

    Example:
        ```python
        from uninas_evo import Objective
        from uninas_evo.spaces.nasbench201.space import NASBench201Space
        from uninas_evo.strategies.walks import Walks

        strategy = Walks(NASBench201Space(), [Objective("accuracy", "maximize")], seed=0)
        print([draft.origin for draft in strategy.ask()][:2])  # ['start', 'walk']
        ```
    """

    Options = WalksOptions
    options: WalksOptions
    objectives_allowed = "any"
    climbs: ClassVar[bool] = True

    def __init__(self, space: Space[Any], objectives: Sequence[Objective], *, seed: int, **options: Any) -> None:
        super().__init__(space, objectives, seed=seed, **options)
        every = self.options.every
        if every and len(every) != self.rungs:
            raise StrategyError(
                f"walks.every must hold a number for each of the problem's fidelities, which are {self.rungs}, got "
                f"{every}; name as many, or leave it out"
            )
        self._every = every or [0] * (self.rungs - 1) + [1]
        self._ranks = self._every.index(1)
        known = space.starts() if isinstance(space, Started) else [space.start]
        self.starts = [genome for genome in known if genome is not None]
        self._past = past_genomes(self.options.start_from, space)
        self._networks = 0
        self._due: Iterator[Draft] = iter(())
        self._best: list[tuple[float, Draft, int]] = []

    def propose(self) -> Draft:
        """The network at its next fidelity, or the next network."""
        draft = next(self._due, None)
        if draft is None:
            self._due = self._all_fidelities(self._network(), self._networks)
            self._networks += 1
            draft = next(self._due)
        return draft

    def _all_fidelities(self, network: Draft, index: int) -> Iterator[Draft]:
        for rung, every in enumerate(self._every):
            if every and index % every == 0:
                fidelity = None if rung == self.rungs - 1 else rung
                yield Draft(network.genome, network.parents, network.origin, fidelity)

    def _network(self) -> Draft:
        """A genome of an earlier run, a start that was not asked, or the end of a walk."""
        for genome in self._past:
            if not self.asked(genome):
                return Draft(genome, origin="past")
        for start in self.starts:
            if not self.asked(start):
                return Draft(start, origin="start")
        return self.novel(self._near if self._best and self.rng.random() < self.options.near else self._walk)

    def learn(self, result: Result) -> None:
        """Keeps the best, by the first fidelity that all networks get."""
        (value, *_), candidate = self.fitness(result), result.candidate
        rung = self.rungs - 1 if candidate.fidelity is None else candidate.fidelity
        if rung == self._ranks and value > float("-inf"):
            self._best.append((value, candidate, candidate.number))
            self._best.sort(key=lambda one: (-one[0], one[2]))
            del self._best[self.options.elite :]

    def _walk(self) -> Draft:
        start = self.rng.choice(self.starts) if self.starts else self.space.sample(self.rng)
        return Draft(self._end(start, round(self.options.steps ** self.rng.random())), origin="walk")

    def _near(self) -> Draft:
        _, parent, number = self.rng.choice(self._best)
        return Draft(self._end(parent.genome, self.rng.randint(1, 3)), (number,), "near")

    def _end(self, genome: Any, steps: int) -> Any:
        for _ in range(steps):
            genome = self.space.mutate(genome, self.rng) or genome
        return genome
