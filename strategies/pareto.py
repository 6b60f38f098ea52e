"""Pareto evolution with pymoo: NSGA-II, NSGA-III, AGE-MOEA and SMS-EMOA through one adapter.

Sources: Deb et al., IEEE TEVC 6(2), 2002 (NSGA-II); Deb & Jain, IEEE TEVC 18(4), 2014 (NSGA-III); Panichella,
GECCO 2019 (AGE-MOEA); Beume, Naujoks & Emmerich, EJOR 181(3), 2007 (SMS-EMOA); Blank & Deb, IEEE Access 8, 2020
(pymoo).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import pydantic
from pymoo.algorithms.moo import nsga2, nsga3, sms
from pymoo.core.evaluator import Evaluator
from pymoo.core.problem import Problem as PymooProblem
from pymoo.core.termination import NoTermination
from pymoo.operators.mutation.nom import NoMutation
from pymoo.operators.selection.tournament import TournamentSelection
from pymoo.problems.static import StaticProblem
from pymoo.util.ref_dirs import get_reference_directions

from uninas_evo.contracts import Candidate, Draft, Objective, Result, Space, numbered
from uninas_evo.errors import MissingExtraError
from uninas_evo.strategies.base import MAX_TRIES, MOST, Generational
from uninas_evo.strategies.budget import BudgetHandling, unbounded
from uninas_evo.strategies.operators import GenomeSampling, NoRepeats, Variation, less_violation

FAILED = 1e9
"""The constraint violation of a failed candidate: far above any excess over a budget."""


class ParetoOptions(BudgetHandling):
    """Options of `nsga2`, `nsga3`, `agemoea` and `smsemoa`."""

    population: int = pydantic.Field(
        24, ge=4, le=MOST, description="members that survive; 20 beats 40 and 60 in 400 evaluations of NAS-Bench-201"
    )
    offspring: int = pydantic.Field(
        12, ge=1, le=MOST, description="candidates of a generation, which keep as many workers busy; fewer learn sooner"
    )
    crossover: float = pydantic.Field(
        0.5, ge=0, le=1, description="share of the offspring that have two parents, the others are mutants"
    )


class ParetoStrategy(Generational):
    """A pymoo algorithm whose one variable is a genome.

    How it searches: generation after generation, parents win pymoo's tournaments, a share of the offspring is crossed
    by the space and the others are mutated by one of its steps, and the algorithm's survival chooses who stays.

    pymoo minimizes: values to maximize change their sign. The problem's constraints are pymoo's `G`: their relative
    excesses, summed. A failed candidate violates it more than any other, so that it never is preferred to one with
    values.

    Args:
        space: builds and varies genomes.
        objectives: two or more.
        seed: of all draws, pymoo's included.
        options: see `ParetoOptions`.

    Attributes:
        algorithm: pymoo's algorithm; `algorithm.pop` holds the survivors, candidates in `X`.
    """

    Options = ParetoOptions
    options: ParetoOptions
    objectives_allowed = "several"

    def __init__(self, space: Space[Any], objectives: Sequence[Objective], *, seed: int, **options: Any) -> None:
        super().__init__(space, objectives, seed=seed, **options)
        self.budget = space.budget
        if self.options.budget == "constraints":
            self.space = unbounded(space)
        self.algorithm = self.make(
            pop_size=self.options.population,
            n_offsprings=self.options.offspring,
            sampling=GenomeSampling(self.sample),
            crossover=Variation(self.space, self.rng, self.options.crossover),
            mutation=NoMutation(),
            eliminate_duplicates=NoRepeats(self.asked),
        )
        problem = PymooProblem(n_var=1, n_obj=len(self.objectives), n_ieq_constr=1, vtype=object)
        self.algorithm.setup(problem, seed=self.rng.getrandbits(32), termination=NoTermination())

    @abstractmethod
    def make(self, **arguments: Any) -> Any:
        """The pymoo algorithm."""

    def breed(self) -> Iterator[Draft]:
        """The next generation of pymoo: those inside the budget are asked, the others are never scored."""
        for _ in range(MAX_TRIES):
            self._generation = self.algorithm.ask()
            if self._generation is None or not len(self._generation):
                break
            inside = [one for one in self._generation if not self._excess(one.X[0].genome)]
            for individual in inside:
                individual.X[0] = numbered(individual.X[0], self.next_number)
                yield individual.X[0]
            if inside:
                return
            self._tell({})
        raise self.exhausted()

    def select(self, results: Sequence[Result]) -> None:
        """Hands the values to pymoo, which lets the best survive."""
        self._tell({result.candidate.number: result for result in results})

    def _tell(self, results: Mapping[int, Result]) -> None:
        values, violations = [], []
        for individual in self._generation:
            one = individual.X[0]
            result = results.get(one.number) if isinstance(one, Candidate) else None
            found = (-math.inf,) * len(self.objectives) if result is None else self.values(result)
            values.append([-value for value in found])
            over = FAILED if result is None or -math.inf in found else self.violation(result)
            violations.append([self._excess(one.genome) or over])
        told = StaticProblem(self.algorithm.problem, F=np.array(values), G=np.array(violations))
        Evaluator().eval(told, self._generation)
        self.algorithm.tell(infills=self._generation)

    def _excess(self, genome: Any) -> float:
        return self.budget.excess(self.space.cost(genome))


class NSGA2(ParetoStrategy):
    """NSGA-II: non-dominated rank, then crowding distance.

    When to use it: the standard choice for two or three objectives.

    Example:
        ```python
        from uninas_evo import Objective
        from uninas_evo.spaces.nasbench201.space import NASBench201Space
        from uninas_evo.strategies.pareto import NSGA2

        objectives = [Objective("accuracy", "maximize"), Objective("flops", "minimize")]
        strategy = NSGA2(NASBench201Space(), objectives, seed=0, population=8)
        print(len(strategy.ask()))  # 8
        ```
    """

    def make(self, **arguments: Any) -> Any:
        """Pymoo's NSGA-II."""
        return nsga2.NSGA2(**arguments)


