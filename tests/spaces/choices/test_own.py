"""Spaces of one's own: conditions, validity, numbers, counted costs, texts and mistakes."""

from __future__ import annotations

import pickle
import random
import re

import own_network
import pytest
from own_network import build, formula, own

from uninas_evo import Budget, Real, Whole, choices
from uninas_evo.errors import BudgetError, GenomeError, SpaceError
from uninas_evo.spaces.choices import Chosen
from uninas_evo.testing import SpaceConformance


class TestOwn(SpaceConformance):
    space = own()


class TestOwnInsideABudget(SpaceConformance):
    space = own(Budget(max_params=1200), cost=formula)


def test_what_does_not_count_is_not_part_of_a_genome():
    """Every valid genome has `inner` exactly where it is a bottleneck; lists that differ elsewhere there are one."""
    space, rng = own(), random.Random(0)
    genomes = [space.sample(rng) for _ in range(50)]
    genomes += [one for g in genomes if (one := space.mutate(g, rng))]
    genomes += [one for g in genomes if (one := space.crossover(g, genomes[0], rng))]
    assert all(("inner" in g) == (g["kind"] == "bottleneck") and own_network.valid(g) for g in genomes)
    assert space.genome((0, 3, 1, 0, 5)) == space.genome((0, 3, 7, 0, 5))


def test_only_what_counts_is_asked():
    """A composition of the plain kind asks nothing about its bottleneck."""
    asked: list[str] = []
    own().compose(lambda decision: asked.append(decision.name) or decision.options[0])
    assert asked == ["kind", "width", "bias", "drop"]


def test_numbers_are_searched_between_their_grid_points():
    """Samples, mutants and children take values that are no options, all inside the range."""
    space, rng = own(), random.Random(1)
    width = next(d for d in space.decisions if d.name == "width")
    mutants = [space.mutate(space.sample(rng), rng) for _ in range(80)]
    widths = {one["width"] for one in mutants if one}
    assert widths - set(map(int, width.options))
    assert all(8 <= one <= 64 and isinstance(one, int) for one in widths)
    crossed = {space.crossover(space.sample(rng), space.sample(rng), rng)["drop"] for _ in range(20)}
    assert len(crossed) > 15
    assert all(0 <= one <= 0.5 for one in crossed)


def test_costs_are_counted_where_no_formula_gives_them():
    """Counting gives the formula's parameters; a formula adds costs and leaves FLOPs to be counted."""
    counted, given = own(), own(cost=formula)
    for seed in range(10):
        genome = counted.sample(random.Random(seed))
        cost = given.cost(genome)
        assert counted.cost(genome).params == formula(genome)["params"] == cost.params
        assert counted.cost(genome).flops == cost.flops > 0
        assert cost["energy"] == 0.5 * genome["width"]


def test_a_genome_is_built_once_for_its_cost():
    """Equal genomes are counted once; without a bound operators count nothing."""
    calls: list[Chosen] = []

    def watched(chosen):
        calls.append(chosen)
        return build(chosen)

    space = choices(own_network.TABLE, watched, image=(3, 8, 8), classes=10, when=own_network.WHEN)
    genome = space.sample(random.Random(0))
    space.mutate(genome, random.Random(0))
    assert calls == []
    assert space.cost(genome) == space.cost(pickle.loads(pickle.dumps(genome)))  # noqa: S301 - our own
    assert len(calls) == 1


def test_networks_that_need_a_real_device_are_counted_there():
    """A function that looks at its numbers cannot be built on torch's device meta, and gets the same cost."""

    def looking(chosen):
        network = build(chosen)
        assert network[0].weight.sum().item() != 12345
        return network

    arguments = {"image": (3, 8, 8), "classes": 10, "when": own_network.WHEN}
    genome = own().sample(random.Random(0))
    assert choices(own_network.TABLE, looking, **arguments).cost(genome) == own().cost(genome)


def test_texts():
    """A text has a line for each choice that counts, and reads back; a value off the grid too."""
    space = own()
    text = space.encode(space.decode(TEXT))
    assert text == TEXT
    assert space.decode(text)["width"] == 19


TEXT = """\
choices 1
image: 3 8 8
classes: 10
kind = bottleneck
width = 19
inner = 7
bias = True
drop = 0.25
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("width = 19", "width = 7", "width must be a whole number from 8 to 64, got '7'"),
        ("width = 19", "width = 19.5", "got '19.5'"),
        ("width = 19\n", "", "'width' is missing; add a line such as 'width = 8'"),
        ("bias = True", "bias = yes", "bias must be one of False, True, got 'yes'"),
        ("drop = 0.25", "drop = nan", "drop must be a number from 0 to 0.5, got 'nan'"),
        ("kind = bottleneck", "kind = plain", "'inner' is no choice here, or does not count; remove its line"),
        ("inner = 7", "inner = 30", "the space's `valid` refuses Chosen"),
        ("bias = True", "bias = True\nbias = True", "got 'bias' twice"),
    ],
)
def test_texts_that_are_wrong(old, new, message):
    """A wrong line is a GenomeError that names the choice, the rule and the value."""
    with pytest.raises(GenomeError, match=re.escape(message)):
        own().decode(TEXT.replace(old, new))


@pytest.mark.parametrize(
    ("table", "more", "message"),
    [
        ({"a b": [1]}, {}, "the name of a choice is letters"),
        ({"a": []}, {}, "needs a list of different"),
        ({"a": [1, True]}, {}, "needs a list of different"),
        ({"a": "xyz"}, {}, "needs a list of different"),
        ({"a": ["x ", "y"]}, {}, "with spaces at its ends"),
        ({"a": Whole(3, 3)}, {}, "finite bounds low < high"),
        ({"a": Real(0.0, 1.0, log=True)}, {}, "low > 0 on a log scale"),
        ({"a": [1, 2], "b": [1]}, {"when": {"a": {"b": [1]}}}, "'a' hangs on 'b'"),
        ({"a": [1, 2], "b": [1]}, {"when": {"b": {"a": [3]}}}, "got [3]"),
    ],
)
def test_tables_that_are_wrong(table, more, message):
    """A wrong name, list, range or condition is a SpaceError that says so."""
    with pytest.raises(SpaceError, match=re.escape(message)):
        choices(table, build, image=(3, 8, 8), classes=10, **more)


def test_what_cannot_be_built_or_is_never_valid():
    """Both are errors that say what to do."""
    space = choices({"a": [1, 2]}, lambda chosen: 1 / 0, image=(3, 8, 8), classes=10)
    with pytest.raises(SpaceError, match=r"Chosen\(a=1\) cannot be built and counted: ZeroDivisionError"):
        space.cost(space.genome((0,)))
    never = choices({"a": [1, 2]}, build, image=(3, 8, 8), classes=10, valid=lambda chosen: False)
    with pytest.raises(BudgetError, match="or let `valid` admit more"):
        never.sample(random.Random(0))


def test_the_start():
    """A start is given by values, and must be one."""
    start = {"kind": "plain", "width": 16, "bias": False, "drop": 0.1}
    assert own(start=start).start == Chosen(start)
    with pytest.raises(GenomeError, match="'drop' is missing"):
        own(start={"kind": "plain", "width": 16, "bias": False})
    with pytest.raises(BudgetError, match="the start must be inside"):
        own(Budget(max_params=10), start=start)
