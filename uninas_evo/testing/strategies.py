"""What every strategy must do, whatever it searches with: the promises of `contracts.Strategy`."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import pytest

from uninas_evo.contracts import Candidate, Draft, Objective, Result, Space, StopSearch, Strategy, numbered
from uninas_evo.testing.elsewhere import elsewhere, untouched_generators
from uninas_evo.testing.toys import Bits, rugged

GAIN, COST = Objective("gain", "maximize"), Objective("cost", "minimize")
Answer = Callable[[Candidate], Result]


class StrategyConformance:
    """Tests of a strategy: set `strategy`.

    Attributes:
        strategy: the class that is tested.
        options: the fields of its `Options`, small enough for tests.
        space: what is searched; `samples` genomes of it must differ.
        samples: how many candidates are asked.
        seeded: whether another seed asks other genomes.
        learns: whether it follows its objective: its last asks are better than its first.
    """

    strategy: Any
    options: Mapping[str, Any] = {}
    space: Any = Bits()
    samples: int = 40
    seeded: ClassVar[bool] = True
    learns: ClassVar[bool] = True

    def test_same_seed_same_asks_in_another_process(self) -> None:
        """The asks are a function of the seed and the results, in every process."""
        arguments = self.strategy, self.space, dict(self.options), self.samples
        assert elsewhere(asks, *arguments) == asks(*arguments)

    def test_tells_may_be_cut_anywhere(self) -> None:
        """One result at a time or many at once: the asks are the same, so that workers change nothing."""
        expected = self._asks()
        for seed in (1, 2):
            assert self._asks(cut=random.Random(seed)) == expected

    def test_other_seeds_give_other_asks(self) -> None:
        """The seed matters."""
        if not self.seeded:
            return  # the strategy draws nothing
        assert self._asks(seed=0) != self._asks(seed=1)

    def test_candidates_are_of_the_space(self) -> None:
        """Parents were asked before; genomes lie inside the budget and decode to themselves."""
        for candidate in drive(self._made(), self.space, self.samples):
            assert all(0 <= parent < candidate.number for parent in candidate.parents)
            assert candidate.inherits is None or 0 <= candidate.inherits < candidate.number
            assert self.space.budget.admits(self.space.cost(candidate.genome))
            assert self.space.decode(self.space.encode(candidate.genome)) == candidate.genome

    def test_a_search_where_all_fails_goes_on(self) -> None:
        """Failures only: the strategy keeps asking and raises nothing."""
        made = drive(self._made(), self.space, self.samples, lambda c: Result(c, failure="out of memory"))
        assert len(list(made)) >= self.samples

    def test_failures_are_survived(self) -> None:
        """With every third candidate failed the search goes on to the same number."""
        score = scorer(self.space)
        made = drive(
            self._made(), self.space, self.samples, lambda c: score(c) if c.number % 3 else Result(c, failure="broke")
        )
        assert len(list(made)) >= self.samples

    def test_it_waits_without_results(self) -> None:
        """Without results a strategy asks a bounded number and then nothing, however often it is asked."""
        strategy = self._made()
        asked: list[Draft] = []
        for _ in range(1000):
            drafts = strategy.ask()
            if not drafts:
                break
            asked += drafts
        assert asked
        assert not strategy.ask()
        strategy.tell([])
        assert not strategy.ask()

    def test_global_generators_are_left_alone(self) -> None:
        """The global generators of random, numpy and torch keep their states, and nothing is drawn from them."""
        import numpy as np

        with untouched_generators():
            first = self._asks()
        random.seed(2)
        np.random.seed(2)
        assert self._asks() == first

    def test_results_are_left_alone(self) -> None:
        """Telling changes neither results nor their values."""
        told: list[tuple[Result, dict[str, float]]] = []
        score = scorer(self.space)

        def answer(candidate: Candidate) -> Result:
            result = score(candidate)
            told.append((result, dict(result.values)))
            return result

        list(drive(self._made(), self.space, self.samples, answer))
        assert all(dict(result.values) == values for result, values in told)

    def test_options_are_described_and_checked(self) -> None:
        """Every option says what it is for and has a default; a misspelt one is refused."""
        for field in self.strategy.Options.model_fields.values():
            assert field.description
            assert not field.is_required()
        with pytest.raises(ValueError, match=r"Extra inputs are not permitted|there is no such field"):
            make(self.strategy, self.space, {**self.options, "mispelt": 3})

    def test_snapshots_stand_for_replay(self) -> None:
        """Of a strategy with snapshots: restored in a fresh one, it asks as if all results were told again."""
        first = self._made()
        list(drive(first, self.space, self.samples))
        state = first.snapshot()
        if state is None:
            return  # the strategy takes no snapshots: it is replayed
        second = self._made()
        second.restore(state)
        assert [self.space.encode(d.genome) for d in second.ask()] == [self.space.encode(d.genome) for d in first.ask()]

    def test_it_learns(self) -> None:
        """On counting ones a later ask holds more than any of the first twenty."""
        if not self.learns:
            return  # the strategy follows no objective
        space = Bits(24)
        ones = [sum(c.genome) for c in drive(make(self.strategy, space, self.options), space, 200)]
        assert max(ones) > max(ones[:20])

    def _made(self, seed: int = 0) -> Strategy:
        return make(self.strategy, self.space, self.options, seed)

    def _asks(self, seed: int = 3, cut: random.Random | None = None) -> list[Any]:
        return asks(self.strategy, self.space, self.options, self.samples, seed, cut)


def make(strategy: Any, space: Space[Any], options: Mapping[str, Any], seed: int = 0) -> Strategy:
    """A strategy with two objectives where it takes no fewer, else with one."""
    objectives = (GAIN, COST) if strategy.objectives_allowed == "several" else (GAIN,)
    made: Strategy = strategy(space, objectives, seed=seed, **options)
    return made


def asks(
    strategy: Any,
    space: Space[Any],
    options: Mapping[str, Any],
    count: int,
    seed: int = 3,
    cut: random.Random | None = None,
) -> list[Any]:
    """What a strategy asks, as plain data."""
    made = drive(make(strategy, space, options, seed), space, count, cut=cut)
    found = [[space.encode(c.genome), list(c.parents), c.origin, c.fidelity, c.inherits] for c in made]
    return found[:count]


def scorer(space: Space[Any]) -> Answer:
    """Answers with a rugged gain, to which the ones of a tuple are added, and the parameters as cost."""

    def answer(candidate: Candidate) -> Result:
        genome = candidate.genome
        gain = rugged(space.encode(genome)) + (sum(genome) if isinstance(genome, tuple) else 0)
        return Result(candidate, {"gain": gain, "cost": space.cost(genome).params})

    return answer


def drive(
    strategy: Strategy,
    space: Space[Any],
    count: int,
    answer: Answer | None = None,
    cut: random.Random | None = None,
) -> Iterator[Candidate]:
    """Asks and tells until `count` candidates are asked or the strategy stops.

    Args:
        strategy: is asked, and told the results in order.
        space: what it searches.
        count: how many candidates at least.
        answer: scores a candidate; a rugged `gain` and the parameters as `cost` by default.
        cut: draws how many results are told at once; one at a time by default.
    """
    answer = answer or scorer(space)
    waiting: list[Candidate] = []
    asked = 0
    while asked < count:
        try:
            candidates = [numbered(draft, asked + place) for place, draft in enumerate(strategy.ask())]
        except StopSearch:
            return
        asked += len(candidates)
        yield from candidates
        waiting += candidates
        assert waiting, "a strategy that has all results must ask or stop"
        size = 1 if cut is None else cut.randint(1, len(waiting))
        told: Sequence[Candidate] = waiting[:size]
        waiting = waiting[size:]
        strategy.tell([answer(candidate) for candidate in told])
