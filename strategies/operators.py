"""Pymoo's operators on genomes: objects in an array of one column.

Drafts become candidates when they are asked; one outside the budget stays a draft.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
from pymoo.core.crossover import Crossover
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.sampling import Sampling

from uninas_evo.contracts import Candidate, Draft, Space
from uninas_evo.strategies.base import MAX_TRIES


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


class Variation(Crossover):  # type: ignore[misc]
    """One child of two parents: the space's crossover at a rate, else a mutant of the first parent.

    Both in one operator, so that a child is either; pymoo would mutate what it crossed.
    """

    def __init__(self, space: Space[Any], rng: random.Random, rate: float) -> None:
        super().__init__(n_parents=2, n_offsprings=1, prob=1.0)
        self.space, self.rng, self.rate = space, rng, rate

    def _do(self, problem: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        return _column([self._child(a, b) for a, b in zip(X[0, :, 0], X[1, :, 0], strict=True)])[None]

    def _child(self, a: Draft | Candidate, b: Draft | Candidate) -> Draft | Candidate:
        if self.rng.random() < self.rate:
            genome = self.space.crossover(a.genome, b.genome, self.rng)
            if genome is not None:
                return Draft(genome, _numbers(a) + _numbers(b), "crossover")
        genome = self.space.mutate(a.genome, self.rng)
        return a if genome is None else Draft(genome, _numbers(a), "mutate")


def less_violation(pop: Any, P: Any, random_state: Any, **kwargs: Any) -> Any:
    """NSGA-III's tournament: less violation wins, equals are drawn.

    Pymoo's own (0.6.2) draws between two equally infeasible members from a generator without a seed.

    Args:
        pop: the population.
        P: competitors, two indices a row.
        random_state: the algorithm's generator.
        kwargs: of no use here.
    """
    winners = []
    for a, b in P:
        first, second = pop[a].CV[0], pop[b].CV[0]
        winners.append(random_state.choice([a, b]) if first == second else (a if first < second else b))
    return np.array(winners)[:, None]


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


def _numbers(parent: Draft | Candidate) -> tuple[int, ...]:
    """A parent's number; a parent outside the budget has none and stands for its own parents."""
    return (parent.number,) if isinstance(parent, Candidate) else parent.parents


def _column(items: list[Any]) -> Any:
    """Objects as an (n, 1) array, filled by hand: numpy would look into objects that have a length."""
    column = np.empty((len(items), 1), dtype=object)
    for index, item in enumerate(items):
        column[index, 0] = item
    return column
