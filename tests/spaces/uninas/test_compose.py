"""Composing by choices: one door for all that samples."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from random_genomes import SKELETONS

from uninas_evo.contracts import Budget, Decision
from uninas_evo.spaces.uninas import UninasSpace, preset
from uninas_evo.spaces.uninas.text import parse_genome

START = preset("coatnet", SKELETONS[0])
SPACE = UninasSpace(START, Budget(max_params=1.3 * START.params, max_flops=1.3 * START.flops))


@settings(max_examples=300)
@given(st.integers(0, 2**32))
def test_composed_genomes_are_inside_the_budget_and_repeat(seed: int) -> None:
    """Every list of choices gives a genome inside the budget, always the same one."""
    made = SPACE.sample(random.Random(seed))
    assert SPACE.budget.admits(made.cost)
    assert SPACE.sample(random.Random(seed)) == made


def test_a_name_always_has_the_same_options() -> None:
    """What a Bayesian optimizer needs: options depend on the name alone."""
    options_of: dict[str, tuple[str, ...]] = {}
    rng = random.Random(0)

    def choose(decision: Decision) -> str:
        assert options_of.setdefault(decision.name, decision.options) == decision.options
        return rng.choice(decision.options)

    for _ in range(300):
        SPACE.compose(choose)
    assert len(options_of) > 10


def test_scripts_reach_many_networks() -> None:
    """Hardly any script is lost to infeasible picks."""
    rng = random.Random(0)
    assert len({SPACE.sample(rng) for _ in range(200)}) > 150


def test_scripts_fill_empty_blocks() -> None:
    """Both empty chains of a block can be added to, although they are one object."""
    empty = parse_genome("uninas 1\nimage 32\nclasses 2\nstem 8 8\nstage 32\n  1: -\n  2: -\n")
    space = UninasSpace(empty)
    rng = random.Random(0)
    made = [space.sample(rng) for _ in range(100)]
    assert any(g.chains[0].nodes for g in made)
    assert any(g.chains[1].nodes for g in made)
