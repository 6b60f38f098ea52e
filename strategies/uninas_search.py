"""The paper's search: walks of search steps from a population, of which the best are kept (arXiv 2510.06035)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pydantic

from uninas_evo.contracts import Draft, Objective, Result, Space
from uninas_evo.strategies.base import MOST, Generational, StrategyOptions, start_of
from uninas_evo.strategies.individual import best_of


class UninasOptions(StrategyOptions):
    """Options of `uninas`."""

    population: int = pydantic.Field(
        8, ge=1, le=MOST, description="networks kept after each iteration; as many walks start"
    )
    steps: int = pydantic.Field(
        1,
        ge=1,
        le=MOST,
        description="search steps of a walk, each of them scored; longer walks cross valleys, 1 climbs fastest and "
        "beats 2 on NAS-Bench-201",
    )


class UninasSearch(Generational):
    """In each iteration a walk begins at every network kept; of all seen, the best are kept.

    How it searches: generation after generation, `population` walks of `steps` search steps; the best of what was kept
    and of what was scored are kept. There is no crossover, and a kept network stays until something better is found.
    With several objectives the kept ones are a Pareto archive: by non-dominated rank, then by crowding distance.

    When to use it: to repeat the paper's search. `evolution` and `aging` need about as many evaluations on
    NAS-Bench-201 and find more in the UniNAS space at equal evaluations.

    Args:
        space: its start is the first network.
        objectives: one or several.
        seed: of all draws.
        options: see `UninasOptions`.

    Attributes:
        kept: what the next walks begin at, best first.

    Raises:
        StrategyError: the space has no start.

    Example:
        ```python
        from uninas_evo import Objective
        from uninas_evo.spaces.nasbench201.space import NASBench201Space
        from uninas_evo.strategies.uninas_search import UninasSearch

        objectives = [Objective("accuracy", "maximize"), Objective("flops", "minimize")]
        strategy = UninasSearch(NASBench201Space(), objectives, seed=0, population=4)
        print(len(strategy.ask()))  # 5: the start and a step of each walk
        ```
    """

    Options = UninasOptions
    options: UninasOptions
    objectives_allowed = "any"

    def __init__(self, space: Space[Any], objectives: Sequence[Objective], *, seed: int, **options: Any) -> None:
        super().__init__(space, objectives, seed=seed, **options)
        self._start = start_of(space)
        self.kept: list[Result] = []

    def breed(self) -> Iterator[Draft]:
        """The start at first, then the steps of all walks."""
        starts = [(result.candidate.genome, result.candidate.number) for result in self.kept]
        if not starts:
            starts = [(self._start, self.next_number)]
            yield Draft(starts[0][0], origin="start")
        for walk in range(self.options.population):
            genome, number = starts[walk % len(starts)]
            for _ in range(self.options.steps):
                draft = self.novel(partial(self._step, genome, number))
                genome, number = draft.genome, self.next_number
                yield draft

    def select(self, results: Sequence[Result]) -> None:
        """Keeps the best of those kept and those scored."""
        scored = [result for result in results if -math.inf not in self.fitness(result)]
        self.kept = best_of([*self.kept, *scored], self.options.population, self.fitness)

    def _step(self, parent: Any, number: int) -> Draft | None:
        genome = self.space.mutate(parent, self.rng)
        return None if genome is None else Draft(genome, (number,), "mutate")
