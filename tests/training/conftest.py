"""Tiny data, networks and protocols: a training takes about a second."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from uninas_evo.training.images import ImageSet, Splits, make_splits
from uninas_evo.training.protocol import Protocol

CLASSES = 3


def blobs(count: int, seed: int, size: int = 16) -> ImageSet:
    """Noise, brighter in the rows of the class: learnt within an epoch or two."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % CLASSES
    images = rng.integers(0, 120, (count, size, size, 3), dtype=np.uint8)
    for i, label in enumerate(labels):
        images[i, 5 * label : 5 * label + 5] += 120
    return ImageSet(images, labels)


@pytest.fixture
def splits() -> Splits:
    return make_splits(blobs(120, 0), blobs(30, 1), None, ("a", "b", "c"), 0.2)


@pytest.fixture
def protocol() -> Protocol:
    return Protocol(
        epochs=3, batch_size=16, lr=3e-3, warmup_epochs=1, clip_grad=1.0, ema_decay=0.5, ema_warmup=True,
        mixup=0.2, cutmix=1.0, label_smoothing=0.1, drop_path=0.2, scale=(0.8, 1.0), hflip=0.5,
        auto_augment="rand-m5-n1",
    )  # fmt: skip


class TinyNet(nn.Module):
    """Two convolutions with drop path, which draws from the global generator as real networks do."""

    def __init__(self, classes: int = CLASSES, batch_norm: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 2, 1)
        self.norm = nn.BatchNorm2d(8) if batch_norm else nn.Identity()
        self.conv2 = nn.Conv2d(8, 8, 3, 1, 1)
        self.head = nn.Linear(8, classes)
        self.rate = 0.0

    def set_drop_path(self, rate: float) -> None:
        self.rate = rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.conv1(x)))
        branch = self.conv2(x)
        if self.training and self.rate:
            branch = branch * (torch.rand(len(x), 1, 1, 1) >= self.rate)
        y: torch.Tensor = self.head((x + branch).amax(3).mean(2))
        return y


@pytest.fixture
def make_net() -> Callable[..., nn.Module]:
    def make(**options: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return TinyNet(**options)

    return make
