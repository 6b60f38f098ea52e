"""The same topology on other skeletons: any image, scaling, filling a budget, and steps that change the skeleton."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import uninas_evo
from uninas_evo.contracts import Budget
from uninas_evo.errors import BudgetError, GenomeError
from uninas_evo.spaces.uninas import (
    PRESETS,
    Genome,
    Skeleton,
    UninasSpace,
    compound,
    genome_to_json,
    genome_to_package,
    load_genome,
    preset,
    scale,
)
from uninas_evo.spaces.uninas.network import build
from uninas_evo.spaces.uninas.resize import on_skeleton, width_steps
from uninas_evo.spaces.uninas.vary import PARTS, vary

SKELETON = Skeleton(32, 10, (8, 16), (32, 64), (1, 2))
START = preset("efficientnet", SKELETON)
BUDGET = Budget(max_params=200_000, max_flops=8e6)
FREE = UninasSpace(START, BUDGET, vary=PARTS)
FULL = UninasSpace(START, BUDGET, vary=PARTS, fill=True)

images = st.builds(
    lambda h, w, colors, stride, stages: Skeleton(
        (h * stride * 2**stages, w * stride * 2**stages), 3, (4, 8), (32,) * stages, (1,) * stages, colors, stride
    ),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 16),
    st.sampled_from([1, 2, 4]),
    st.integers(1, 2),
)


@settings(max_examples=40, deadline=None)
@given(images, st.sampled_from(PRESETS), st.integers(0, 2**32))
def test_any_image_has_exact_costs_and_forms(skeleton: Skeleton, name: str, seed: int) -> None:
    """1 to 16 channels, any sides and strides: parameters are the network's, its input the image, texts come back."""
    rng = random.Random(seed)
    space = UninasSpace(preset(name, skeleton))
    genome = space.start
    for _ in range(5):
        genome = space.mutate(genome, rng) or genome
    network = build(genome)
    assert sum(p.numel() for p in network.parameters()) == genome.params
    assert network.eval()(torch.zeros(2, *skeleton.image)).shape == (2, 3)
    assert load_genome(genome.text) == genome
    assert load_genome(genome_to_json(genome)) == genome


def test_flops_of_the_stem_follow_its_strides() -> None:
    """By hand: 18 FLOPs a value of the input and output channel at the resolution behind each convolution."""
    gray = Skeleton((8, 16), 2, (4, 6), (8,), (1,), image_channels=1, stem_stride=4)
    before, after = 4 * 8, 2 * 4
    assert gray.stem_cost(*gray.image[1:]).params == 9 * 4 + 2 * 4 + 9 * 4 * 6
    assert gray.stem_cost(*gray.image[1:]).flops == (18 * 4 + 5 * 4) * before + 18 * 4 * 6 * after
    assert gray.stage_shape(0) == (8, 1, 2)


def test_squares_have_one_form_and_version_1_stays() -> None:
    """A list of equal sides is the square; only what version 1 cannot tell is written as version 2."""
    assert Skeleton((32, 32)) == Skeleton(32)
    assert preset("resnet", SKELETON).text.startswith("uninas 1\nimage 32\nclasses 10\nstem 8 16\n")
    gray = preset("resnet", replace(SKELETON, image_channels=1, stem_stride=1))
    assert gray.text.startswith("uninas 2\nimage 1 32 32\nclasses 10\nstem 8 16 1\n")


def test_what_needs_squares_is_left_out_alone_and_named() -> None:
    """ViT on 2 x 3 positions has no relative position biases; written by hand they are refused with their rule."""
    skeleton = Skeleton((8, 12), 3, (8, 8), (32,), (1,))
    genome = preset("vit", skeleton)
    assert "attention(scores: softmax)" in genome.text
    with pytest.raises(GenomeError, match=r"relposbias cannot stand on the shape \(1, 6, 6\): it needs H = W"):
        load_genome(genome.text.replace("scores: softmax", "scores: relposbias softmax"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": (32, 30)}, r"divisible by 8.*got \(32, 30\); use \[32, 32\]|use 32"),
        ({"image_size": (8, 8, 8)}, "an image has a height and a width"),
        ({"image_channels": 17}, "16 channels at most, got 17"),
        ({"image_channels": 0}, "image_channels must be whole numbers from 1 up"),
        ({"stem_stride": 3}, "one of"),
    ],
)
def test_impossible_skeletons_are_told(changes: dict[str, object], message: str) -> None:
    """What is wrong, the rule and the value."""
    with pytest.raises(GenomeError, match=message):
        replace(SKELETON, **changes)  # type: ignore[arg-type]


def test_the_package_takes_colored_squares_alone() -> None:
    """Its form has no word for others."""
    with pytest.raises(GenomeError, match="square images of 3 channels"):
        genome_to_package(preset("resnet", replace(SKELETON, image_channels=1)))


@given(st.floats(0.5, 3), st.floats(0.5, 3), st.sampled_from(["resnet", "efficientnet"]))
def test_scaling_multiplies(depth: float, width: float, name: str) -> None:
    """A scaled preset is the preset on the scaled skeleton: topology stays."""
    genome = preset(name, SKELETON)
    scaled = scale(genome, depth, width, 64)
    assert scaled == preset(name, scaled.skeleton)
    assert scaled.skeleton.image_size == 64
    assert scaled.skeleton.depths == tuple(max(1, int(round(d * depth, 9) + 0.5)) for d in SKELETON.depths)
    assert all(
        abs(new - width * old) <= 4 for new, old in zip(scaled.skeleton.channels, SKELETON.channels, strict=True)
    )
    assert uninas_evo.scale(genome, depth, width, 64) == scaled


