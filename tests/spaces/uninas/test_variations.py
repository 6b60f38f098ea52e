"""Motifs, substitution, starts, reduced forms and features: what the UniNAS space knows beside its step."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uninas_evo.contracts import Budget, Reducible, Started, Varied
from uninas_evo.errors import GenomeError
from uninas_evo.spaces.uninas import (
    OPERATIONS,
    Genome,
    Skeleton,
    StepRule,
    UninasSpace,
    load_genome,
    preset,
    walk_nodes,
)
from uninas_evo.spaces.uninas.chain import node
from uninas_evo.spaces.uninas.motifs import MOTIFS
from uninas_evo.spaces.uninas.substitution import kin
from uninas_evo.spaces.uninas.text import parse_chain

SKELETON = Skeleton(image_size=16, classes=3, stem=(8, 8), channels=(32, 64), depths=(1, 2))
BUDGET = Budget(max_params=250_000, max_flops=3e6)


@pytest.fixture(scope="module")
def space() -> UninasSpace:
    return UninasSpace(preset("efficientnet", SKELETON), BUDGET)


def with_first(text: str) -> Genome:
    """A genome whose first chain is the text, the others are empty."""
    lines = ["uninas 1", "image 16", "classes 3", "stem 8 8", "stage 32", f"  1: {text}", "  2: -"]
    return load_genome("\n".join(lines))


def test_the_space_has_the_capabilities(space: UninasSpace) -> None:
    """Strategies find them by protocol."""
    assert isinstance(space, Varied)
    assert isinstance(space, Started)
    assert isinstance(space, Reducible)


@pytest.mark.parametrize("name", ["motif", "substitution"])
@given(seed=st.integers(0, 2**32))
def test_variations_stay_inside(space: UninasSpace, name: str, seed: int) -> None:
    """Children are others than their parent, feasible, inside the budget, and follow from the generator alone."""
    operator = space.variations()[name]
    genome = space.start
    for _ in range(5):
        before = genome.text
        child = operator(genome, random.Random(seed))
        assert genome.text == before
        if child is None:
            return
        assert child == operator(genome, random.Random(seed))
        assert child != genome
        assert space.budget.admits(child.cost)
        assert space.decode(child.text).cost == child.cost
        assert all(
            a.size + b.size <= space.rule.max_nodes for a, b in zip(child.chains[::2], child.chains[1::2], strict=True)
        )
        genome = child


@given(seed=st.integers(0, 2**32))
def test_substitution_keeps_all_but_one_operation(space: UninasSpace, seed: int) -> None:
    """The nodes of parent and child are as many, and one of them has another operation of its kind."""
    child = space.variations()["substitution"](space.start, random.Random(seed))
    operations = [
        [one.operation for chain in genome.chains for one, _ in walk_nodes(chain)] for genome in (space.start, child)
    ]
    changed = [(a, b) for a, b in zip(*operations, strict=True) if a is not b]
    assert len(changed) == 1
    assert changed[0][0].kind == changed[0][1].kind


def test_kin_take_the_same_branches() -> None:
    """An activation gives way to another, an addition to a multiplication; an expansion stands alone."""
    names = {name: {one.name for one in kin(node(name, (32, 4, 4)))} for name in ("gelu", "copy_add", "conv_exp4")}
    assert names == {
        "gelu": {"softmax", "sigmoid", "dropout"},
        "copy_add": {"copy_multiply"},
        "conv_exp4": set(),
    }


def test_every_motif_stands_on_a_wide_shape() -> None:
    """Each is a chain where channels are divisible by a head's."""
    assert all(parse_chain(text, (64, 4, 4)).nodes for text in MOTIFS)


def test_steps_may_be_motifs_and_substitutions() -> None:
    """Their shares in the step rule make them steps of every strategy; without, the paper's step is what it was."""
    start = preset("efficientnet", SKELETON)
    plain, mixed = UninasSpace(start, BUDGET), UninasSpace(start, BUDGET, StepRule(motifs=0.5, substitutions=0.5))
    grown = [len(mixed.mutate(start, random.Random(seed)) or start) - len(start) for seed in range(60)]
    assert 0 in grown
    assert max(grown) > 1
    assert {abs(len(plain.mutate(start, random.Random(seed)) or start) - len(start)) for seed in range(60)} >= {1}
    with pytest.raises(GenomeError, match=r"at most 1 together, got 0\.6 and 0\.6"):
        StepRule(motifs=0.6, substitutions=0.6)


