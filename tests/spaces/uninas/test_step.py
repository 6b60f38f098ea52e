"""The search step and crossover: invariants 1 and 6, and what is drawn how often."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_genomes import SKELETONS, genomes, random_genome

from uninas_evo.contracts import Budget, Cost
from uninas_evo.errors import BudgetError, GenomeError
from uninas_evo.spaces.uninas import PRESETS, Chain, Genome, Skeleton, StepRule, UninasSpace, preset, walk_nodes
from uninas_evo.spaces.uninas.chain import menu
from uninas_evo.spaces.uninas.step import fits, remove_node, step
from uninas_evo.spaces.uninas.text import parse_chain, parse_genome


def recounted(genome: Genome) -> Cost:
    """The cost summed over all nodes from the table's formulas, without the totals that the nodes keep."""
    total = genome.skeleton.cost
    for chain in genome.chains:
        for n, copies in walk_nodes(chain):
            own = n.operation
            total += Cost(copies * own.params(*n.shape), copies * own.flops(*n.shape))
    return total


def is_feasible(chain: Chain) -> bool:
    """Whether every node stands on a shape that it admits, and every branch has the shape that its pair gives it."""
    for n, _ in walk_nodes(chain):
        shapes = n.operation.branches(n.shape) if n.operation.branches else ()
        if not n.operation.admits(n.shape) or tuple(b.shape for b in n.branches) != shapes * (len(n.heads) or 1):
            return False
    return all(n.shape == chain.shape for n in chain.nodes)


@settings(max_examples=300)
@given(genomes(max_steps=150))
def test_every_genome_of_a_walk_is_feasible_and_costed_exactly(genome: Genome) -> None:
    """Invariant 1: shapes are kept, rules hold, totals equal the sum over all nodes, sizes and chain counts too."""
    assert all(is_feasible(chain) for chain in genome.chains)
    assert genome.cost == recounted(genome)
    assert len(genome) == sum(1 for chain in genome.chains for _ in walk_nodes(chain))
    for chain in genome.chains:
        assert parse_chain(chain.text, chain.shape) == chain


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("skeleton", SKELETONS)
def test_a_walk_never_leaves_its_budget(name: str, skeleton: object) -> None:
    """Invariant 1, over 4 × 4 × 700 steps in a tight budget with lower bounds."""
    start = preset(name, skeleton)  # type: ignore[arg-type]
    budget = Budget(0.9 * start.params, 1.2 * start.params, 0.9 * start.flops, 1.2 * start.flops)
    space = UninasSpace(start, budget)
    rng = random.Random(7)
    genome = start
    for _ in range(700):
        child = space.mutate(genome, rng)
        assert child is not None
        assert budget.admits(child.cost)
        assert child != genome
        genome = child
    assert genome.cost == recounted(genome)


@settings(max_examples=100)
@given(genomes(), st.integers(0, 2**32))
def test_a_step_changes_one_node(genome: Genome, seed: int) -> None:
    """One block's chain differs afterwards, the argument is unchanged, and the same generator repeats the step."""
    space = UninasSpace(genome, Budget(), StepRule(split=0))
    text = genome.text
    child = space.mutate(genome, random.Random(seed))
    assert child is not None
    assert genome.text == text
    changed = [(a, b) for a, b in zip(genome.chains, child.chains, strict=True) if a != b]
    assert len(changed) == 1
    assert space.mutate(genome, random.Random(seed)) == child


@given(genomes(), st.integers(0, 2**32))
def test_operators_draw_from_their_generator_alone(genome: Genome, seed: int) -> None:
    """Invariant 6: no global generator moves, the arguments stay as they are, and a seed gives the same again."""
    space = UninasSpace(genome)

    def operated() -> list[str]:
        rng = random.Random(seed)
        a, b = space.sample(rng), space.sample(rng)
        texts = a.text, b.text
        made = [space.mutate(a, rng), space.crossover(a, b, rng)]
        assert (a.text, b.text) == texts
        return [*texts, *(one.text if one else "" for one in made)]

    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[index]
    assert operated() == operated()
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[index]
    assert after == before


