"""Proxies as a scorer: what they are shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from uninas_evo.contracts import Budget
from uninas_evo.errors import DataError
from uninas_evo.problems.uninas import UninasOptions, UninasProblem
from uninas_evo.scoring.proxy import pictures
from uninas_evo.spaces.uninas import Skeleton, UninasSpace, preset

SKELETON = Skeleton(image_size=16, classes=4, stem=(8, 8), channels=(32,), depths=(1,))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Thirty gray images of four classes."""
    images = np.random.default_rng(0).integers(0, 256, (30, 16, 16), dtype=np.uint8)
    labels = np.arange(30) % 4
    np.savez(tmp_path / "data.npz", x_train=images, y_train=labels, x_test=images[:8], y_test=labels[:8])
    return tmp_path / "data.npz"


def problem(**options: object) -> UninasProblem:
    space = UninasSpace(preset("efficientnet", SKELETON), Budget())
    return UninasProblem(space, ["snip", "naswot"], batch=8, **options)  # type: ignore[arg-type]


def test_proxies_see_the_users_images(data: Path) -> None:
    """Normalized and in the network's size; equal problems give equal values, and the data is part of the identity."""
    genome = problem().space.start
    noise, real = (one.evaluate(genome, "cpu") for one in (problem(), problem(proxy_images=data)))
    assert real == problem(proxy_images=data).evaluate(genome, "cpu")
    assert all(real[name] != noise[name] for name in ("snip", "naswot"))
    assert set(problem(proxy_images=data).sources) == {data}
    assert problem().sources == ()
    found = pictures(str(data), (3, 16, 16))
    assert found.images.shape == (len(found.labels), 3, 16, 16)
    assert abs(float(found.images.mean())) < 2
    with pytest.raises(DataError, match="there is no data at"):
        problem(proxy_images="nothing").evaluate(genome, "cpu")


def test_norms_are_calibrated_where_that_is_asked() -> None:
    """In the run file as in Python; without it the values are as ever."""
    genome = problem().space.start
    plain, calibrated = (problem(calibrated_norms=one).evaluate(genome, "cpu") for one in (False, True))
    assert plain == problem().evaluate(genome, "cpu")
    assert plain["snip"] != calibrated["snip"]
    options = UninasOptions(
        skeleton=SKELETON, start="efficientnet", objectives=["snip"], batch=8, calibrated_norms=True
    )
    assert UninasProblem.from_options(options, 0).evaluate(genome, "cpu")["snip"] == calibrated["snip"]
