"""What every space must do: the promises of `contracts.Space`."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from uninas_evo.contracts import Budget, Decision, Rebudgeted, Space
from uninas_evo.errors import GenomeError
from uninas_evo.testing.elsewhere import elsewhere, untouched_generators


class SpaceConformance:
    """Tests of a space: set `space`, and lower the numbers where its networks are large.

    Attributes:
        space: what is tested; picklable.
        samples: how many genomes are drawn by each operator.
        networks: how many of them are built.
    """

    space: Any
    samples: ClassVar[int] = 25
    networks: ClassVar[int] = 4

    def test_operators_stay_inside_the_budget(self) -> None:
        """Samples, mutants, children and the start lie inside the budget."""
        if self.space.start is not None:
            assert self.space.budget.admits(self.space.cost(self.space.start))
        assert all(self.space.budget.admits(self.space.cost(genome)) for genome in self._genomes())

    def test_a_tighter_budget_is_kept(self) -> None:
        """Of a space that can change its budget: inside half of what it holds operators stay too."""
        if isinstance(self.space, Rebudgeted):
            self._check_budget(self.space)

    def _check_budget(self, space: Any) -> None:
        sizes = sorted(space.cost(genome).params for genome in genomes(space, self.samples))
        least = max(sizes[len(sizes) // 2], space.budget.min_params)
        if space.start is not None:
            least = max(least, space.cost(space.start).params)
        budget = Budget(max_params=least)
        tighter = space.with_budget(budget)
        assert tighter.budget == budget
        assert all(budget.admits(space.cost(genome)) for genome in genomes(tighter, self.samples))

    def test_cost_is_that_of_the_network(self) -> None:
        """The parameters are those of the built network, and the other costs are finite numbers."""
        for genome in self._few():
            cost = self.space.cost(genome)
            assert cost.params == sum(p.numel() for p in self.space.build(genome).parameters())
            assert all(math.isfinite(amount) and amount >= 0 for amount in cost.values())

    def test_the_network_takes_the_images_of_the_space(self) -> None:
        """Images (2, C, H, W) give logits (2, K)."""
        import torch

        for genome in self._few():
            network = self.space.build(genome).eval()
            with torch.no_grad():
                assert network(torch.zeros(2, *self.space.image)).shape == (2, self.space.classes)

    def test_texts_are_decoded_to_equal_genomes(self) -> None:
        """A genome, its text and the genome of the text are one; different genomes have different texts."""
        found: dict[str, Any] = {}
        for genome in self._genomes():
            text = self.space.encode(genome)
            again = self.space.decode(text)
            assert again == genome
            assert hash(again) == hash(genome)
            assert self.space.encode(again) == text
            assert found.setdefault(text, genome) == genome
        assert len(set(found.values())) == len(found)

    def test_texts_are_the_same_in_another_process(self) -> None:
        """The same seed gives the same texts where strings have other hashes."""
        assert elsewhere(texts, self.space, self.samples) == texts(self.space, self.samples)

    def test_what_is_no_genome_is_refused(self) -> None:
        """Texts that are not of the space raise a GenomeError."""
        for text in ("", "no genome", "\n", "{}"):
            with pytest.raises(GenomeError):
                self.space.decode(text)

    def test_operators_leave_arguments_and_global_generators_alone(self) -> None:
        """Nothing but `rng` is drawn from, and genomes are as they were."""
        first, *others = self._genomes()
        before = [self.space.encode(genome) for genome in (first, *others)]
        with untouched_generators():
            for other in others[: self.samples]:
                rng = random.Random(0)
                self.space.mutate(other, rng)
                self.space.crossover(first, other, rng)
                self.space.cost(other)
                self.space.features(other)
                self.space.sample(rng)
        assert [self.space.encode(genome) for genome in (first, *others)] == before

    def test_equal_generators_give_equal_genomes(self) -> None:
        """Operators are functions of their arguments and the generator's state."""
        for genome in self._few():
            for operator in (self.space.mutate, self.space.attempt):
                assert operator(genome, random.Random(1)) == operator(genome, random.Random(1))
            crossed = [self.space.crossover(genome, self._few()[0], random.Random(1)) for _ in range(2)]
            assert crossed[0] == crossed[1]

    def test_mutation_goes_somewhere(self) -> None:
        """A mutant is another genome, and at least one of many tries finds one."""
        mutants = [(genome, self.space.mutate(genome, random.Random(2))) for genome in self._genomes()]
        assert any(mutant is not None for _, mutant in mutants)
        assert all(mutant != genome for genome, mutant in mutants)

    def test_decisions_keep_their_options(self) -> None:
        """A name always has the same options, no two alike, and every answer among them makes a genome inside."""
        asked: dict[str, Decision] = {}
        rng = random.Random(3)
        answers = [rng.choice] * self.samples + [lambda options: options[0], lambda options: options[-1]]
        for answer in answers:

            def choose(decision: Decision, answer: Any = answer) -> str:
                assert asked.setdefault(decision.name, decision) == decision
                assert len(set(decision.options)) == len(decision.options) > 0
                return str(answer(decision.options))

            assert self.space.budget.admits(self.space.cost(self.space.compose(choose)))
        assert asked

    def test_features_are_numbers(self) -> None:
        """Features of all genomes have the same names and finite values."""
        found = [self.space.features(genome) for genome in self._genomes()]
        assert all(features.keys() == found[0].keys() for features in found)
        assert all(math.isfinite(value) for features in found for value in features.values())

    def _genomes(self) -> list[Any]:
        return list(genomes(self.space, self.samples))

    def _few(self) -> list[Any]:
        return self._genomes()[-self.networks :]


def genomes(space: Space[Any], count: int) -> Iterator[Any]:
    """`count` samples, and as many times a mutant and a child of what was made before."""
    rng = random.Random(0)
    made = [space.sample(rng) for _ in range(count)]
    for _ in range(count):
        made.append(space.mutate(rng.choice(made), rng))
        made.append(space.crossover(rng.choice(made[:count]), rng.choice(made[:count]), rng))
        made = [genome for genome in made if genome is not None]
    yield from made


def texts(space: Space[Any], count: int) -> list[str]:
    """The texts of `genomes`."""
    return [space.encode(genome) for genome in genomes(space, count)]
