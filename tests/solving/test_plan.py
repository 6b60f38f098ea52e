"""What is decided before the clock begins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uninas_evo.errors import BudgetError, TrainingError
from uninas_evo.scoring.training import TrainScorerOptions
from uninas_evo.solving import Plan, plan_for
from uninas_evo.solving.plan import SHARES, Speed, image_of, protocol_for, reserve_s, skeletons
from uninas_evo.spaces.uninas import load_genome
from uninas_evo.training.images import ImageSet, Splits, make_splits
from uninas_evo.training.protocol import Protocol, load_protocol

SMALL = load_protocol("small")
SPEED = Speed(overhead_s=2e-4, rate=1e10)
"""About one core."""


def data(count: int, shape: tuple[int, ...] = (28, 20), classes: int = 3) -> Splits:
    """Images that no test looks at, so that one is all of them."""
    images = np.broadcast_to(np.zeros(shape, np.uint8), (count, *shape))
    part = ImageSet(images, np.arange(count, dtype=np.int64) % classes)
    return make_splits(part, part, None, (), 0.1)


def plan(splits: Splits, hours: float, **options: object) -> Plan:
    protocol = protocol_for(SMALL, len(splits.train))
    return plan_for(splits, protocol, SPEED, hours, **({"workers": 2} | options))  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(st.integers(8, 300), st.integers(8, 300), st.integers(1, 16), st.integers(2, 50), st.integers(0, 2**32))
def test_any_image_has_skeletons(height: int, width: int, channels: int, classes: int, seed: int) -> None:
    """Close to the image's own sides, never above 224, gray stays gray, and the narrowest stem is always there."""
    found = list(skeletons((channels, height, width), classes, seed % 10**8))
    first = found[0]
    assert first.image[0] == channels
    assert first.classes == classes
    whole = min(1, 224 / max(height, width))
    for own, given_ in zip(first.image[1:], (height, width), strict=True):
        assert abs(own - whole * given_) <= max(first.stride / 2, first.stride - whole * given_)
    areas = [one.image[1] * one.image[2] for one in found]
    assert areas == sorted(areas, reverse=True)


def test_gray_images_among_colored_ones_are_colors() -> None:
    """As the network reads them; the sides are the medians."""
    images = [np.zeros((20, 28), np.uint8), np.zeros((20, 28, 3), np.uint8), np.zeros((90, 28, 3), np.uint8)]
    part = ImageSet(_Items(images), np.arange(3) % 2)
    assert image_of(Splits(part, part, part, ("a", "b"))) == (3, 20, 28)


class _Items:
    """A dataset whose items are asked for one by one."""

    def __init__(self, items: list[np.ndarray]) -> None:
        self.items = items

    def __getitem__(self, index: int) -> np.ndarray:
        return self.items[index]


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([90, 600, 5_000, 60_000]),
    st.sampled_from([(8, 8), (28, 20), (32, 32, 3), (64, 48, 5)]),
    st.sampled_from([0.5, 2, 24]),
    st.integers(1, 16),
    st.sampled_from([None, 30e3, 1e6]),
)
def test_plans_are_possible(count: int, shape: tuple[int, ...], hours: float, workers: int, most: float | None) -> None:
    """Presets lie inside the bounds and can be built for the data; fidelities rise; shares and reserve fit."""
    splits = data(count, shape)
    try:
        found = plan(splits, hours, workers=workers, max_params=most)
    except TrainingError as error:
        assert "too short" in str(error)  # noqa: PT017 - half an hour is little for 60,000 large images
        return
    for text in found.presets.values():
        genome = load_genome(text)
        assert genome.params <= (most or 1e6)
        assert genome.flops <= found.max_flops
        assert genome.skeleton.classes == 3
    TrainScorerOptions(data="x", fidelities=found.fidelities)
    protocol = Protocol.model_validate(found.protocol)
    first = found.fidelities[0]
    assert first["epochs"] * (first["images"] or len(splits.train)) >= 16 * protocol.batch_size
    assert protocol.batch_size <= len(splits.train)
    assert sum(SHARES.values()) * 3600 * hours + reserve_s(3600 * hours) <= 3600 * hours + 20
    assert 1 <= found.finalist_seeds <= 5
    assert 1 <= found.seeds <= max(1, workers // 2)
    assert Plan(**found.content()) == found


def test_bounds_that_are_given_hold_and_more_time_buys_more() -> None:
    """The FLOPs follow the clock unless they are bounded; the parameters are a million unless they are."""
    splits = data(54_000, (32, 32))
    short, long = plan(splits, 0.5), plan(splits, 5)
    assert short.max_flops < long.max_flops
    assert plan(splits, 5, max_flops=2e6).max_flops == 2e6
    assert long.max_params == 1e6
    assert short.fidelities[0]["images"] < long.fidelities[0]["images"] or long.max_flops > 2 * short.max_flops


def test_too_little_time_is_told_with_what_is_needed() -> None:
    """And with that much it goes."""
    splits = data(54_000, (32, 32))
    with pytest.raises(TrainingError, match=r"36 s are too short for 4\d,\d+ training images.*give --hours") as error:
        plan(splits, 0.01)
    needed = float(str(error.value).split("--hours ")[1].split()[0])
    assert plan(splits, needed).presets


def test_bounds_that_nothing_fits_are_told() -> None:
    """Before anything is trained."""
    with pytest.raises(BudgetError, match="no preset fits at most 50 parameters"):
        plan(data(600), 1, max_params=50)


def test_small_data_has_smaller_batches_and_more_validation() -> None:
    """Large data keeps the protocol as it is."""
    assert protocol_for(SMALL, 50_000) == SMALL
    few = protocol_for(SMALL, 100)
    assert (few.val_fraction, few.batch_size) == (0.2, 8)
    assert protocol_for(SMALL, 5).batch_size == 2


def test_what_needs_squares_is_named() -> None:
    """And nothing is said where images are squares."""
    assert any("relposbias" in line for line in plan(data(600, (28, 20)), 1).lines)
    assert not any("relposbias" in line for line in plan(data(600, (32, 32)), 1).lines)


def test_stems_leave_the_flops_to_the_stages() -> None:
    """A fifth at most, or the narrowest."""
    for most in (1e5, 1e6, 1e7, 1e8):
        one = next(skeletons((3, 64, 64), 10, most))
        assert one.stem == (8, 16) or one.stem_cost(*one.image[1:]).flops <= 0.2 * most
        assert replace(one, stem=(8, 16)).stem_cost(*one.image[1:]).flops <= one.stem_cost(*one.image[1:]).flops
