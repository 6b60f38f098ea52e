"""What every strategy must do, whatever it searches with: the promises of `contracts.Strategy`."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from strategy_toy import COST, GAIN, NAMES, BitSpace, ask, drive, good, make, score, spaces, strategy_class, texts

from uninas_evo.contracts import Budget, Candidate, Result, StopSearch
from uninas_evo.errors import ObjectiveError, StrategyError
from uninas_evo.strategies import check_objectives

COUNT = 40
KINDS = ("bits", "nasbench201", "uninas")
SAMPLING = ("random", "random_walk", "halving", "hyperband", "asha")
LEARNING = tuple(name for name in NAMES if name not in SAMPLING)

every = pytest.mark.parametrize("name", NAMES)
everywhere = pytest.mark.parametrize("kind", KINDS)


def asks(name: str, kind: str, **options: Any) -> list[Any]:
    space = spaces()[kind]
    return texts(space, drive(make(name, space, seed=3), COUNT, **options), COUNT)


@pytest.fixture(scope="module")
def elsewhere() -> dict[str, Any]:
    """What every strategy asks in another process, whose strings have other hashes."""
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    program = Path(__file__).parent / "strategy_toy.py"
    command = [sys.executable, str(program), str(COUNT)]
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    return json.loads(output)


def test_the_suite_covers_every_strategy():
    """Each strategy that the project registers is in this suite."""
    ours = {e.name for e in entry_points(group="uninas_evo.strategies") if e.value.startswith("uninas_evo.")}
    assert set(NAMES) == ours


@every
@everywhere
def test_same_seed_same_asks_in_another_process(name, kind, elsewhere):
    """The asks are a function of the seed and the results, in every process."""
    assert asks(name, kind) == elsewhere[f"{kind} {name}"]


@every
@everywhere
def test_tells_may_be_cut_anywhere(name, kind):
    """One result at a time or many at once: the asks are the same, so workers change nothing."""
    assert asks(name, kind) == asks(name, kind, cut=random.Random(1)) == asks(name, kind, cut=random.Random(2))


@every
def test_other_seeds_give_other_asks(name):
    """The seed matters."""
    space = spaces()["bits"]
    first, second = (texts(space, drive(make(name, space, seed=seed), 20), 20) for seed in (0, 1))
    assert first != second


@every
@everywhere
def test_candidates_are_numbered_and_have_known_parents(name, kind):
    """Numbers count from 0, parents were asked before, genomes lie inside the budget and decode to themselves."""
    space = spaces()[kind]
    candidates = list(drive(make(name, space), COUNT))
    assert [candidate.number for candidate in candidates] == list(range(len(candidates)))
    for candidate in candidates:
        assert all(0 <= parent < candidate.number for parent in candidate.parents)
        assert space.budget.admits(space.cost(candidate.genome))
        assert space.decode(space.encode(candidate.genome)) == candidate.genome
    assert len({candidate.genome for candidate in candidates}) > COUNT / 2


@every
@everywhere
def test_a_search_where_all_fails_goes_on(name, kind):
    """Failures only: the strategy keeps asking new genomes and raises nothing."""
    space = spaces()[kind]
    strategy = make(name, space)
    candidates = list(drive(strategy, 3 * COUNT, lambda candidate: Result(candidate, failure="out of memory")))
    assert len(candidates) >= 3 * COUNT
    assert len({candidate.genome for candidate in candidates}) > COUNT


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
def test_it_waits_without_results(name):
    """With fewer results than asked a strategy asks a bounded number and then nothing, however often it is asked."""
    strategy = make(name, spaces()["bits"])
    first = list(ask(strategy))
    assert 0 < len(first) <= 64
    assert not ask(strategy)
    strategy.tell([])
    assert not ask(strategy)
    strategy.tell([good(strategy.space)(first[0])])
    more = list(ask(strategy))
    assert not ask(strategy)
    assert len(more) < 64


@every
def test_global_generators_are_left_alone(name):
    """The global generators of random, numpy and torch have the state that they had, and nothing is drawn from them."""
    import torch

    space = spaces()["bits"]
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    first = texts(space, drive(make(name, space), COUNT), COUNT)
    assert before == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    random.seed(2)
    np.random.seed(2)
    assert first == texts(space, drive(make(name, space), COUNT), COUNT)


@every
def test_results_are_left_alone(name):
    """Telling changes neither results nor their values."""
    space = spaces()["bits"]
    told: list[Result] = []

    def answer(candidate: Candidate) -> Result:
        told.append(good(space)(candidate))
        return told[-1]

    list(drive(make(name, space), COUNT, answer))
    assert [result.values for result in told] == [score(space, result.candidate.genome) for result in told]


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


@every
def test_unknown_options_are_refused(name):
    """A misspelt option is an error, and every option says what it is for."""
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        make(name, spaces()["bits"], populaton=3)
    for field in strategy_class(name).Options.model_fields.values():
        assert field.description
        assert not field.is_required()


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
         "strategies that fit: agemoea, bayesian, nsga2, nsga3, random, random_walk, smsemoa, uninas"),
        ("nsga2", (GAIN,), r"NSGA2 follows two or more objectives, got 1 \(gain\); choose among the strategies that "
         "fit: aging, bayesian, evolution, random, random_walk, uninas"),
        ("random", (), r"RandomSearch follows one or more objectives, got 0 \(none\); name one"),
    ],
)  # fmt: skip
def test_objectives_that_do_not_fit(name, objectives, message):
    """Too many or too few objectives are an error that names the strategies that fit."""
    with pytest.raises(ObjectiveError, match=message):
        check_objectives(strategy_class(name), objectives)
    with pytest.raises(ObjectiveError, match=message):
        strategy_class(name)(spaces()["bits"], objectives, seed=0)
