"""What every strategy must do, whatever it searches with: the promises of `contracts.Strategy`."""

from __future__ import annotations

import math
from importlib.metadata import entry_points

import numpy as np
import pytest
from strategy_toy import (
    COST,
    GAIN,
    NAMES,
    BitSpace,
    ask,
    drive,
    good,
    make,
    score,
    small,
    spaces,
    strategy_class,
    texts,
)

from uninas_evo.contracts import Budget, Candidate, Result, StopSearch
from uninas_evo.errors import ObjectiveError, StrategyError
from uninas_evo.strategies import check_objectives
from uninas_evo.testing import StrategyConformance

COUNT = 40
SAMPLING = ("random", "random_walk", "walks", "halving", "hyperband", "asha", "grid")
LEARNING = tuple(name for name in NAMES if name not in SAMPLING)

every = pytest.mark.parametrize("name", NAMES)


def test_the_suite_covers_every_strategy():
    """Each strategy that the project registers is in this suite."""
    ours = {e.name for e in entry_points(group="uninas_evo.strategies") if e.value.startswith("uninas_evo.")}
    assert {*NAMES, "derived"} == ours  # `derived` needs a learner: tests/sharing/test_derived.py


class TestStrategies(StrategyConformance):
    """Every strategy in a space of tuples, which numpy and DEAP like to take apart."""

    @pytest.fixture(autouse=True, params=NAMES)
    def subject(self, request):
        self.strategy = strategy_class(request.param)
        self.options = small(self.strategy)
        self.learns = request.param in LEARNING
        self.seeded = request.param != "grid"


class TestStrategiesElsewhere(StrategyConformance):
    """Every strategy in the cells of NAS-Bench-201 and a small UniNAS space."""

    learns = False

    @pytest.fixture(autouse=True, params=NAMES)
    def subject(self, request, kind):
        if request.param == "grid" and kind == "uninas":
            pytest.skip("grid needs a list of decisions")
        self.strategy = strategy_class(request.param)
        self.seeded = request.param != "grid"
        self.options = small(self.strategy)
        self.space = spaces()[kind]
        self.samples = 25 if kind == "uninas" else 40

    @pytest.fixture(autouse=True, params=("nasbench201", "uninas"))
    def kind(self, request):
        return request.param


@every
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_no_numbers_are_failures(name, bad):
    """NaN and infinities change what is asked exactly as a failure does, and so never win."""
    space = spaces()["bits"]

    def failing(candidate: Candidate) -> Result:
        fails = candidate.number % 3 == 1
        return Result(candidate, failure="it broke") if fails else good(space)(candidate)

    def poisoned(candidate: Candidate) -> Result:
        values = score(space, candidate.genome)
        return Result(candidate, values | {"gain": bad} if candidate.number % 3 == 1 else values)

    with_failures, with_bad = (
        texts(space, drive(make(name, space), COUNT, answer), COUNT) for answer in (failing, poisoned)
    )
    assert with_failures == with_bad


@pytest.mark.parametrize("name", LEARNING)
def test_failures_are_not_parents(name):
    """A failed candidate has no offspring as long as there are others."""
    space = spaces()["bits"]
    failed = set()

    def answer(candidate: Candidate) -> Result:
        if candidate.number % 2:
            failed.add(candidate.number)
            return Result(candidate, failure="it broke")
        return good(space)(candidate)

    candidates = list(drive(make(name, space), 60, answer))
    parents = [parent for candidate in candidates for parent in candidate.parents]
    share = sum(parent in failed for parent in parents) / max(1, len(parents))
    assert share < 0.1


@every
def test_a_small_space_is_searched_whole_and_the_end_is_said(name):
    """In a space of 16 genomes duplicates are survived, almost all genomes are found, and StopSearch ends it."""
    space = BitSpace(4)
    strategy = make(name, space)
    candidates = list(drive(strategy, 3000))
    assert len({candidate.genome for candidate in candidates}) >= 15
    assert len(candidates) < 3000
    for _ in range(2):
        with pytest.raises(StopSearch, match="the space is exhausted"):
            ask(strategy)


@every
def test_results_out_of_order_are_refused(name):
    """A result out of turn, twice or unasked is a StrategyError that names the number that comes next."""
    space = spaces()["bits"]
    strategy = make(name, space)
    first, second, *_ = ask(strategy)
    with pytest.raises(StrategyError, match="told in the order of their candidates: number 0 comes next, got 1"):
        strategy.tell([good(space)(second)])
    strategy.tell([good(space)(first)])
    with pytest.raises(StrategyError, match="number 1 comes next, got 0"):
        strategy.tell([good(space)(first)])
    fresh = make(name, space)
    with pytest.raises(StrategyError, match="candidate 0 was never asked"):
        fresh.tell([good(space)(Candidate(space.start, number=0))])


@pytest.mark.parametrize("name", LEARNING)
@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_it_learns_in_the_right_direction(name, goal):
    """On counting ones, in either direction, a strategy finds more than the first tenth of its asks held."""
    space = BitSpace(24, Budget(min_params=0))
    cls = strategy_class(name)
    objectives = [type(GAIN)("ones", goal)]
    if cls.objectives_allowed == "several":
        objectives.append(type(GAIN)("first", goal))
    strategy = cls(space, objectives, seed=0)

    def answer(candidate: Candidate) -> Result:
        return Result(candidate, {"ones": sum(candidate.genome), "first": candidate.genome[0]})

    sign = 1 if goal == "maximize" else -1
    ones = [sign * sum(candidate.genome) for candidate in drive(strategy, 200, answer)]
    reached = {"maximize": 19, "minimize": -5}[goal]
    assert max(ones) >= reached
    assert np.mean(ones[-20:]) > np.mean(ones[:20])


@pytest.mark.parametrize(
    ("name", "objectives", "message"),
    [
        ("evolution", (GAIN, COST), r"Evolution follows exactly one objective, got 2 \(gain, cost\); choose among the "
         "strategies that fit: agemoea, bayesian, grid, nsga2, nsga3, predictor, "
         "random, random_walk, smsemoa, uninas, walks"),
        ("nsga2", (GAIN,), r"NSGA2 follows two or more objectives, got 1 \(gain\); choose among the strategies that "
         "fit: aging, asha, bayesian, evolution, grid, halving, hyperband, ladder, ppo, predictor, random, "
         "random_walk, reinforce, uninas, walks"),
        ("random", (), r"RandomSearch follows one or more objectives, got 0 \(none\); name one"),
    ],
)  # fmt: skip
def test_objectives_that_do_not_fit(name, objectives, message):
    """Too many or too few objectives are an error that names the strategies that fit."""
    with pytest.raises(ObjectiveError, match=message):
        check_objectives(strategy_class(name), objectives)
    with pytest.raises(ObjectiveError, match=message):
        strategy_class(name)(spaces()["bits"], objectives, seed=0)
