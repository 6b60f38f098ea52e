"""The space: its options, operators that never leave the budget, fitting, presets and scaling."""

from __future__ import annotations

import random
from math import prod

import pytest

from uninas_evo.contracts import Budget
from uninas_evo.errors import BudgetError, GenomeError, SpaceError
from uninas_evo.spaces.uninet import (
    MODULES,
    OPERATORS,
    PRESETS,
    Genome,
    Lattice,
    Skeleton,
    Stage,
    UninetSpace,
    preset,
    scale,
)
from uninas_evo.spaces.uninet.lattice import EXPANSIONS, PAPER

BUDGET = Budget(max_params=15e6, min_flops=0.5e9, max_flops=1.2e9)


def test_the_size_of_the_space():
    """1,875 answers a stage make 3,508,312,500,000,000 different genomes."""
    assert prod(len(decision.options) for decision in PAPER.decisions()) == 23_174_285_888_671_875
    counts = [
        len(
            {
                (stage.operator, stage.module, e, c, r)
                for stage in (Stage(module, operator, 2, 32, 1) for module in MODULES for operator in OPERATORS)
                for e in EXPANSIONS
                for c in PAPER.widths(index, stage, 32)
                for r in PAPER.depths(index)
            }
        )
        for index in range(5)
    ]
    assert counts == [660, 960, 1_575, 1_875, 1_875]
    assert prod(counts) == 3_508_312_500_000_000


def test_b0_lies_in_the_space():
    """The published choices give the published network."""
    answers = {"gop": ["DWConv"] * 3 + ["SA"] * 2, "dsm": ["L"] * 3 + ["LG"] * 2, "e": list("46325")}
    answers |= {"c": ["1.5", "1.5", "1.25", "1", "1.25"], "r": ["+0", "+2", "+1", "-1", "+0"]}
    asked = []

    def choose(decision):
        asked.append(decision.name)
        _, number, kind = decision.name.split()
        assert answers[kind][int(number) - 1] in decision.options
        return answers[kind][int(number) - 1]

    assert UninetSpace().compose(choose) == preset("uninet-b0")
    assert asked[:6] == ["stage 1 gop", "stage 1 dsm", "stage 1 e", "stage 1 c", "stage 1 r", "stage 2 gop"]
    assert len(asked) == len(set(asked)) == 25


def check_operators(rng: random.Random, calls: int) -> None:
    """Random calls: every genome is feasible, inside the budget, and arguments stay what they were."""
    space = UninetSpace(budget=BUDGET)
    pool = [space.start]
    for _ in range(calls):
        a, b = rng.choice(pool), rng.choice(pool)
        texts = a.text, b.text
        call, *arguments = rng.choice([(space.sample,), (space.mutate, a), (space.crossover, a, b)])
        child = call(*arguments, rng)
        assert (a.text, b.text) == texts
        if child is not None:
            assert space.admits(child)
            assert space.decode(space.encode(child)) == child
            pool = [*pool[-50:], child]


def test_operators_stay_inside():
    """Whatever compose, mutate and crossover give is feasible and inside the budget."""
    check_operators(random.Random(0), 600)


def test_a_mutation_changes_one_decision():
    """A child differs from its parent in one stage and there in one decision, c following where heads need it."""
    space, rng = UninetSpace(), random.Random(3)
    genome = preset("uninet-b0")
    for _ in range(200):
        child = space.mutate(genome, rng)
        ((old, new),) = [(a, b) for a, b in zip(genome.stages, child.stages, strict=True) if a != b]
        fields = ("module", "operator", "expansion", "channels", "repeats")
        changed = [name for name in fields if getattr(old, name) != getattr(new, name)]
        assert len(changed) == 1 or (changed[1:] == ["channels"] and new.attends and not old.attends)
        genome = child


def test_values_off_the_lattice_stay():
    """B3's 56 channels are kept until the stage's channels are changed."""
    b3 = preset("uninet-b3")
    first = {child.stages[0].channels for child in UninetSpace(b3).lattice.neighbors(b3) if not child.stages[0].attends}
    assert first == {56, 16, 32, 48}


def test_crossover_takes_stages_from_both():
    """A child's stages are its parents' and it equals neither."""
    space, rng = UninetSpace(), random.Random(1)
    a, b = preset("uninet-b0"), space.start
    child = space.crossover(a, b, rng)
    assert child not in (a, b)
    assert all(stage in pair for stage, *pair in zip(child.stages, a.stages, b.stages, strict=True))
    assert space.crossover(a, a, rng) is None


