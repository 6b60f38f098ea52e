"""Genomes as DEAP individuals: a small shell around an immutable genome, and DEAP's randomness made replayable."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from deap import base, tools

from uninas_evo.contracts import Candidate, Objective, Result


def fitness_class(objectives: Sequence[Objective]) -> type[Any]:
    """A DEAP fitness with weight 1 for each objective to maximize and −1 for each to minimize."""
    weights = tuple(1.0 if objective.goal == "maximize" else -1.0 for objective in objectives)
    return type("Fitness", (base.Fitness,), {"weights": weights})


class Individual:
    """A genome and its fitness, as DEAP's operators want them.

    Attributes:
        genome: immutable; an operator puts another one in its place, None where it found none.
        fitness: a DEAP fitness.
        number: the number of its candidate.
    """

    def __init__(self, candidate: Candidate, fitness: Any) -> None:
        self.genome, self.number, self.fitness = candidate.genome, candidate.number, fitness

    def __deepcopy__(self, memo: dict[int, Any]) -> Individual:
        """A copy that shares the immutable genome."""
        clone = copy.copy(self)
        clone.fitness = copy.deepcopy(self.fitness, memo)
        return clone


def same_genome(a: Individual, b: Individual) -> bool:
    """Whether two individuals hold the same genome, DEAP's `similar`."""
    return bool(a.genome == b.genome)


@contextmanager
def global_random(rng: random.Random) -> Iterator[None]:
    """Lets the global generator, which DEAP draws from, continue rng's stream; puts its own state back."""
    outside = random.getstate()
    random.setstate(rng.getstate())
    try:
        yield
    finally:
        rng.setstate(random.getstate())
        random.setstate(outside)


def best_of(results: Sequence[Result], count: int, fitness: Callable[[Result], tuple[float, ...]]) -> list[Result]:
    """The best results, each genome once: by rank and crowding distance where there are several objectives.

    Args:
        results: of equals the first ones stay.
        count: how many.
        fitness: a value for each objective, greater is better.
    """
    distinct = {result.candidate.genome: result for result in reversed(results)}
    ordered = sorted(distinct.values(), key=lambda result: result.candidate.number)
    if not ordered or len(fitness(ordered[0])) == 1:
        return sorted(ordered, key=fitness, reverse=True)[:count]
    weighted = type("Fitness", (base.Fitness,), {"weights": (1.0,) * len(fitness(ordered[0]))})
    shells = [Individual(result.candidate, weighted(fitness(result))) for result in ordered]
    by_number = {result.candidate.number: result for result in ordered}
    return [by_number[shell.number] for shell in tools.selNSGA2(shells, count)]
