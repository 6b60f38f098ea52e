"""The images that shared weights are trained and scored with, held in memory; every order is a function of its key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from uninas_evo.errors import DataError
from uninas_evo.training.images import ImageSet, Splits, check
from uninas_evo.training.pixels import Pixels
from uninas_evo.training.randomness import seed_of
from uninas_evo.training.readers import read_splits

MEAN, DEVIATION = 127.5, 127.5
"""Pixels 0..255 become -1..1, as in the training protocols."""


@dataclass(frozen=True)
class Part:
    """T images uint8 (T, 3, H, W) and labels (T,)."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: Tensor, device: str, mirrored: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Floats (N, 3, H, W) and labels (N,) of some images, those marked in `mirrored` flipped left to right."""
        images = self.pixels[indices].to(device).float().sub_(MEAN).div_(DEVIATION)
        if mirrored is not None:
            images = torch.where(mirrored.to(device).view(-1, 1, 1, 1), images.flip(3), images)
        return images, self.labels[indices].to(device)


@dataclass(frozen=True)
class SharedData:
    """What weights and what policies learn from, and what genomes are scored on; the test part is never read.

    Attributes:
        weights: trains the weights.
        policy: trains the distribution over architectures; empty for learners without one.
        validation: scores genomes.
        classes: the names of the labels.
    """

    weights: Part
    policy: Part
    validation: Part
    classes: tuple[str, ...]


def read_data(
    path: str | Path, size: int, classes: int, *, images: int, share: float, batch: int, seed: int
) -> SharedData:
    """Reads a data set as `uninas-evo train` does and splits its training part.

    Args:
        path: a folder or file.
        size: pixels of a side that images are brought to.
        classes: K of the networks.
        images: how many training images are used, drawn by the seed; 0 for all.
        share: of the training images, for the policy.
        batch: images a step, of which each part that is used needs one batch.
        seed: of the draw.

    Raises:
        DataError: the data is missing, has other classes, or too few images for the split.
    """
    splits: Splits = read_splits(path, 0.1)
    check(splits, classes)
    generator = torch.Generator().manual_seed(seed_of(seed, 0) % 2**63)
    order = torch.randperm(len(splits.train), generator=generator)[: images or None]
    held = int(share * len(order))
    if len(order) - held < batch or (share and held < batch):
        raise DataError(
            f"the training part has {len(order)} images, of which {held} are for the policy: each part needs a batch "
            f"of {batch}; lower problem.supernet.batch_size or give more images"
        )
    weights, policy = (_part(splits.train, chosen, size) for chosen in (order[held:], order[:held]))
    return SharedData(weights, policy, _part(splits.val, torch.arange(len(splits.val)), size), tuple(splits.classes))


def _part(images: ImageSet, indices: Tensor, size: int) -> Part:
    pixels = np.zeros((len(indices), size, size, 3), np.uint8)
    for row, index in enumerate(indices.tolist()):
        pixels[row] = _resized(images.read(index), size)
    labels = torch.from_numpy(images.labels[indices.numpy()])
    return Part(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), labels)


def _resized(pixels: Pixels, size: int) -> Pixels:
    """An image (H, W, C) as (size, size, 3); gray ones are repeated."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels[..., :3]).convert("RGB")
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image)


def batch_indices(count: int, batch: int, step: int, *key: int) -> Tensor:
    """The images of a step: each pass over all has an order of its own, an incomplete last batch is dropped."""
    turn, place = divmod(step, count // batch)
    order = torch.randperm(count, generator=generator_of(*key, turn))
    return order[place * batch : (place + 1) * batch]


def generator_of(*key: int) -> torch.Generator:
    """A generator for one purpose at one step."""
    return torch.Generator().manual_seed(seed_of(*key) % 2**63)
