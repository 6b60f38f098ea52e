"""Mean IoU of a part is that of one confusion matrix, counted pixel by pixel over all of its images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from uninas_evo.training.process import Process
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.tasks.segmentation import Segmentation
from uninas_evo.training.tasks.task import Setting

CLASSES, IGNORED = 4, 255


class Reads(nn.Module):
    """Tells the class that an image's red shows: a network whose predictions are known."""

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) of pixels 40 k for class k to logits (N, K, H, W)."""
        shown = (images[:, 0] * 255 / 40).round().long().clamp(0, CLASSES - 1)
        return nn.functional.one_hot(shown, CLASSES).movedim(-1, 1).float()


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, list[tuple[np.ndarray, np.ndarray]]]:
    """Images of several sizes whose red is a prediction, and masks, some of whose pixels are ignored."""
    rng, found = np.random.default_rng(0), []
    for part in ("train", "val"):
        for folder in ("images", "annotations"):
            (tmp_path / folder / part).mkdir(parents=True)
        for number, size in enumerate([(32, 48), (32, 32), (32, 40)]):
            truth = rng.integers(0, CLASSES - 1, size).astype(np.uint8)  # the last class is found, and never there
            truth[0, :CLASSES] = range(CLASSES) if part == "train" else 0
            predicted = np.where(rng.random(size) < 0.6, truth, rng.integers(0, CLASSES, size)).astype(np.uint8)
            truth[rng.random(size) < 0.1] = IGNORED
            pixels = np.repeat(40 * predicted[..., None], 3, axis=2)
            Image.fromarray(pixels).save(tmp_path / "images" / part / f"{number}.png")
            Image.fromarray(truth).save(tmp_path / "annotations" / part / f"{number}.png")
            if part == "val":
                found.append((truth, predicted))
    return tmp_path, found


def test_mean_iou_is_that_of_the_confusion_matrix(data: tuple[Path, list[tuple[np.ndarray, np.ndarray]]]) -> None:
    """Pixels that are ignored do not count, a class that is only found counts as 0, and no image by itself."""
    folder, pairs = data
    protocol = Protocol(
        task="segmentation", epochs=1, batch_size=2, lr=0.1, image_size=32, mean=(0.0,), std=(1.0,), val_fraction=0.3
    )
    read = Segmentation.read(folder, protocol)
    task = Segmentation(read, Setting(protocol, (3, 32, 32), Process(torch.device("cpu"))))
    confusion = np.zeros((CLASSES, CLASSES), int)
    for truth, predicted in pairs:
        for is_there, found in zip(truth.ravel(), predicted.ravel(), strict=True):
            if is_there != IGNORED:
                confusion[is_there, found] += 1
    own = [confusion[k, k] / (confusion[k].sum() + confusion[:, k].sum() - confusion[k, k]) for k in range(CLASSES)]
    measured = task.test(Reads())
    assert own[-1] == 0
    assert measured["miou"] == pytest.approx(np.mean(own), abs=1e-12)
    assert measured["pixel_accuracy"] == pytest.approx(np.trace(confusion) / confusion.sum(), abs=1e-12)