@pytest.mark.parametrize(("limit", "kept"), [(0.7e9, 20.5), (1.2e9, 22.5), (2e9, 23.2)])
def test_fitting_keeps_most_decisions(limit, kept):
    """A composition over its budget is brought inside by few small changes."""
    free, bounded = UninetSpace(), UninetSpace(budget=Budget(max_flops=limit))
    equal = 0
    for seed in range(60):
        a, b = free.sample(random.Random(seed)), bounded.sample(random.Random(seed))
        assert b != bounded.start
        assert bounded.admits(b)
        fields = ("module", "operator", "expansion", "channels", "repeats")
        equal += sum(getattr(x, f) == getattr(y, f) for x, y in zip(a.stages, b.stages, strict=True) for f in fields)
    assert equal / 60 >= kept


def test_published_flops_can_be_bounded():
    """Every named cost has bounds."""
    space = UninetSpace(budget=Budget(max_published_flops=550e6))
    assert all(space.sample(random.Random(seed)).published_flops <= 550e6 for seed in range(20))


def test_a_start_outside_the_budget_is_told():
    """One message: what the start costs, the budget, and a start that would do, or that none does."""
    with pytest.raises(BudgetError, match=r"the start network must lie inside the budget .*start from this one"):
        UninetSpace(budget=Budget(max_params=10e6))
    with pytest.raises(BudgetError, match="none nearby is inside: widen the budget"):
        UninetSpace(budget=Budget(max_params=1_000))


def test_other_skeletons_have_a_lattice_of_their_own():
    """Any number of stages: the lattice lies around the start, or is given."""
    stages = tuple(Stage("L", "DWConv", 3, c, r) for c, r in ((16, 1), (32, 2), (48, 2)))
    small = Genome(Skeleton(32, 10, 16, 2, (16, 1), 16, 4, 128, (1, 2, 2)), stages)
    assert UninetSpace(small).lattice == Lattice((16, 32, 48), (1, 2, 2))
    space = UninetSpace(small, lattice=Lattice((16, 32, 48), (1, 2, 2), divisor=8))
    assert len(space.decisions) == 15
    assert space.sample(random.Random(0)).skeleton == small.skeleton
    with pytest.raises(SpaceError, match="the start's 3 stages, it has 5"):
        UninetSpace(small, lattice=PAPER)


def test_compound_scaling_gives_the_published_sizes():
    """B1 to B6 are B0 scaled, but for B6's fixed stage."""
    b0 = preset("uninet-b0")
    depths, widths = (1, 1, 1.5, 1.7, 2.2, 2.5, 3.0), (1, 1, 1, 1.15, 1.4, 1.4, 2.0)
    for name, depth, width in zip(PRESETS, depths, widths, strict=False):
        want = preset(name)
        late = 1.75 if name == "uninet-b5" else None
        got = scale(b0, depth, width, want.skeleton.image_size, late)
        assert got.stages == want.stages
        assert got.skeleton.first == ((48, 3) if name == "uninet-b6" else want.skeleton.first)


def test_unknown_presets_are_refused():
    """A preset that is none is told with the nearest."""
    with pytest.raises(GenomeError, match="did you mean 'uninet-reference'"):
        preset("uninet-refrence")


def test_options_of_operators_and_modules_may_be_cut():
    """A lattice of one operator composes, mutates and names no other: the space of an ablation."""
    start = Genome(Skeleton(32, 10, 16, 1, None, 16, 4, 128, (2, 2, 2)), (Stage("L", "SA", 3, 16, 1),) * 3)
    space = UninetSpace(start, lattice=Lattice((16, 32, 48), (1, 2, 2), 16, ("SA",), ("L", "LG")))
    rng = random.Random(0)
    for _ in range(50):
        genome = space.mutate(space.compose(lambda decision: rng.choice(decision.options)), rng)
        assert {stage.operator for stage in genome.stages} == {"SA"}
        assert {stage.module for stage in genome.stages} <= {"L", "LG"}
    start = Genome(start.skeleton, (Stage("L", "LSA", 3, 16, 1),) * 3)
    tight = UninetSpace(
        start, Budget(max_flops=1.2 * start.flops), Lattice((16, 32, 48), (1, 2, 2), 16, ("SA", "LSA"), ("L", "LG"))
    )
    fitted = [tight.compose(lambda decision: rng.choice(decision.options)) for _ in range(50)]
    assert {stage.operator for genome in fitted for stage in genome.stages} == {"SA", "LSA"}
    assert {stage.module for genome in fitted for stage in genome.stages} <= {"L", "LG"}
    for wrong in ({"operators": ()}, {"operators": ("SA", "SA")}, {"modules": ("X",)}):
        with pytest.raises(SpaceError, match=r"a lattice has some of .*, each once, got"):
            Lattice((16,), (1,), **wrong)
