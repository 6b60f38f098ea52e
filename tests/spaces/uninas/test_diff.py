"""Differences of genomes."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uninas_evo.contracts import Budget
from uninas_evo.errors import GenomeError
from uninas_evo.spaces.uninas import Genome, Skeleton, StepRule, UninasSpace, preset
from uninas_evo.spaces.uninas.diff import Edit, edits, text_edits
from uninas_evo.spaces.uninas.flow import flow_graph
from uninas_evo.spaces.uninas.text import parse_chain

SKELETON = Skeleton(image_size=64, classes=10, stem=(16, 16), channels=(32, 96), depths=(1, 2))


def genome(first: str, second: str = "-") -> Genome:
    small = Skeleton(image_size=64, classes=10, stem=(16, 16), channels=(96,), depths=(1,))
    return Genome.of(small, [parse_chain(text, (96, 16, 16)) for text in (first, second)])


@given(st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_a_search_step_is_one_edit(seed: int) -> None:
    """Whatever a step adds or removes, nested or inside one attention head, is told as exactly that one edit."""
    rng = random.Random(seed)
    space = UninasSpace(preset("coatnet", SKELETON), Budget(), StepRule())
    parent = space.start
    for _ in range(25):
        child = space.mutate(parent, rng)
        assert child is not None
        (edit,) = edits(parent, child)
        (back,) = edits(child, parent)
        assert {edit.change, back.change} == {"added", "removed"}
        assert child.flops == parent.flops or (edit.change == "added") == (child.flops > parent.flops)
        assert text_edits(parent.text, child.text) == (edit,)
        parent = child


def test_equal_genomes_have_no_edits() -> None:
    assert edits(preset("vit"), preset("vit")) == ()
    assert text_edits(preset("vit").text, preset("vit").text) == ()


def test_places_are_those_of_the_graph() -> None:
    """An edit's place names a node of `Genome.graph` of the genome that has it."""
    before = genome("conv1 chunk2(gelu, -) attention")
    after = genome("chunk2(gelu, dw3) attention(k: dw5 gelu)")
    found = edits(before, after)
    assert [(e.change, e.place, e.operation, e.copies) for e in found] == [
        ("removed", "1.1.1/1", "conv1", 1),
        ("added", "1.1.1/1/2/1", "dw3", 1),
        ("added", "1.1.1/2/heads1/k/1", "dw5", 3),
        ("added", "1.1.1/2/heads1/k/2", "gelu", 3),
    ]
    for edit in found:
        graph = flow_graph(before if edit.change == "removed" else after)
        assert graph.nodes[edit.place]["operation"] == edit.operation
        assert edit.stage == 1


def test_branches_of_an_addition_are_compared_in_the_better_order() -> None:
    """`copy_add` orders its branches by their texts; an edit that turns the order round stays one edit."""
    before, after = genome("copy_add(conv1 gelu, dw3)"), genome("copy_add(dw3, zero conv1 gelu)")
    assert edits(before, after) == (Edit("added", "1.1.1/1/2/1", "zero", "zero"),)


def test_one_head_alone_is_told_with_its_copies() -> None:
    before = genome("attention(scores: softmax)")
    after = genome("attention(heads 0 2: scores: softmax | heads 1: scores: softmax gelu)")
    assert edits(before, after) == (Edit("added", "1.1.1/1/heads2/scores/2", "gelu", "gelu", 1),)


def test_other_skeletons_are_refused() -> None:
    a, b = preset("vit"), preset("resnet")
    for compare in (lambda: edits(a, b), lambda: text_edits(a.text, b.text), lambda: text_edits("", "")):
        with pytest.raises(GenomeError, match="where they have one skeleton"):
            compare()
