"""Labelled images: sets, the three parts of a data set, and the checks before the first epoch."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from uninas_evo.errors import DataError

Labels = npt.NDArray[np.int64]

SPLIT_SEED = 0
"""The validation split is the same for every network and seed, so that comparisons are paired."""
DECODED = 5_000
"""Up to so many files are decoded in the check before training (seconds); of more, headers alone are read."""


@dataclass(frozen=True)
class ImageSet:
    """T labeled images.

    Attributes:
        images: an array (T, H, W) or (T, H, W, 3) of uint8, a list of paths, or anything whose items are uint8
            arrays or PIL images.
        labels: (T,), classes counted from 0.
    """

    images: Any
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def open(self, index: int) -> Image.Image:
        """The decoded RGB image.

        Raises:
            DataError: the file is missing or broken.
        """
        item = self.images[index]
        try:
            if isinstance(item, np.ndarray):
                item = Image.fromarray(item.squeeze())
            return (item if isinstance(item, Image.Image) else Image.open(item)).convert("RGB")
        except (OSError, SyntaxError, ValueError, TypeError) as error:
            name = str(item) if isinstance(item, str | Path) else f"number {index}"
            raise DataError(f"image {name} cannot be read: {error}; replace or remove it") from error

    def subset(self, indices: npt.NDArray[np.int64]) -> ImageSet:
        """The images of some indices, in their order."""
        images = self.images
        if isinstance(images, np.ndarray):
            return ImageSet(images[indices], self.labels[indices])
        chosen = [images[i] for i in indices] if isinstance(images, list) else _Chosen(images, indices)
        return ImageSet(chosen, self.labels[indices])


@dataclass(frozen=True)
class _Chosen:
    """Some items of a sequence, read when asked for."""

    items: Any
    indices: npt.NDArray[np.int64]

    def __getitem__(self, index: int) -> Any:
        return self.items[int(self.indices[index])]


@dataclass(frozen=True)
class _Inputs:
    """The images of a torchvision-style dataset of (image, label) pairs."""

    dataset: Any

    def __getitem__(self, index: int) -> Any:
        return self.dataset[index][0]


@dataclass(frozen=True)
class Splits:
    """The three parts of a data set and the names of its K classes."""

    train: ImageSet
    val: ImageSet
    test: ImageSet
    classes: tuple[str, ...]


def from_datasets(
    train: Any, test: Any, val: Any = None, classes: Sequence[str] = (), val_fraction: float = 0.1
) -> Splits:
    """Splits of torchvision-style datasets: `dataset[i]` is (PIL image or uint8 array, label).

    Labels are taken from `targets` or `labels` where the dataset has them, else by reading every item once.
    """
    sets = [ImageSet(_Inputs(d), _labels_of(d)) for d in (train, test, val) if d is not None]
    names = classes or getattr(train, "classes", ())
    return make_splits(sets[0], sets[1], sets[2] if val is not None else None, names, val_fraction)


def make_splits(
    train: ImageSet, test: ImageSet, val: ImageSet | None, classes: Sequence[str], val_fraction: float
) -> Splits:
    """Joins parts; without a validation part, splits one off the training part, class by class."""
    count = 1 + max(int(s.labels.max(initial=-1)) for s in (train, test))
    names = tuple(classes) or tuple(map(str, range(count)))
    if val is None:
        held_out = _stratified(train.labels, val_fraction)
        train, val = train.subset(np.flatnonzero(~held_out)), train.subset(np.flatnonzero(held_out))
    return Splits(train, val, test, names)


def check(splits: Splits, classes: int) -> None:
    """Finds what would spoil the training, before it starts.

    Raises:
        DataError: the classes are not as many as the network's, a class has no training image, a label is out
            of range, a part is empty, or an image cannot be read.
    """
    if len(splits.classes) != classes:
        raise DataError(
            f"the data has {len(splits.classes)} classes and the network {classes}: they must be equal; "
            f"use a network whose skeleton has classes = {len(splits.classes)}"
        )
    for part, images in (("training", splits.train), ("validation", splits.val), ("test", splits.test)):
        labels = images.labels
        if not len(labels):
            raise DataError(f"the {part} part has no images; give it at least one of every class")
        if labels.min() < 0 or labels.max() >= classes:
            wrong = labels[(labels < 0) | (labels >= classes)][0]
            raise DataError(
                f"the {part} part has the label {wrong}: labels must lie in 0..{classes - 1}; fix the labels"
            )
    counts = np.bincount(splits.train.labels, minlength=classes)
    if not counts.all():
        empty = ", ".join(splits.classes[i] for i in np.flatnonzero(counts == 0)[:10])
        raise DataError(f"these classes have no training images: {empty}; add images or remove the classes")
    for images in (splits.train, splits.val, splits.test):
        _check_files(images)


def _check_files(images: ImageSet) -> None:
    """Opens every image that is a file; where they are few, decodes them."""
    if not isinstance(images.images, list):
        return
    decode = len(images) <= DECODED

    def readable(index: int) -> None:
        if decode:
            images.open(index)
            return
        try:
            Image.open(images.images[index]).close()
        except (OSError, SyntaxError) as error:
            raise DataError(f"image {images.images[index]} cannot be read: {error}; replace or remove it") from error

    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(readable, range(len(images))):
            pass


def _stratified(labels: Labels, fraction: float) -> npt.NDArray[np.bool_]:
    """Marks a fraction of every class, drawn with `SPLIT_SEED`; at least one, but never all of a class."""
    rng = np.random.default_rng(SPLIT_SEED)
    marked = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(max(round(fraction * len(members)), 1), len(members) - 1)
        marked[rng.permutation(members)[:count]] = True
    return marked


def _labels_of(dataset: Any) -> Labels:
    for name in ("targets", "labels"):
        if hasattr(dataset, name):
            return np.asarray(getattr(dataset, name), dtype=np.int64).reshape(-1)
    return np.asarray([int(dataset[i][1]) for i in range(len(dataset))], dtype=np.int64)
