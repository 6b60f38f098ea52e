"""Strategies that climb rungs: who goes up, and that nothing but the results up to k − lag decides it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from strategy_toy import GAIN, BitSpace, score, strategy_class

from uninas_evo.contracts import Candidate, Objective, Result, StopSearch, numbered
from uninas_evo.strategies.ladder_estimate import Member, estimate, posterior

CLIMBERS = ("ladder", "halving", "hyperband", "asha")
RUNGS = 3
climber = pytest.mark.parametrize("name", CLIMBERS)


def make(name: str, seed: int = 0, rungs: int = RUNGS, **options: Any) -> Any:
    return strategy_class(name)(BitSpace(), (GAIN,), seed=seed, fidelities=rungs, **options)


def rung_of(candidate: Candidate) -> int:
    return RUNGS - 1 if candidate.fidelity is None else candidate.fidelity


def climbed(strategy: Any, count: int, fails: int | None = None, cut: random.Random | None = None) -> list[Candidate]:
    """What is asked when a rung's result is the toy's gain in units of its own; candidates of a rung may fail."""
    return list(_climb(strategy, count, fails, cut))


def _climb(strategy: Any, count: int, fails: int | None, cut: random.Random | None) -> Iterator[Candidate]:
    waiting: list[Candidate] = []
    asked = 0
    while asked < count:
        try:
            drafts = strategy.ask()
        except StopSearch:
            return
        new = [numbered(draft, asked + index) for index, draft in enumerate(drafts)]
        asked += len(new)
        yield from new
        waiting += new
        size = 1 if cut is None else cut.randint(1, len(waiting))
        told, waiting = waiting[:size], waiting[size:]
        strategy.tell([result(one, fails) for one in told])


def result(candidate: Candidate, fails: int | None = None) -> Result:
    rung = rung_of(candidate)
    if rung == fails:
        return Result(candidate, failure="out of memory")
    return Result(candidate, {"gain": (10 * rung + 1) * score(BitSpace(), candidate.genome)["gain"]})


@climber
def test_everyone_climbs_rung_by_rung(name: str) -> None:
    """A genome is asked at each fidelity at most once, one rung after the other, and few reach the full one."""
    asked = climbed(make(name), 200)
    counts = [sum(rung_of(one) == rung for one in asked) for rung in range(RUNGS)]
    assert min(counts) > 0
    if name != "hyperband":
        assert counts[0] > counts[1] > counts[2]
    assert len({(one.genome, one.fidelity) for one in asked}) == len(asked)
    for one in asked:
        if one.origin == "promote":
            (below,) = one.parents
            assert asked[below].genome == one.genome
            assert rung_of(asked[below]) == rung_of(one) - 1


@climber
def test_results_may_come_in_any_cut(name: str) -> None:
    """Workers change nothing: results told one by one or many at once lead to the same asks."""
    one_by_one = climbed(make(name), 150)
    assert climbed(make(name), 150, cut=random.Random(1))[:150] == one_by_one[:150]


@climber
@pytest.mark.parametrize("fails", range(RUNGS))
def test_failures_never_go_up(name: str, fails: int) -> None:
    """What fails at a rung is not asked at the next one, and the search goes on."""
    asked = climbed(make(name), 120, fails=fails)
    assert len(asked) >= 120
    begun = {rung_of(one) for one in asked if one.origin != "promote"}
    assert not any(rung_of(one) > fails for one in asked if one.origin == "promote") or name == "hyperband"
    assert 0 in begun


@climber
def test_without_fidelities_all_is_full(name: str) -> None:
    """A problem with one way to evaluate is searched at the full fidelity."""
    for rungs in (0, 1):
        assert all(one.fidelity is None for one in climbed(make(name, rungs=rungs), 30))


def test_halving_keeps_the_best_third() -> None:
    """Of 36 samples the best 12 go up, then the best 4 of these, then a new bracket begins."""
    asked = climbed(make("halving"), 60)
    gains = [score(BitSpace(), one.genome)["gain"] for one in asked]
    assert [rung_of(one) for one in asked[:53]] == [0] * 36 + [1] * 12 + [2] * 4 + [0]
    assert [one.parents[0] for one in asked[36:48]] == sorted(range(36), key=lambda n: -gains[n])[:12]


def test_hyperband_begins_at_each_rung_in_turn() -> None:
    """Brackets of 9, 5 and 3 samples (times the width) begin at rungs 0, 1 and 2."""
    asked = climbed(make("hyperband", width=1), 60)
    begun = [rung_of(one) for one in asked if one.origin != "promote"]
    assert begun[:17] == [0] * 9 + [1] * 5 + [2] * 3


def members(rows: list[dict[int, float]]) -> list[Member]:
    return [Member(index, (), "start", values=row) for index, row in enumerate(rows)]


def test_a_lucky_result_does_not_lead() -> None:
    """At equal results, more of them are believed more; a single one is drawn toward what the parents promise."""
    rows = [{0: float(value), 1: 100.0 + value} for value in range(10)]
    known = members(rows)
    lucky = Member("lucky", (known[0],), "step", values={0: 12.0})
    proven = Member("proven", (known[9],), "step", values={0: 12.0, 1: 112.0})
    estimate([*known, lucky, proven], 2)
    assert proven.estimate > lucky.estimate
    assert lucky.estimate < 112
    assert [one.estimate for one in known] == sorted(one.estimate for one in known)


def test_rungs_may_have_units_of_their_own() -> None:
    """Estimates are in the top rung's units, also where a lower rung counts something else."""
    rows = [{0: -float(value), 1: 50.0 - value / 10} for value in range(20)]
    known = members(rows)
    estimate(known, 2)
    assert all(47 < one.estimate < 51 for one in known)
    assert known[0].estimate > known[19].estimate


def test_posterior_is_the_textbook_one() -> None:
    """A prior of 0 ± 1 and a reading of 3 ± 1 meet in the middle; no reading leaves the prior."""
    assert posterior(0, 1, [(3, 1)]) == pytest.approx(1.5)
    assert posterior(0, 1, [(3, 1), (3, 1)]) == pytest.approx(2)
    assert posterior(7, 4, []) == 7


def test_minimized_objectives_rank_the_other_way() -> None:
    """The ranking's first has the least value where less is better."""
    strategy = strategy_class("ladder")(BitSpace(), (Objective("gain", "minimize"),), seed=0, fidelities=2)
    asked = climbed(strategy, 100)
    values = {one.number: score(BitSpace(), one.genome)["gain"] for one in asked}
    ranking = strategy.ranking()
    assert ranking
    assert values[ranking[0]] < values[ranking[-1]]
