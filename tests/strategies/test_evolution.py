"""Evolution: DEAP's toolbox and randomness, elitism, the warm start, and aging evolution's order."""

from __future__ import annotations

import random

import pytest
from deap import base, tools
from strategy_toy import COST, GAIN, BitSpace, ask, drive, good, make, spaces, texts

from uninas_evo.contracts import Candidate, Objective, Result
from uninas_evo.strategies.aging import AgingEvolution
from uninas_evo.strategies.evolution import Evolution
from uninas_evo.strategies.individual import best_of, global_random

ONES = Objective("ones", "maximize")


def ones(candidate: Candidate) -> Result:
    return Result(candidate, {"ones": sum(candidate.genome)})


def test_the_fittest_survive_and_are_remembered():
    """The population is the best μ of all that was asked, the hall of fame the best; the logbook is complete."""
    strategy = Evolution(BitSpace(), [ONES], seed=0, population=6, offspring=4, hall_of_fame=3)
    asked = []
    for _ in range(5):
        generation = ask(strategy)
        asked += generation
        strategy.tell(list(map(ones, generation)))
    best = sorted((sum(candidate.genome) for candidate in asked), reverse=True)
    assert sorted((sum(one.genome) for one in strategy.population), reverse=True) == best[:6]
    assert [sum(one.genome) for one in strategy.hall_of_fame] == best[:3]
    assert [record["candidates"] for record in strategy.logbook] == [6, 4, 4, 4, 4]
    assert strategy.logbook[-1]["best"] == best[0]


def test_minimized_values_keep_their_sign():
    """The hall of fame and the logbook show a minimized objective as it is, with the smallest first."""
    strategy = Evolution(BitSpace(), [Objective("ones", "minimize")], seed=0, population=6)
    generation = ask(strategy)
    strategy.tell(list(map(ones, generation)))
    assert strategy.hall_of_fame[0].fitness.values[0] == min(sum(one.genome) for one in generation)
    assert strategy.logbook[0]["best"] >= 0


def test_failures_leave_no_trace_in_the_hall_of_fame():
    """A generation that failed altogether is survived with nothing to remember."""
    strategy = Evolution(BitSpace(), [ONES], seed=0, population=6)
    strategy.tell([Result(candidate, failure="it broke") for candidate in ask(strategy)])
    assert len(strategy.hall_of_fame) == 0
    assert strategy.logbook[0] == {"generation": 0, "candidates": 6, "failed": 6, "mean": None, "best": None}
    assert ask(strategy)


def test_own_operators_replace_the_defaults():
    """Operators registered in a toolbox are used, DEAP's own included; the others stay."""

    def flip_first(individual):
        individual.genome = (1 - individual.genome[0], *individual.genome[1:])
        return (individual,)

    toolbox = base.Toolbox()
    toolbox.register("mutate", flip_first)
    toolbox.register("select", tools.selBest)
    strategy = Evolution(BitSpace(), [ONES], seed=0, toolbox=toolbox, population=4, offspring=1, crossover=0)
    first = ask(strategy)
    strategy.tell(list(map(ones, first)))
    (child,) = ask(strategy)
    parent = max(first, key=lambda candidate: sum(candidate.genome))
    assert child.parents == (parent.number,)
    assert child.genome == (1 - parent.genome[0], *parent.genome[1:])


def test_operators_that_draw_globally_are_replayed():
    """An operator that draws from the global generator gives the same asks whatever state that has."""

    def flip(individual):
        place = random.randrange(16)
        genome = individual.genome
        individual.genome = (*genome[:place], 1 - genome[place], *genome[place + 1 :])
        return (individual,)

    runs = []
    for state in (1, 2):
        random.seed(state)
        toolbox = base.Toolbox()
        toolbox.register("mutate", flip)
        strategy = Evolution(BitSpace(), [ONES], seed=0, toolbox=toolbox)
        runs.append(texts(strategy.space, drive(strategy, 50, ones), 50))
    assert runs[0] == runs[1]


