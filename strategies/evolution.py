"""(μ + λ) evolution on a DEAP toolbox, whose operators can be swapped for any of DEAP's or for one's own.

Sources: Bäck, Fogel & Michalewicz, "Handbook of Evolutionary Computation", 1997, section B1.3, for the scheme;
Fortin et al., "DEAP: Evolutionary Algorithms Made Easy", JMLR 13, 2012, for the toolbox.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pydantic
from deap import base, tools

from uninas_evo.contracts import Draft, Objective, Result, Space
from uninas_evo.errors import StrategyError
from uninas_evo.stats.means import mean
from uninas_evo.strategies.base import MOST, Generational
from uninas_evo.strategies.individual import Individual, fitness_class, global_random, same_genome
from uninas_evo.strategies.warm_start import FirstDrafts, Proxy, WarmStart


class EvolutionOptions(WarmStart):
    """Options of `evolution`."""

    population: int = pydantic.Field(
        16, ge=1, le=MOST, description="μ, the members that survive a generation; 10 to 20 do alike on NAS-Bench-201"
    )
    offspring: int = pydantic.Field(
        8,
        ge=1,
        le=MOST,
        description="λ, the candidates of a generation, which keep as many workers busy; fewer learn sooner",
    )
    tournament: int = pydantic.Field(
        8, ge=1, le=MOST, description="members that compete to be a parent; half of μ beats 3 when evaluations are few"
    )
    crossover: float = pydantic.Field(
        0.5,
        ge=0,
        le=1,
        description="share of the offspring that have two parents, the others are mutants; "
        "0.3 to 0.5 beats 0 on NAS-Bench-201",
    )
    hall_of_fame: int = pydantic.Field(10, ge=1, le=MOST, description="how many of the best ever are kept")


class Evolution(Generational):
    """Offspring by tournament and mutation or crossover; the best μ of parents and offspring survive.

    How it searches: the first population is sampled (or warm started), then each generation of λ offspring is asked at
    once: parents win a tournament, a share of the offspring is crossed and the others are mutated by one step of the
    space. Survival is elitist, each genome once.

    When to use it: the first choice for one objective, in any space; also where operators of DEAP or of your own shall
    be tried (see `toolbox`). With noisy scores prefer `aging`, which forgets lucky ones.

    Args:
        space: builds and varies genomes.
        objectives: exactly one.
        seed: of all draws, DEAP's included.
        toolbox: a DEAP toolbox whose registered `mutate`, `mate`, `select` and `survive` replace the defaults.
            `mutate(individual)` and `mate(a, b)` get copies and return a tuple of individuals, of which the first
            is taken; `select(individuals, k)` and `survive(individuals, k)` return a list. An individual has a
            `genome`, which is replaced and never changed, and a `fitness`. Genomes must stay inside the budget.
        proxy: a free score of a genome: the first population is the best of `warm_samples` samples by it.
        options: see `EvolutionOptions`.

    Attributes:
        population: the survivors, as individuals.
        hall_of_fame: DEAP's `HallOfFame`: the best individuals ever.
        logbook: DEAP's `Logbook`: a record for each generation.

    Example:
        ```python
        from uninas_evo import Objective
        from uninas_evo.spaces.nasbench201.space import NASBench201Space
        from uninas_evo.strategies.evolution import Evolution

        strategy = Evolution(NASBench201Space(), [Objective("accuracy", "maximize")], seed=0, population=8, offspring=4)
        print(len(strategy.ask()))  # 8
        ```
    """

    Options = EvolutionOptions
    options: EvolutionOptions
    objectives_allowed = "one"

    def __init__(
        self,
        space: Space[Any],
        objectives: Sequence[Objective],
        *,
        seed: int,
        toolbox: base.Toolbox | None = None,
        proxy: Proxy | None = None,
        **options: Any,
    ) -> None:
        super().__init__(space, objectives, seed=seed, **options)
        self.population: list[Individual] = []
        self.hall_of_fame = tools.HallOfFame(self.options.hall_of_fame, similar=same_genome)
        self.logbook = tools.Logbook()
        self.toolbox = self._toolbox(toolbox)
        self._first = FirstDrafts(space, self.rng, self.options, proxy)
        self._fitness = fitness_class(objectives)
        self._deap_rng = random.Random(self.rng.getrandbits(64))

    def breed(self) -> Iterator[Draft]:
        """Samples of the space at first, offspring afterwards."""
        draw: Callable[[], Draft | None] = self._offspring if self.population else self._first
        count = self.options.offspring if self.population else self.options.population
        for _ in range(count):
            yield self.novel(draw)

    def select(self, results: Sequence[Result]) -> None:
        """The best μ of parents and offspring survive, each genome once."""
        offspring = [self._individual(result) for result in results]
        scored = [one for one in offspring if math.isfinite(one.fitness.wvalues[0])]
        distinct = {one.genome: one for one in [*offspring, *self.population]}
        with global_random(self._deap_rng):
            self.population = self.toolbox.survive(list(distinct.values()), self.options.population)
        self.hall_of_fame.update(scored)
        values = [one.fitness.values[0] for one in scored]
        self.logbook.record(
            generation=len(self.logbook),
            candidates=len(offspring),
            failed=len(offspring) - len(scored),
            mean=mean(values) if values else None,
            best=self.hall_of_fame[0].fitness.values[0] if self.hall_of_fame else None,
        )

    def _offspring(self) -> Draft | None:
        with global_random(self._deap_rng):
            if self.rng.random() < self.options.crossover:
                parents, origin = self.toolbox.select(self.population, 2), "crossover"
                child = _first(self.toolbox.mate(*map(self.toolbox.clone, parents)), "mate")
            else:
                parents, origin = self.toolbox.select(self.population, 1), "mutate"
                child = _first(self.toolbox.mutate(self.toolbox.clone(parents[0])), "mutate")
        if child.genome is None:
            return None
        return Draft(child.genome, tuple(parent.number for parent in parents), origin)

    def _individual(self, result: Result) -> Individual:
        weights = self._fitness.weights
        values = (value * weight for value, weight in zip(self.fitness(result), weights, strict=True))
        return Individual(result.candidate, self._fitness(tuple(values)))

    def _toolbox(self, given: base.Toolbox | None) -> base.Toolbox:
        toolbox = base.Toolbox()
        toolbox.register("mutate", mutate, space=self.space, rng=self.rng)
        toolbox.register("mate", mate, space=self.space, rng=self.rng)
        toolbox.register("select", tools.selTournament, tournsize=self.options.tournament)
        toolbox.register("survive", tools.selBest)
        for name in ("mutate", "mate", "select", "survive"):
            if hasattr(given, name):
                toolbox.register(name, getattr(given, name))
        return toolbox


def _first(returned: Any, operator: str) -> Individual:
    """The first individual that a DEAP operator returned.

    Raises:
        StrategyError: it returned no tuple of individuals.
    """
    if not isinstance(returned, tuple | list) or not returned or not isinstance(returned[0], Individual):
        raise StrategyError(
            f"the toolbox's {operator} must return a tuple of individuals, got {type(returned).__name__}; "
            f"end it with `return (individual,)`"
        )
    return returned[0]


def mutate(individual: Individual, space: Space[Any], rng: random.Random) -> tuple[Individual]:
    """One step of the space, as a DEAP operator."""
    individual.genome = space.mutate(individual.genome, rng)
    return (individual,)


def mate(a: Individual, b: Individual, space: Space[Any], rng: random.Random) -> tuple[Individual, Individual]:
    """The space's crossover, as a DEAP operator; the child takes the first parent's place."""
    a.genome = space.crossover(a.genome, b.genome, rng)
    return a, b
