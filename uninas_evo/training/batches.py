"""Batches of an epoch: the order and every augmentation are functions of (seed, epoch, step), not of the workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map
from torch.utils.data import DataLoader, Dataset

from uninas_evo.training.images import ImageSet
from uninas_evo.training.randomness import seed_of, seeded
from uninas_evo.training.transforms import Transform, per_channel

EVAL_BATCH = 256
"""Images a batch in evaluation, where no gradients take memory."""


@dataclass(frozen=True)
class Plan:
    """One batch to be read: the key of its randomness and the indices of its images."""

    key: tuple[int, ...]
    indices: tuple[int, ...]


def training_plans(
    count: int, batch_size: int, seed: int, epoch: int, rank: int = 0, world: int = 1, repeats: int = 1
) -> list[Plan]:
    """The batches of an epoch over `count` images in random order, those that do not fill a batch left out.

    Every process gets each `world`-th image of each batch. With `repeats`, an image is in its batch so many times, and
    an epoch has as many steps and sees fewer images (repeated augmentation, Hoffer et al., CVPR 2020).
    """
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed_of(seed, epoch) % 2**63))
    order = order.repeat_interleave(repeats)[:count]
    steps = order[: count - count % batch_size].view(-1, batch_size)[:, rank::world].tolist()
    return [Plan((seed, epoch, step, rank), tuple(indices)) for step, indices in enumerate(steps)]


def eval_plans(count: int, rank: int = 0, world: int = 1, batch_size: int = EVAL_BATCH) -> list[Plan]:
    """Batches over all images in their order, shared out over the processes."""
    indices = range(rank, count, world)
    return [Plan((0,), tuple(indices[i : i + batch_size])) for i in range(0, len(indices), batch_size)]


Read = Callable[[Plan], Any]
"""Reads one batch onto the CPU: tensors, in tuples, lists and dictionaries. Pickled where processes read ahead."""


@dataclass(frozen=True)
class ReadImages:
    """Reads batches of images for a network: uint8 (N, C, H, W) and labels (N,)."""

    images: ImageSet
    transform: Transform

    def __call__(self, plan: Plan) -> tuple[Tensor, Tensor]:
        """The pixels and labels of a plan."""
        batch: list[Any] = [self.transform(self.images.read(i)) for i in plan.indices]
        return torch.from_numpy(np.stack(batch)), torch.from_numpy(self.images.labels[list(plan.indices)])


class _Reader(Dataset[Any]):
    """Reads whole batches, so that the seed is set once a batch."""

    def __init__(self, read: Read) -> None:
        self.read = read

    def __getitem__(self, plan: Plan) -> Any:
        with seeded(*plan.key):
            return self.read(plan)


def batches(read: Read, plans: list[Plan], device: torch.device, workers: int) -> Iterator[Any]:
    """Reads the batches of plans, in their order, onto a device; `workers` processes read ahead (0: none)."""
    loader: DataLoader[Any] = DataLoader(
        _Reader(read),
        sampler=plans,
        batch_size=None,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        generator=torch.Generator(),  # else the loader would draw from the global one
    )
    for batch in loader:
        yield moved(batch, device)


def moved(batch: Any, device: torch.device) -> Any:
    """A batch with its tensors on a device."""
    return tree_map(lambda one: one.to(device, non_blocking=True) if isinstance(one, Tensor) else one, batch)


Reader = Callable[[Read, list[Plan], torch.device, int], Iterator[Any]]
"""Reads batches as `batches` does."""


class Normalize:
    """Turns uint8 pixels (N, C, H, W) into floats of zero mean and unit deviation on their device.

    Args:
        mean: of pixels from 0 to 1, for each channel or for all.
        std: their deviation.
        device: where the pixels are.
        channels_last: the memory layout of the floats.
        channels: C.
    """

    def __init__(
        self,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        device: torch.device,
        channels_last: bool,
        channels: int = 3,
    ) -> None:
        self.mean = torch.tensor([255 * m for m in per_channel(mean, channels)], device=device).view(1, -1, 1, 1)
        self.std = torch.tensor([255 * s for s in per_channel(std, channels)], device=device).view(1, -1, 1, 1)
        self.layout = torch.channels_last if channels_last else torch.contiguous_format

    def __call__(self, pixels: Tensor) -> Tensor:
        """Floats (N, C, H, W) in the chosen memory layout."""
        return pixels.to(torch.float32, memory_format=self.layout).sub_(self.mean).div_(self.std)