class NSGA3(ParetoStrategy):
    """NSGA-III: reference directions keep the front spread.

    When to use it: for three or more objectives, where crowding distance says little.

    Example:
        ```python
        from uninas_evo import Objective
        from uninas_evo.spaces.nasbench201.space import NASBench201Space
        from uninas_evo.strategies.pareto import NSGA3

        names = {"accuracy": "maximize", "params": "minimize", "flops": "minimize"}
        objectives = [Objective(name, goal) for name, goal in names.items()]
        strategy = NSGA3(NASBench201Space(), objectives, seed=0, population=12)
        print(len(strategy.ask()))  # 12
        ```
    """

    def make(self, **arguments: Any) -> Any:
        """Pymoo's NSGA-III with as many of Das and Dennis's directions as the population can hold."""
        count, partitions = len(self.objectives), 1
        while (
            len(get_reference_directions("das-dennis", count, n_partitions=partitions + 1)) <= self.options.population
        ):
            partitions += 1
        directions = get_reference_directions("das-dennis", count, n_partitions=partitions)
        return nsga3.NSGA3(directions, selection=TournamentSelection(less_violation), **arguments)


class AGEMOEA(ParetoStrategy):
    """AGE-MOEA: estimates the front's shape and spreads the members on it.

    When to use it: where the front is far from a plane, so that reference directions are wasted.

    Example:
        ```python
        from uninas_evo import Objective
        from uninas_evo.spaces.nasbench201.space import NASBench201Space
        from uninas_evo.strategies.pareto import AGEMOEA

        objectives = [Objective("accuracy", "maximize"), Objective("flops", "minimize")]
        strategy = AGEMOEA(NASBench201Space(), objectives, seed=0, population=8)
        print(len(strategy.ask()))  # 8
        ```

    Raises:
        MissingExtraError: numba, which pymoo needs for this algorithm alone, is not installed.
    """

    def make(self, **arguments: Any) -> Any:
        """Pymoo's AGE-MOEA."""
        if find_spec("numba") is None:
            raise MissingExtraError("numba", "agemoea")
        from pymoo.algorithms.moo import age

        return age.AGEMOEA(**arguments)


class SMSEMOA(ParetoStrategy):
    """SMS-EMOA: the member that adds least hypervolume leaves.

    When to use it: where the final hypervolume is what counts, with two to four objectives; slow beyond.

    Example:
        ```python
        from uninas_evo import Objective
        from uninas_evo.spaces.nasbench201.space import NASBench201Space
        from uninas_evo.strategies.pareto import SMSEMOA

        objectives = [Objective("accuracy", "maximize"), Objective("flops", "minimize")]
        strategy = SMSEMOA(NASBench201Space(), objectives, seed=0, population=8)
        print(len(strategy.ask()))  # 8
        ```
    """

    def make(self, **arguments: Any) -> Any:
        """Pymoo's SMS-EMOA."""
        return sms.SMSEMOA(**arguments)