def test_global_random_puts_the_state_back_after_an_error():
    """The global generator continues a stream inside the block only, also where it raises."""
    random.seed(7)
    before, rng = random.getstate(), random.Random(3)
    drawn = []

    def broken():
        with global_random(rng):
            drawn.append(random.random())
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert random.getstate() == before
    fresh = random.Random(3)
    assert drawn == [fresh.random()]
    assert rng.getstate() == fresh.getstate()


@pytest.mark.parametrize("name", ["evolution", "aging"])
def test_warm_start_asks_the_costliest_samples_first(name):
    """The first population is the best of many samples by FLOPs, or by a proxy of one's own; then evolution goes on."""
    space = spaces()["nasbench201"]
    plain, warm = (make(name, space, warm_start=kind) for kind in (None, "flops"))
    flops = [[space.cost(candidate.genome).flops for candidate in ask(strategy)] for strategy in (plain, warm)]
    assert flops[1] == sorted(flops[1], reverse=True)
    assert min(flops[1]) > max(flops[0])
    small = make(name, space, proxy=lambda cell: -space.cost(cell).params)
    assert max(space.cost(candidate.genome).params for candidate in ask(small)) < 200_000
    origins = [candidate.origin for candidate in drive(make(name, space, warm_start="params"), 20)]
    assert set(origins[:8]) == {"warm start"}
    assert not {"warm start", "sample"} & set(origins[8:])


def test_aging_takes_parents_from_the_youngest_only():
    """Every parent is among the last `population` results told when its child was asked, at any lag."""
    for lag in (1, 3, 7):
        strategy = AgingEvolution(BitSpace(), [ONES], seed=0, population=8, sample=3, lag=lag)
        for candidate in drive(strategy, 100, ones):
            for parent in candidate.parents:
                assert candidate.number - lag - 8 < parent <= candidate.number - lag


def test_aging_picks_the_fittest_of_its_sample():
    """Where the sample is the whole population the parent is the fittest of the youngest."""
    strategy = AgingEvolution(BitSpace(), [ONES], seed=0, population=6, sample=6, lag=1)
    asked = list(drive(strategy, 60, ones))
    for candidate in asked[6:]:
        youngest = asked[candidate.number - 6 : candidate.number]
        if candidate.origin == "mutate":
            assert sum(asked[candidate.parents[0]].genome) == max(sum(one.genome) for one in youngest)


def test_best_of_several_objectives_is_a_front():
    """The best by rank and crowding hold every extreme point, and each genome once."""
    space = BitSpace()
    candidates = [Candidate((number,), number=number) for number in range(8)]
    points = [(0, 9), (9, 0), (5, 5), (1, 1), (2, 2), (6, 4), (4, 6), (0, 0)]
    results = [
        Result(candidate, {"gain": float(gain), "cost": float(-cost)})
        for candidate, (gain, cost) in zip(candidates, points, strict=True)
    ]
    strategy = make("nsga2", space)
    assert strategy.objectives == (GAIN, COST)
    kept = best_of([*results, *results], 5, strategy.fitness)
    assert {result.candidate.number for result in kept} == {0, 1, 2, 5, 6}


def test_uninas_keeps_the_best_and_walks_from_them():
    """Steps begin at the networks kept, which are the best of all scored."""
    strategy = make("uninas", BitSpace(), population=4)
    seen = []
    for _ in range(6):
        kept = {result.candidate.number for result in strategy.kept}
        generation = ask(strategy)
        for candidate in generation:
            assert not kept or candidate.parents[0] in kept
        results = [good(strategy.space)(candidate) for candidate in generation]
        seen += results
        strategy.tell(results)
        best = sorted(seen, key=lambda result: -result.values["gain"])[:4]
        assert [r.candidate.number for r in strategy.kept] == [r.candidate.number for r in best]
