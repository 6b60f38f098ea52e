"""What every problem must do: the promises of `contracts.Problem`."""

from __future__ import annotations

import math
import random
from typing import Any, ClassVar

from uninas_evo.contracts import Problem
from uninas_evo.testing.elsewhere import elsewhere

Values = list[dict[str, float]]


class ProblemConformance:
    """Tests of a problem: set `problem`.

    Attributes:
        problem: what is tested; picklable.
        samples: how many genomes are scored.
        device: what they are scored on.
    """

    problem: Any
    samples: ClassVar[int] = 4
    device: ClassVar[str] = "cpu"

    def test_every_objective_has_a_number(self) -> None:
        """Each objective and constraint is a finite number among the values; names are different."""
        names = [objective.name for objective in self.problem.objectives]
        assert len(set(names)) == len(names) > 0
        for values in scores(self.problem, self.samples, self.device):
            assert all(math.isfinite(values[name]) for name in names)
            assert all(bound.name in values for bound in self.problem.constraints)

    def test_values_depend_on_genome_and_seed_alone(self) -> None:
        """Scored again, in reverse order, and with other global generators, a genome has the same values."""
        import numpy as np
        import torch

        first = self._repeatable(scores(self.problem, self.samples, self.device))
        for generator in (random.seed, np.random.seed, torch.manual_seed):
            generator(99)
        again = scores(self.problem, self.samples, self.device, backward=True)
        assert self._repeatable(again[::-1]) == first

    def test_values_are_the_same_in_another_process(self) -> None:
        """A worker gives what this process gives."""
        there = elsewhere(scores, self.problem, self.samples, self.device)
        assert self._repeatable(there) == self._repeatable(scores(self.problem, self.samples, self.device))

    def test_another_seed_is_another_problem(self) -> None:
        """`with_seed` leaves the problem alone, and its own seed gives its own values again."""
        seed = self.problem.seed
        other = self.problem.with_seed(seed + 1)
        assert (self.problem.seed, other.seed) == (seed, seed + 1)
        same = scores(other.with_seed(seed), self.samples, self.device)
        assert self._repeatable(same) == self._repeatable(scores(self.problem, self.samples, self.device))

    def test_costs_are_those_of_the_space(self) -> None:
        """A value that is called as a cost of the space is that cost."""
        for genome, values in zip(
            sample(self.problem, self.samples), scores(self.problem, self.samples, self.device), strict=True
        ):
            cost = self.problem.space.cost(genome)
            assert all(values[name] == amount for name, amount in cost.items() if name in values)

    def test_what_stands_for_a_genome_has_its_values(self) -> None:
        """Another genome may be scored for it, whose values are its own but for costs; that one stands for itself."""
        space = self.problem.space
        for genome in sample(self.problem, self.samples):
            other = self.problem.standing_for(genome)
            assert self.problem.standing_for(other) == other
            costs = space.cost(genome)
            a, b = (self.problem.evaluate(one, self.device) for one in (genome, other))
            names = [one.name for one in self.problem.objectives if one.repeats and one.name not in costs]
            assert [a[name] for name in names] == [b[name] for name in names]

    def test_scoring_leaves_genomes_alone(self) -> None:
        """A genome is after its evaluation what it was before."""
        space = self.problem.space
        for genome in sample(self.problem, self.samples):
            before = space.encode(genome)
            self.problem.evaluate(genome, self.device)
            assert space.encode(genome) == before

    def _repeatable(self, found: Values) -> Values:
        """The objectives whose values repeat: a measured time does not."""
        names = [objective.name for objective in self.problem.objectives if objective.repeats]
        return [{name: values[name] for name in names} for values in found]


def sample(problem: Problem, count: int) -> list[Any]:
    """Genomes of the problem's space, always the same."""
    rng = random.Random(0)
    return [problem.space.sample(rng) for _ in range(count)]


def scores(problem: Problem, count: int, device: str, *, backward: bool = False) -> Values:
    """The values of `sample`, in their order or from the last one on."""
    problem.prepare(device)
    genomes = sample(problem, count)
    return [dict(problem.evaluate(genome, device)) for genome in (genomes[::-1] if backward else genomes)]
