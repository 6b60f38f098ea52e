"""Batches that several trainings share: read and augmented once, the same numbers bit for bit for all of them."""

from __future__ import annotations

import tempfile
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from uninas_evo.training.batches import Plan, Read, ReadImages, batches
from uninas_evo.training.images import ImageSet
from uninas_evo.training.pixels import Pixels

Key = tuple[int, Hashable, int, int]
"""Which images, which transform, which plans, how many: enough to tell the epochs of a process apart."""


class BatchCache:
    """Reads batches as `batches` does, and keeps the pixels of whole epochs in files that are mapped into memory.

    The files have no name: they are gone with the process, however it ends. Where there is no room for an epoch, the
    oldest ones make it; an epoch that never fits is read anew each time.

    Args:
        limit_bytes: what all files together may hold.

    Attributes:
        held_bytes: what they hold now.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self._epochs: OrderedDict[Key, tuple[Pixels, list[Tensor], ImageSet]] = OrderedDict()

    def __call__(self, read: Read, plans: list[Plan], device: torch.device, workers: int) -> Iterator[Any]:
        """The batches of plans, in their order, on a device; `workers` processes read ahead what is not there yet."""
        if not isinstance(read, ReadImages):  # other tasks' images have sizes of their own
            yield from batches(read, plans, device, workers)
            return
        key = (id(read.images), read.transform.key, hash(tuple(plans)), len(plans))
        if key in self._epochs:
            self._epochs.move_to_end(key)
            yield from self._kept(key, plans, device)
            return
        store: Pixels | None = None
        labels: list[Tensor] = []
        row = 0
        for pixels, own in batches(read, plans, torch.device("cpu"), workers):
            if not labels:
                store = self._room(sum(len(plan.indices) for plan in plans), pixels)
            if store is not None:
                store[row : row + len(pixels)] = pixels.numpy()
                row += len(pixels)
                labels.append(own)
            else:
                labels = [own]
            yield pixels.to(device, non_blocking=True), own.to(device, non_blocking=True)
        if store is not None:
            self._epochs[key] = store, labels, read.images  # the images are held, so that their id stays theirs
            self.held_bytes += store.nbytes

    def _kept(self, key: Key, plans: list[Plan], device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        store, labels, _ = self._epochs[key]
        row = 0
        for plan, own in zip(plans, labels, strict=True):
            pixels = torch.from_numpy(store[row : row + len(plan.indices)].copy())
            row += len(plan.indices)
            yield pixels.to(device, non_blocking=True), own.to(device, non_blocking=True)

    def _room(self, count: int, pixels: Tensor) -> Pixels | None:
        """A mapped array for `count` images like those of a batch; None where it cannot fit."""
        shape = (count, *pixels.shape[1:])
        kind = pixels.numpy().dtype
        size = int(np.prod(shape)) * kind.itemsize
        if size > self.limit_bytes:
            return None
        while self._epochs and self.held_bytes + size > self.limit_bytes:
            _, (oldest, _, _) = self._epochs.popitem(last=False)
            self.held_bytes -= oldest.nbytes
        file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - the map holds it open
        file.truncate(size)
        return np.memmap(file, kind, "r+", shape=shape)
