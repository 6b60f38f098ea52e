"""The examples of other tasks run, tiny, and learn."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import pytest
import torch

import uninas_evo
from uninas_evo.training.formats import save_weights

FOLDER = Path(__file__).parents[2] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A folder as a training leaves it, of a network with attention made for 64 px."""
    skeleton = uninas_evo.Skeleton(64, 10, (8, 8), (32, 32, 32, 32), (1, 1, 1, 1))
    save_weights(uninas_evo.build(uninas_evo.preset("coatnet", skeleton)), tmp_path)
    return str(tmp_path)


def test_mask_rcnn_learns_an_image(folder: str) -> None:
    """Mask R-CNN on our stage maps, at twice the skeleton's size: five losses in one, all falling."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        losses = example("detection").main(folder, size=128, steps=6, width=16)
    assert all(map(math.isfinite, losses))
    assert losses[-1] < 0.9 * losses[0]


def test_detector_gives_boxes_and_masks() -> None:
    """In evaluation it returns boxes, scores and masks at the image's size, which need not be square."""
    detection = example("detection")
    skeleton = uninas_evo.Skeleton(64, 10, (8, 8), (32, 32, 32, 32), (1, 1, 1, 1))
    network = uninas_evo.build(uninas_evo.preset("resnet", skeleton))
    pyramid = detection.Pyramid(network, 16)(torch.rand(1, 3, 96, 128))
    assert {k: tuple(m.shape[1:]) for k, m in pyramid.items()} == {
        "0": (16, 24, 32), "1": (16, 12, 16), "2": (16, 6, 8), "3": (16, 3, 4), "pool": (16, 2, 2)
    }  # fmt: skip
    model = detection.detector(network, classes=2, size=96, width=16).eval()
    with torch.no_grad():
        (found,) = model([torch.rand(3, 96, 120)])
    assert {"boxes", "labels", "scores", "masks"} == found.keys()
    assert found["masks"].shape[1:] == (1, 96, 120)


def test_upernet_learns_an_image(folder: str) -> None:
    """Logits have the size of an image that is neither square nor the skeleton's, and the loss falls."""
    segmentation = example("segmentation")
    network = uninas_evo.load(folder)
    assert segmentation.UperNet(network, 5, width=16)(torch.rand(2, 3, 64, 96)).shape == (2, 5, 64, 96)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        losses = segmentation.main(folder, steps=8)
    assert losses[-1] < 0.7 * losses[0]
