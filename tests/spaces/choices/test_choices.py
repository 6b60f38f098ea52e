"""Spaces of a fixed list of decisions: what `ChoiceSpace` derives from decisions, cost and network."""

from __future__ import annotations

import copy
import itertools
import pickle
import random

import pytest
from torch import nn

from uninas_evo.contracts import Budget, Cost, Decision
from uninas_evo.errors import BudgetError, GenomeError, SpaceError
from uninas_evo.spaces.choices import ENUMERABLE, Choices, ChoiceSpace


class Tower(ChoiceSpace):
    """Up to `deepest` linear layers; widths beyond the depth do not matter."""

    form = "tower 1"
    widths = ("8", "16", "32", "64")

    def __init__(self, deepest: int = 3, budget: Budget | None = None, start: Choices | None = None) -> None:
        depth = Decision("depth", tuple(str(n + 1) for n in range(deepest)), ordered=True)
        layers = (Decision(f"width_{n}", self.widths, ordered=True) for n in range(deepest))
        head = Decision("activation", ("relu", "gelu"))
        super().__init__((depth, *layers, head), (3, 8, 8), 5, budget, start)

    def canonical(self, genome: Choices) -> Choices:
        """Widths beyond the depth are the first."""
        depth, *widths, head = genome
        return Choices((depth, *(w if n <= depth else 0 for n, w in enumerate(widths)), head))

    def _sizes(self, genome: Choices) -> list[int]:
        return [192, *(int(self.widths[index]) for index in genome[1 : genome[0] + 2]), 5]

    def cost(self, genome: Choices) -> Cost:
        sizes = self._sizes(genome)
        pairs = list(itertools.pairwise(sizes))
        cost = Cost(sum((a + 1) * b for a, b in pairs), sum((2 * a + 1) * b for a, b in pairs))
        return cost.extended(layers=len(pairs))

    def build(self, genome: Choices) -> nn.Module:
        sizes = self._sizes(genome)
        layers = [module for a, b in itertools.pairwise(sizes) for module in (nn.Linear(a, b), nn.ReLU())]
        return nn.Sequential(nn.Flatten(), *layers[:-1])


SMALL = Tower()
LARGE = Tower(12)


def test_only_canonical_genomes_are_listed():
    """Combinations that give the same network count once: widths beyond the depth do not matter."""
    assert SMALL.count == 3 * 4**3 * 2
    assert len(SMALL.genomes) == len(set(SMALL.genomes)) == (4 + 16 + 64) * 2
    with pytest.raises(SpaceError, match=f"at most {ENUMERABLE:,} combinations are listed, this one has 402,653,184"):
        _ = LARGE.genomes


@pytest.mark.parametrize("deepest", [3, 12])
def test_what_lies_outside_is_fitted_to_a_near_genome(deepest):
    """Outside the budget the nearest genome inside is taken, the same each time; inside nothing changes."""
    free = Tower(deepest)
    space = free.with_budget(Budget(min_params=2500, max_params=4000, max_layers=3))
    rng = random.Random(0)
    moved = []
    for _ in range(60):
        wanted = free.sample(rng)
        got = space.nearest(wanted)
        assert space.admits(got)
        assert got == space.nearest(wanted) == space.canonical(got)
        moved.append(sum(a != b for a, b in zip(wanted, got, strict=True)))
        if space.admits(wanted):
            assert got == wanted
    if deepest == 3:
        inside = space.genomes
        wanted = Choices((2, 3, 3, 3, 0))
        fewest = min(sum(a != b for a, b in zip(wanted, one, strict=True)) for one in inside)
        assert sum(a != b for a, b in zip(wanted, space.nearest(wanted), strict=True)) == fewest


def test_mutation_changes_the_network_and_reaches_all():
    """Every single change of an active decision is reached, no other: a change of an inactive one is none."""
    genome = Choices((0, 1, 0, 0, 0))
    rng = random.Random(0)
    reached = {SMALL.mutate(genome, rng) for _ in range(400)}
    assert reached == {
        *(Choices((0, width, 0, 0, 0)) for width in (0, 2, 3)),
        *(Choices((depth, 1, 0, 0, 0)) for depth in (1, 2)),
        Choices((0, 1, 0, 0, 1)),
    }


