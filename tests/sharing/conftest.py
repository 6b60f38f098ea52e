"""A tiny data set of two kinds of squares, and tiny supernets."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="session")
def squares(tmp_path_factory):
    """96 training and 24 test images of 8 x 8 in three classes that colors tell apart."""
    rng = np.random.default_rng(0)

    def part(count):
        labels = np.arange(count) % 3
        images = rng.integers(0, 120, (count, 8, 8, 3), dtype=np.uint8)
        for index, label in enumerate(labels):
            images[index, :, :, label] += 100
        return images, labels

    path = tmp_path_factory.mktemp("data") / "squares.npz"
    (x, y), (a, b) = part(96), part(24)
    np.savez(path, x_train=x, y_train=y, x_test=a, y_test=b)
    return path
