"""Scenes of made-up garments, tiny networks and protocols: a training takes seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from uninas_evo.spaces.uninas import Genome, Skeleton, preset
from uninas_evo.training.protocol import Protocol, load_protocol
from uninas_evo.training.tasks.scenes import write_scenes

SKELETON = Skeleton(image_size=32, classes=10, stem=(8, 8), channels=(16, 16, 32), depths=(1, 1, 1))


def garments(path: Path) -> Path:
    """An .npz file of ten classes, told apart by how wide, high and bright they are."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 10
    images = np.zeros((60, 28, 28), np.uint8)
    for image, label in zip(images, labels, strict=True):
        high, wide = 8 + 4 * (label % 5), 12 + 10 * (label // 5)
        image[14 - high // 2 : 14 + high // 2, 14 - wide // 2 : 14 + wide // 2] = 120 + rng.integers(0, 120)
    np.savez(path, x_train=images, y_train=labels, x_test=images[:20], y_test=labels[:20])
    return path


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 scenes to train on and 6 to test on, in COCO's and ADE20K's format; not to be changed."""
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(garments(folder / "g.npz"), folder / "s", 0, {"train": 40, "test": 6}, lambda line: None)
    return folder / "s"


@pytest.fixture
def genome() -> Genome:
    return preset("resnet", SKELETON)


@pytest.fixture
def detection() -> Protocol:
    """The small protocol, smaller: two epochs of few images, 64 px, narrow heads."""
    return load_protocol("detection-small").replace(
        epochs=2, batch_size=4, warmup_steps=2, image_size=64, val_fraction=0.1, lr=1e-3,
        detection={"width": 16, "hidden": 32, "proposals": 30, "anchors_sampled": 32, "proposals_sampled": 16},
    )  # fmt: skip


@pytest.fixture
def segmentation() -> Protocol:
    return load_protocol("segmentation-small").replace(
        epochs=2, batch_size=4, warmup_steps=2, image_size=64, val_fraction=0.1, segmentation={"width": 16}
    )