def test_no_way_out_is_none():
    """Where no single change fits the budget, mutation is None; a budget that nothing fits is a BudgetError."""
    genome = SMALL.start or Choices((0, 1, 0, 0, 0))
    cost = SMALL.cost(genome)
    tight = SMALL.with_budget(Budget(cost.params, cost.params, max_layers=1))
    with pytest.raises(BudgetError, match=r"no genome of Tower is inside .*max_layers = 1; widen the budget"):
        tight.sample(random.Random(0))
    with pytest.raises(BudgetError, match=r"no genome of Tower inside .* was found in 300 changes; widen"):
        LARGE.with_budget(Budget(max_params=10)).sample(random.Random(0))
    with pytest.raises(BudgetError, match="the start must be inside"):
        Tower(budget=Budget(max_params=10), start=genome)


def test_a_start_follows_the_budget():
    """`with_budget` leaves the space alone, and begins at the nearest genome inside."""
    space = Tower(start=Choices((2, 3, 3, 3, 0)))
    inside = space.with_budget(Budget(max_params=4000))
    assert space.start == Choices((2, 3, 3, 3, 0))
    assert inside.admits(inside.start)
    assert len(space.genomes) > len(inside.genomes) > 0


def test_text():
    """The text says the space and every decision; each kind of mistake is a GenomeError that names it."""
    genome = Choices((1, 3, 2, 0, 1))
    text = SMALL.encode(genome)
    assert text == (
        "tower 1\nimage: 3 8 8\nclasses: 5\ndepth = 2\nwidth_0 = 64\nwidth_1 = 32\nwidth_2 = 8\nactivation = gelu\n"
    )
    assert SMALL.decode(text) == genome
    assert SMALL.decode(text.replace("width_2 = 8", "width_2 = 64")) == genome
    for changed, message in [
        ("", "begins with the line 'tower 1', got ''"),
        (text.replace("tower 1", "tower 2"), "begins with the line 'tower 1', got 'tower 2'"),
        (text.replace("classes: 5", "classes: 6"), "its classes is '6', this space's is '5'"),
        (text.replace("classes: 5\n", ""), "its classes is None, this space's is '5'"),
        (text.replace("width_1 = 32\n", ""), r"missing: \['width_1'\], unknown: none"),
        (text + "color = red\n", r"missing: none, unknown: \['color'\]"),
        (text + "depth = 2\n", "has each of its decisions once, got 'depth' twice"),
        (text.replace("width_1 = 32", "width_1 = 33"), "width_1 must be one of 8, 16, 32, 64, got '33'"),
    ]:
        with pytest.raises(GenomeError, match=message):
            SMALL.decode(changed)


def test_features_are_numbers_of_what_is_decided():
    """Ordered decisions are one number, others one for each option, and the costs are there."""
    genome = Choices((1, 3, 2, 0, 1))
    features = dict(SMALL.features(genome))
    assert features | {"activation=relu": 0.0, "activation=gelu": 1.0, "depth": 1.0, "layers": 3} == features
    assert set(features) >= {"width_0", "params", "flops"}


def test_decisions_are_checked():
    """Two decisions of one name, or one without options, are a SpaceError."""

    class Loose(Tower):
        def __init__(self, *decisions: Decision) -> None:
            ChoiceSpace.__init__(self, decisions, (3, 8, 8), 5)

    with pytest.raises(SpaceError, match="got 'a' 2 times"):
        Loose(Decision("a", ("1",)), Decision("a", ("2",)))
    with pytest.raises(SpaceError, match="at least one option"):
        Loose(Decision("a", ()))


def test_genomes_travel():
    """Copies and pickles of genomes are equal."""
    genome = Choices((1, 3, 2, 0, 1))
    assert pickle.loads(pickle.dumps(genome)) == copy.deepcopy(genome) == genome  # noqa: S301
