"""Aging evolution, also called regularized evolution: the oldest member leaves, not the worst.

Source: Real et al., "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019,
arXiv 1802.01548, Algorithm 1.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import pydantic

from uninas_evo.contracts import Candidate, Draft, Objective, Result, Space
from uninas_evo.strategies.base import MOST, Lag, SteadyState
from uninas_evo.strategies.warm_start import FirstDrafts, Proxy, WarmStart


class AgingOptions(Lag, WarmStart):
    """Options of `aging`."""

    population: int = pydantic.Field(
        20, ge=1, le=MOST, description="members alive at once; 16 to 30 do alike on NAS-Bench-201"
    )
    sample: int = pydantic.Field(
        15,
        ge=1,
        le=MOST,
        description="members drawn, without replacement, of which the fittest is the parent; "
        "three quarters of the population beats a third when evaluations are few",
    )


class AgingEvolution(SteadyState):
    """Mutates the fittest of a random sample of the youngest members, one candidate at a time.

    How it searches: a queue of `population` members; each candidate is a mutant of the best of `sample` of them, and
    the oldest member leaves, however good it was, so that a lucky score does not reign for ever. Steady state:
    workers never wait for a generation.

    When to use it: for one objective, above all where scores are noisy or their times differ widely. Without noise it
    and `evolution` are not told apart.

    A failed candidate takes its turn in the population like any other, with the worst fitness there is, so that it
    never is a parent while another member is drawn.

    Args:
        space: builds and varies genomes.
        objectives: exactly one.
        seed: of all draws.
        proxy: a free score of a genome: the first population is the best of `warm_samples` samples by it.
        options: see `AgingOptions`.

    Attributes:
        population: the living members, oldest first, each with its fitness.

    Example:
        ```python
        from uninas_evo import Objective
        from uninas_evo.spaces.nasbench201.space import NASBench201Space
        from uninas_evo.strategies.aging import AgingEvolution

        objectives = [Objective("accuracy", "maximize")]
        strategy = AgingEvolution(NASBench201Space(), objectives, seed=0, population=6, sample=4)
        print(len(strategy.ask()))  # 6: the first population
        ```
    """

    Options = AgingOptions
    options: AgingOptions
    objectives_allowed = "one"

    def __init__(
        self,
        space: Space[Any],
        objectives: Sequence[Objective],
        *,
        seed: int,
        proxy: Proxy | None = None,
        **options: Any,
    ) -> None:
        super().__init__(space, objectives, seed=seed, **options)
        self.free = self.options.population
        self._first = FirstDrafts(space, self.rng, self.options, proxy)
        self.population: deque[tuple[tuple[float, ...], Candidate]] = deque(maxlen=self.options.population)

    def propose(self) -> Draft:
        """A sample of the space until the population is full, then a mutant."""
        return self.novel(self._first if self._asked < self.free else self._mutant)

    def _mutant(self) -> Draft | None:
        drawn = self.rng.sample(self.population, min(self.options.sample, len(self.population)))
        _, parent = max(drawn, key=lambda member: member[0])
        genome = self.space.mutate(parent.genome, self.rng)
        return None if genome is None else Draft(genome, (parent.number,), "mutate")

    def learn(self, result: Result) -> None:
        """The youngest member enters; where the population is full, the oldest leaves."""
        self.population.append((self.fitness(result), result.candidate))