def test_starts_are_presets_and_their_crosses(space: UninasSpace) -> None:
    """The space's start first, every one once and inside the budget, all presets that fit among them."""
    found = space.starts()
    assert found[0] == space.start
    assert len(set(found)) == len(found) > 4
    assert all(space.budget.admits(genome.cost) for genome in found)
    fitting = [
        genome for name in ("resnet", "vit", "coatnet") if BUDGET.admits((genome := preset(name, SKELETON)).cost)
    ]
    assert set(fitting) <= set(found)
    spent = [max(one.params / BUDGET.max_params, one.flops / BUDGET.max_flops) for one in found[1 + len(fitting) :]]
    assert spent == sorted(spent, reverse=True)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("gelu chunk2 dw3", "gelu dw3"),
        ("gelu chunk2(chunk2, -) dw3", "gelu dw3"),
        ("dw3 zero", "zero"),
        ("batchnorm batchnorm gelu", "batchnorm gelu"),
        ("mask mask gelu", "mask gelu"),
        ("global_avg(gelu) global_avg(conv1)", "global_avg(gelu conv1)"),
        ("dw3 global_avg(softmax)", "global_avg(softmax)"),
        ("gelu copy_add batchnorm", "gelu batchnorm"),
        ("copy_add(zero, dw3)", "dw3"),
        ("copy_multiply(zero, dw3) gelu", "zero gelu"),
        ("global_avg(global_avg(gelu))", "global_avg(gelu)"),
        ("global_avg(maxpool gelu)", "global_avg(gelu)"),
        ("conv_exp4(gelu batchnorm batchnorm)", "conv_exp4(gelu batchnorm)"),
    ],
)
def test_nodes_without_effect_are_seen_through(text: str, same: str) -> None:
    """Two texts of one function have one reduced form, which is the shorter one's."""
    space = UninasSpace(with_first(same))
    assert space.reduced(with_first(text)) == space.reduced(with_first(same))


@pytest.mark.parametrize(("text", "other"), [("gelu", "gelu gelu"), ("copy_add gelu", "gelu"), ("dropout", "-")])
def test_nodes_with_effect_stay(text: str, other: str) -> None:
    """What changes the function, in training too, changes the reduced form."""
    space = UninasSpace(with_first("gelu"))
    assert space.reduced(with_first(text)) != space.reduced(with_first(other))


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("gelu chunk2 dw3 batchnorm", "gelu dw3 batchnorm"),
        ("dw3 copy_add batchnorm", "dw3 batchnorm"),
        ("copy_add(zero, dw3)", "dw3"),
        ("global_avg(global_avg(conv1 gelu))", "global_avg(conv1 gelu)"),
    ],
)
def test_equal_reduced_forms_compute_the_same(text: str, same: str) -> None:
    """With equal weights their networks have equal outputs, as far as a norm's small constant allows."""
    import torch

    networks = [with_first(one) for one in (text, same)]
    built = [UninasSpace(genome).build(genome) for genome in networks]
    for ours, theirs in zip(built[1].parameters(), built[0].parameters(), strict=True):
        ours.data.copy_(theirs.data)
    images = torch.randn(16, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    outputs = [network.train()(images) for network in built]
    assert torch.allclose(*outputs, atol=1e-3)


def test_features_count_operations_by_stage(space: UninasSpace) -> None:
    """Each stage's operations, those of nested chains included, and the logarithms of costs and skeleton."""
    found = space.features(with_first("gelu conv_exp4(gelu gelu)"))
    assert found["1.gelu"] == 3
    assert found["1.conv_exp4"] == 1
    skeleton = {"log image", "log classes", "log stem stride", "1.log width", "1.log depth"}
    assert found.keys() == {"log params", "log flops", *skeleton, *(f"1.{name}" for name in OPERATIONS)}
    assert sum(found[f"1.{name}"] for name in OPERATIONS) == 4
