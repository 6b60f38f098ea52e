"""Samples for a bank of trained networks: walks of many lengths from many starts, a part of them near the best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pydantic

from uninas_evo.contracts import Draft, Objective, Result, Space, Started
from uninas_evo.strategies.base import MOST, Lag, SteadyState


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


class Walks(SteadyState):
    """Draws networks that a predictor can learn from: poor and good, near and far from what is known.

    How it searches: it does not. The space's starts come first; then each candidate is the end of a walk from a start,
    of a length whose logarithm is uniform, or, for a share of them, of a walk of one to three steps from one of the
    best so far.

    When to use it: with `uninas-evo bank`, and to audit scores: samples of one walk alone are all of one kind.

    Args:
        space: its starts are where walks begin; a sample of it, where it has none.
        objectives: one or several; the first tells which are the best.
        seed: of all draws.
        options: see `WalksOptions`.

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

    def __init__(self, space: Space[Any], objectives: Sequence[Objective], *, seed: int, **options: Any) -> None:
        super().__init__(space, objectives, seed=seed, **options)
        known = space.starts() if isinstance(space, Started) else [space.start]
        self.starts = [genome for genome in known if genome is not None]
        self._best: list[tuple[float, Draft, int]] = []

    def propose(self) -> Draft:
        """A start that was not asked, or the end of a walk."""
        for start in self.starts:
            if not self.asked(start):
                return Draft(start, origin="start")
        return self.novel(self._near if self._best and self.rng.random() < self.options.near else self._walk)

    def learn(self, result: Result) -> None:
        """Keeps the best."""
        (value, *_), candidate = self.fitness(result), result.candidate
        if value > float("-inf"):
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
