"""Random walk: the paper's search step again and again, without selection (arXiv 2510.06035, Algorithm 1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from uninas_evo.contracts import Draft, Objective, Space
from uninas_evo.strategies.base import MAX_TRIES, Lag, SteadyState, start_of


class RandomWalk(SteadyState):
    """Begins at the space's start and takes one step per candidate; a walk that is stuck restarts.

    How it searches: every candidate is one search step from the one before, whatever the scores were; the lag only
    bounds how many candidates are under way.

    When to use it: to see what the steps alone do (which sizes and operations they drift to), and as the baseline that
    shows whether selection helps. It finds good networks only by chance.

    Args:
        space: must have a start.
        objectives: one or several; only recorded.
        seed: of all draws.
        options: `lag`, see `Lag`.

    Raises:
        StrategyError: the space has no start.

    Example:
        ```python
        from uninas_evo import Objective
        from uninas_evo.spaces.nasbench201.space import NASBench201Space
        from uninas_evo.strategies.random_walk import RandomWalk

        strategy = RandomWalk(NASBench201Space(), [Objective("accuracy", "maximize")], seed=0)
        print([draft.origin for draft in strategy.ask()][:2])  # ['start', 'mutate']
        ```
    """

    Options = Lag
    objectives_allowed = "any"

    def __init__(self, space: Space[Any], objectives: Sequence[Objective], *, seed: int, **options: Any) -> None:
        super().__init__(space, objectives, seed=seed, **options)
        self._start = start_of(space)
        self._last: Draft | None = None

    def propose(self) -> Draft:
        """The start, then a step from the candidate before."""
        if self._last is None or (genome := self._step(self._last.genome)) is None:
            self._last = Draft(self._start, origin="start")
        else:
            self._last = Draft(genome, (self.next_number - 1,), "mutate")
        return self._last

    def _step(self, genome: Any) -> Any | None:
        steps = (self.space.mutate(genome, self.rng) for _ in range(MAX_TRIES))
        return next((step for step in steps if step is not None), None)