def test_additions_are_uniform_over_what_fits() -> None:
    """From an empty block, each operation is added about equally often, and only those inside the budget."""
    skeleton = SKELETONS[2]
    start = parse_genome(
        "uninas 1\nimage 64\nclasses 2\nstem 3 64\nstage 64\n" + "  1: -\n  2: -\n" * 3,
    )
    assert start.skeleton == skeleton
    limit = start.params + 600
    space = UninasSpace(start, Budget(max_params=limit), StepRule(eliminate=0))
    rng = random.Random(0)
    added: Counter[str] = Counter()
    for _ in range(6000):
        child = space.mutate(start, rng)
        assert child is not None
        added += Counter(n.operation.name for chain in child.chains for n, _ in walk_nodes(chain))
    fitting = {n.operation.name for n in menu((64, 16, 16)) if n.params <= 600}
    assert set(added) == fitting
    expected = 6000 / len(fitting)
    assert all(abs(count - expected) < 5 * expected**0.5 for count in added.values())


def test_a_pair_is_eliminated_with_its_branches() -> None:
    """With p = 1 a walk ends in empty chains, zeros included."""
    start = preset("efficientnet", SKELETONS[0])
    space = UninasSpace(start, Budget(), StepRule(eliminate=1))
    genome, rng = start, random.Random(0)
    while (child := space.mutate(genome, rng)) is not None:
        genome = child
    assert len(genome) == 0
    assert genome.cost == genome.skeleton.cost


def test_a_block_grows_to_its_limit_and_not_beyond() -> None:
    """No addition leads to more than `max_nodes` nodes in a block."""
    start = preset("coatnet", SKELETONS[0])
    space = UninasSpace(start, Budget(), StepRule(eliminate=0, split=0.5, max_nodes=14))
    genome, rng = start, random.Random(0)
    for _ in range(300):
        genome = space.mutate(genome, rng) or genome
    sizes = [a.size + b.size for a, b in zip(genome.chains[::2], genome.chains[1::2], strict=True)]
    assert max(sizes) <= 14
    assert min(sizes) >= 12


@pytest.mark.parametrize(("limit", "grows"), [(2, False), (3, True), (4, True)])
def test_a_block_below_its_limit_by_one_takes_a_node(limit: int, grows: bool) -> None:
    """A block of 2 nodes takes a third where 3 are allowed, and none where 2 are."""
    start = Genome.of(SKELETONS[0], [parse_chain("gelu gelu", c.shape) for c in preset("coatnet", SKELETONS[0]).chains])
    start = start.with_chain(1, parse_chain("-", start.chains[1].shape))
    rule = StepRule(eliminate=0, split=0, max_nodes=limit)
    rng = random.Random(0)
    steps = [step(start, Budget(), rule, rng) for _ in range(300)]
    sizes = {new.chains[0].size + new.chains[1].size for new in steps if new is not None}
    assert (3 in sizes) is grows
    assert all(one <= limit for one in sizes if one > 2)


def test_an_elimination_that_splits_a_head_stays_within_the_limit() -> None:
    """Splitting copies a group's chain, so that a removal may add nodes: not where the block is full."""
    start = preset("coatnet", SKELETONS[-1])
    index = next(i for i, c in enumerate(start.chains) if any(n.heads for n, _ in walk_nodes(c)))
    chain = parse_chain("attention(scores: softmax mask)", start.chains[index].shape)
    bare = [parse_chain("-", c.shape) for c in start.chains]
    bare[index] = chain
    genome = Genome.of(start.skeleton, bare)
    rng = random.Random(0)
    grown = {}
    for room in (0, 1):
        rule = StepRule(eliminate=1, split=1, max_nodes=chain.size + room)
        steps = [step(genome, Budget(), rule, rng) for _ in range(500)]
        grown[room] = max((new.chains[index].size for new in steps if new is not None), default=0)
    assert grown[0] <= chain.size < grown[1] <= chain.size + 1


def test_heads_split_off_and_merge_again() -> None:
    """A split head differs by one edit; undoing the edit gives the original node."""
    chain = parse_chain("attention(scores: softmax)", (96, 4, 4))
    whole = chain.nodes[0]
    apart, branch = whole.split_head(3, 1)
    assert apart.heads == ((0, 2), (1,))
    changed = apart.with_branch(branch, apart.branches[branch].insert(0, menu((1, 16, 16))[0]))
    assert changed.text == "attention(heads 0 2: scores: softmax | heads 1: scores: softmax softmax)"
    again = changed.with_branch(branch, changed.branches[branch].remove(0))
    assert again == whole


def test_one_head_that_is_split_off_pays_for_itself_alone() -> None:
    """Room for a depthwise convolution in one of four equal heads is room enough to split it off with one."""
    start = preset("vit", Skeleton(image_size=16, classes=4, stem=(16, 16), channels=(32, 128), depths=(1, 1)))
    added = 32 * 25  # parameters of dw5 on the 32 channels of a head, on 2 x 2 pixels
    budget = Budget(max_params=start.params + added, max_flops=start.flops + 2 * added * 4)
    space, rng = UninasSpace(start, budget, StepRule(eliminate=0, split=1)), random.Random(0)
    children = [space.mutate(start, rng) for _ in range(1500)]
    assert any(child.params == start.params + added and " | heads" in child.text for child in children if child)