def test_compound_scaling_doubles_the_flops() -> None:
    """Depth 1.2, width 1.1 and resolution 1.15 for twice the FLOPs, as far as whole blocks and pixels allow."""
    genome = preset("resnet")
    for exponent in (1, 2, 3):
        assert compound(genome, exponent).flops / genome.flops == pytest.approx(2**exponent, rel=0.2)


def test_scaling_refuses_what_cannot_be() -> None:
    """Factors are positive; heads that differ hold a stage's width; other stages are other networks."""
    with pytest.raises(GenomeError, match="factors above 0"):
        scale(START, 0)
    text = preset("vit", replace(SKELETON, channels=(64, 64))).text
    differing = "attention(heads 0: q: gelu | heads 1: k: gelu)"
    heads = load_genome(text.replace("attention(scores: relposbias softmax)", differing, 1))
    assert width_steps(heads) == (0, 32)
    with pytest.raises(GenomeError, match="stage 1 cannot be widened"):
        scale(heads, width=2)
    with pytest.raises(GenomeError, match="keeps its stages"):
        on_skeleton(START, replace(SKELETON, channels=(32,), depths=(1,)))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(PARTS), st.integers(0, 2**32))
def test_steps_of_the_skeleton_change_one_part(part: str, seed: int) -> None:
    """Other parts stay, costs are those of the text, and the genome is left alone."""
    before = START.text
    child = vary(START, [part], random.Random(seed))  # type: ignore[list-item]
    assert START.text == before
    if child is None:
        return
    fields = {"width": ("stem", "channels"), "depth": ("depths",), "image": ("image_size",), "stem": ("stem_stride",)}
    same = replace(child.skeleton, **{name: getattr(SKELETON, name) for name in fields[part]})
    assert child.skeleton != same == SKELETON
    assert load_genome(child.text).cost == child.cost


def test_every_part_goes_both_ways() -> None:
    """Wider and narrower, deeper and shallower, larger and smaller, finer and coarser."""
    rng = random.Random(0)
    children = [child.skeleton for _ in range(300) if (child := vary(START, PARTS, rng))]
    for name, own in (("image_size", 32), ("stem_stride", 2), ("channels", (32, 64)), ("stem", (8, 16))):
        found = {getattr(one, name) for one in children}
        assert any(one > own for one in found)  # type: ignore[operator]
        assert any(one < own for one in found)  # type: ignore[operator]
    assert {one.depths for one in children} == {(1, 1), (1, 2), (2, 2), (1, 3)}


@pytest.mark.parametrize("space", [FREE, FULL], ids=["vary", "fill"])
def test_walks_stay_inside_and_decode(space: UninasSpace) -> None:
    """Every step and crossing ends inside the budget in a genome that the space reads."""
    rng = random.Random(0)
    genome, skeletons = space.start, set()
    for _ in range(60):
        child = space.mutate(genome, rng)
        assert child is not None
        assert child != genome
        crossed = space.crossover(child, space.start, rng)
        for one in (child, crossed):
            if one is not None:
                assert space.admits(one)
                assert space.decode(one.text).cost == one.cost
        genome = child
        skeletons.add(genome.skeleton)
    assert len(skeletons) > 2
    assert set(space.features(genome)) == set(space.features(space.start))


def _widest(genome: Genome) -> bool:
    """Whether no stage can grow by a step and stay inside."""
    skeleton, steps = genome.skeleton, width_steps(genome)
    for stage, step in enumerate(steps):
        channels = list(skeleton.channels)
        channels[stage] += step
        last = stage + 1 == len(channels)
        if step and (last or channels[stage] <= channels[stage + 1]):
            wider = on_skeleton(genome, replace(skeleton, channels=tuple(channels)))
            if BUDGET.admits(wider.cost):
                return False
    return True


def test_filled_genomes_spend_the_budget() -> None:
    """The start, the starts, samples and all children: none can be widened by a step."""
    rng = random.Random(1)
    found = [*FULL.starts(), *(FULL.sample(rng) for _ in range(5))]
    found += [child for name in FULL.variations() if (child := FULL.variations()[name](FULL.start, rng))]
    assert FULL.start.skeleton.channels > SKELETON.channels
    assert all(map(_widest, found))


def test_skeletons_that_no_step_leads_to_are_refused() -> None:
    """A space whose depths alone vary reads no other width, and none of other classes."""
    space = UninasSpace(START, BUDGET, vary=("depth",))
    assert space.decode(scale(START, depth=2).text)
    for other in (scale(START, width=0.5), on_skeleton(START, replace(SKELETON, classes=5))):
        with pytest.raises(GenomeError, match="another skeleton"):
            space.decode(other.text)


def test_a_start_that_even_filling_cannot_save_is_told() -> None:
    """As without filling."""
    with pytest.raises(BudgetError, match="must lie inside the budget"):
        UninasSpace(START, Budget(max_params=100), fill=True)
