"""pymoo's operators on genomes: an array of objects with one column, drafts before they are asked, candidates after."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
from pymoo.core.crossover import Crossover
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.mutation import Mutation
from pymoo.core.sampling import Sampling

from uninas_evo.contracts import Candidate, Space
from uninas_evo.strategies.base import MAX_TRIES, Draft


class GenomeSampling(Sampling):  # type: ignore[misc]
    """Distinct samples of the space, fewer where it has no more."""

    def __init__(self, sample: Callable[[], Draft]) -> None:
        super().__init__()
        self.sample = sample

    def _do(self, problem: Any, n_samples: int, *args: Any, **kwargs: Any) -> Any:
        distinct: dict[Any, Draft] = {}
        for _ in range(MAX_TRIES * n_samples):
            draft = self.sample()
            distinct.setdefault(draft.genome, draft)
            if len(distinct) == n_samples:
                break
        return _column(list(distinct.values()))


class GenomeCrossover(Crossover):  # type: ignore[misc]
    """The space's crossover: two candidates give a draft; where it finds none, the first candidate goes on."""

    def __init__(self, space: Space[Any], rng: random.Random, prob: float) -> None:
        super().__init__(n_parents=2, n_offsprings=1, prob=prob)
        self.space, self.rng = space, rng

    def _do(self, problem: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        return _column([self._child(a, b) for a, b in zip(X[0, :, 0], X[1, :, 0], strict=True)])[None]

    def _child(self, a: Candidate, b: Candidate) -> Draft | Candidate:
        genome = self.space.crossover(a.genome, b.genome, self.rng)
        return a if genome is None else Draft(genome, (a.number, b.number), "crossover")


class GenomeMutation(Mutation):  # type: ignore[misc]
    """The space's mutation of every candidate that was not crossed; drafts are left as they are."""

    def __init__(self, space: Space[Any], rng: random.Random) -> None:
        super().__init__(prob=1.0)
        self.space, self.rng = space, rng

    def _do(self, problem: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        return _column([self._mutant(one) if isinstance(one, Candidate) else one for one in X[:, 0]])

    def _mutant(self, parent: Candidate) -> Draft | Candidate:
        genome = self.space.mutate(parent.genome, self.rng)
        return parent if genome is None else Draft(genome, (parent.number,), "mutate")


class NoRepeats(DuplicateElimination):  # type: ignore[misc]
    """Drops every draft whose genome was asked before or stands twice in a generation."""

    def __init__(self, asked: Callable[[Any], bool]) -> None:
        super().__init__()
        self.asked = asked

    def _do(self, pop: Any, other: Any, is_duplicate: Any) -> Any:
        seen = set() if other is None else {one.X[0].genome for one in other}
        for index, individual in enumerate(pop):
            genome = individual.X[0].genome
            is_duplicate[index] = genome in seen or self.asked(genome)
            if other is None:
                seen.add(genome)
        return is_duplicate


def _column(items: list[Any]) -> Any:
    """Objects as an (n, 1) array, filled by hand: numpy would look into objects that have a length."""
    column = np.empty((len(items), 1), dtype=object)
    for index, item in enumerate(items):
        column[index, 0] = item
    return column