def test_splitting_reaches_single_heads() -> None:
    """With split = 1 every step inside a group concerns one head; with 0 groups stay whole."""
    start = preset("vit", SKELETONS[0])
    groups = {
        split: max(
            len(n.heads) for c in random_genome(start, 200, 1, split).chains for n, _ in walk_nodes(c) if n.heads
        )
        for split in (0.0, 1.0)
    }
    assert groups[0.0] == 1
    assert groups[1.0] > 1


@settings(max_examples=100)
@given(st.integers(0, 2**32), st.integers(0, 60))
def test_crossover_exchanges_blocks_of_a_stage(seed: int, steps: int) -> None:
    """A child's blocks come from blocks of the same stage of its parents, inside the budget; parents stay."""
    skeleton = SKELETONS[0]
    a, b = (random_genome(preset("coatnet", skeleton), steps, seed + i) for i in range(2))
    space = UninasSpace(a, Budget(max_params=1.1 * max(a.params, b.params)))
    texts = a.text, b.text
    child = space.crossover(a, b, random.Random(seed))
    assert (a.text, b.text) == texts
    if child is None:
        return
    assert child not in (a, b)
    assert space.budget.admits(child.cost)
    assert child.cost == recounted(child)
    for index, (stage, _) in enumerate(skeleton.blocks):
        own = child.chains[2 * index : 2 * index + 2]
        same = [i for i, (s, _) in enumerate(skeleton.blocks) if s == stage]
        assert own in [p.chains[2 * i : 2 * i + 2] for p in (a, b) for i in same]


def test_crossover_of_two_skeletons_is_refused() -> None:
    """Genomes of two skeletons have no common blocks."""
    space = UninasSpace(preset("coatnet", SKELETONS[0]))
    with pytest.raises(GenomeError, match="two genomes of one skeleton"):
        space.crossover(space.start, preset("coatnet", SKELETONS[1]), random.Random(0))


def test_a_start_outside_the_budget_is_refused() -> None:
    """The message holds both, and the fix."""
    with pytest.raises(BudgetError, match=r"start network must lie inside the budget; it has .* widen the budget"):
        UninasSpace(preset("coatnet", SKELETONS[0]), Budget(max_params=10))


@pytest.mark.parametrize("wrong", [{"min_params": -1}, {"min_flops": 2, "max_flops": 1}, {"max_params": float("nan")}])
def test_a_budget_that_nothing_satisfies_is_refused(wrong: dict[str, float]) -> None:
    """Bounds are not negative and lower ones lie below upper ones."""
    with pytest.raises(BudgetError, match=r"the budget's .* are wrong"):
        Budget(**wrong)


@pytest.mark.parametrize("rule", [{"eliminate": 3}, {"eliminate": float("nan")}, {"split": -0.1}, {"max_nodes": -1}])
def test_rules_that_no_step_can_follow(rule: dict[str, float]) -> None:
    """Probabilities lie between 0 and 1, limits are not negative; the message names the field and the value."""
    (name, value), *_ = rule.items()
    with pytest.raises(GenomeError, match=rf"{name}.*got {value}"):
        StepRule(**rule)  # type: ignore[arg-type]


def test_what_meets_a_bound_exactly_is_inside_it() -> None:
    """One node more may spend all that is left, one less may leave the least; a single unit beyond is refused."""
    genome = preset("resnet", Skeleton(32, 10, (8, 8), (32, 64), (1, 1)))
    chain = next(chain for chain in genome.chains if chain.nodes)
    node = max(chain.nodes, key=lambda one: one.params)
    position = chain.nodes.index(node)
    for copies in (1, 2):
        params, flops = genome.params + copies * node.params, genome.flops + copies * node.flops
        assert fits(node, copies, genome, Budget(max_params=params, max_flops=flops))
        assert not fits(node, copies, genome, Budget(max_params=params - 1, max_flops=flops))
        assert not fits(node, copies, genome, Budget(max_params=params, max_flops=flops - 1))
    params, flops = genome.params - node.params, genome.flops - node.flops
    assert remove_node(chain, position, 1, genome, Budget(min_params=params, min_flops=flops)) is not None
    assert remove_node(chain, position, 1, genome, Budget(min_params=params + 1)) is None
    assert remove_node(chain, position, 1, genome, Budget(min_flops=flops + 1)) is None
