"""Labeled images: sets, and the three parts of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from uninas_evo.errors import DataError
from uninas_evo.training.check import Survey, check, survey
from uninas_evo.training.labels import Kind, Labels, Targets, class_names, labels_of
from uninas_evo.training.pixels import Pixels, decode, shown

__all__ = ["ImageSet", "Labels", "Splits", "check", "from_datasets", "make_splits"]

SPLIT_SEED = 0
"""The validation split is the same for every network and seed, so that comparisons are paired."""


@dataclass(frozen=True)
class ImageSet:
    """T labeled images.

    Attributes:
        images: an array (T, H, W) or (T, H, W, C) of uint8, a list of paths, or anything whose items are uint8
            arrays or PIL images.
        labels: (T,), classes counted from 0; or tags or numbers (T, K).
    """

    images: Any
    labels: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, index: int) -> Pixels:
        """The pixels (H, W, C) of an image.

        Raises:
            DataError: the file is missing, broken, or of a kind that is not read.
        """
        return decode(self.item(index), self.name(index))[0]

    def item(self, index: int) -> Any:
        """An image as the source gives it.

        Raises:
            DataError: the source fails.
        """
        try:
            return self.images[index]
        except DataError:
            raise
        except Exception as error:  # a foreign dataset raises what it likes
            reason = f"{type(error).__name__}: {error}"[:200]
            raise DataError(
                f"{self.name(index)} cannot be taken from its dataset ({shown(reason)}): items must be pairs (image, "
                "label); fix the dataset"
            ) from error

    def name(self, index: int) -> str:
        """What an image is called in messages."""
        return f"image {shown(self.images[index])}" if self.files else f"image number {index}"

    @property
    def files(self) -> bool:
        """Whether the images are paths."""
        return isinstance(self.images, list) and bool(self.images) and isinstance(self.images[0], str | Path)

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
class Splits:
    """The three parts of a data set.

    Attributes:
        classes: the names of the K classes, tags or numbers.
        notes: what of the source is left out or was decided on reading, a line each.
    """

    train: ImageSet
    val: ImageSet
    test: ImageSet
    classes: tuple[str, ...]
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def parts(self) -> dict[str, ImageSet]:
        """The parts by the names that messages use."""
        return {"training": self.train, "validation": self.val, "test": self.test}

    @cached_property
    def survey(self) -> Survey:
        """Sizes, channels and notes of all images, which are opened once for it.

        Raises:
            DataError: an image cannot be read.
        """
        return survey(self.parts.values())


@dataclass(frozen=True)
class _Inputs:
    """The images of a torchvision-style dataset of (image, label) pairs."""

    dataset: Any

    def __getitem__(self, index: int) -> Any:
        return self.dataset[index][0]


def from_datasets(
    train: Any,
    test: Any,
    val: Any = None,
    classes: Sequence[str] = (),
    val_fraction: float = 0.1,
    kind: Kind = "classes",
) -> Splits:
    """Splits of torchvision-style datasets: `dataset[i]` is (PIL image or uint8 array, label).

    Labels are taken from `targets` or `labels` where the dataset has them, else by reading every item once. They are
    of a kind: classes, or for multilabel and regression rows of tags or numbers.

    Raises:
        DataError: a dataset has no length, its items are no pairs, or its labels are wrong.
    """
    given = {"training": train, "test": test, "validation": val}
    sets = {part: _of_dataset(dataset, part, kind) for part, dataset in given.items() if dataset is not None}
    names = classes or getattr(train, "classes", None) or ()
    return make_splits(sets["training"], sets["test"], sets.get("validation"), names, val_fraction)


def make_splits(
    train: ImageSet,
    test: ImageSet,
    val: ImageSet | None,
    classes: Sequence[str],
    val_fraction: float,
    notes: Sequence[str] = (),
) -> Splits:
    """Joins parts; without a validation part, splits one off the training part, class by class.

    Raises:
        DataError: the training labels are not counted from 0 without gaps.
    """
    names = class_names(train.labels, classes)
    if val is None:
        held_out = stratified(train.labels, val_fraction)
        train, val = train.subset(np.flatnonzero(~held_out)), train.subset(np.flatnonzero(held_out))
    return Splits(train, val, test, names, tuple(notes))


def stratified(labels: Labels | Targets, fraction: float) -> npt.NDArray[np.bool_]:
    """Marks a fraction of every class, drawn with `SPLIT_SEED`; at least one, but never all of a class.

    Images with tags or numbers are one class.
    """
    rng = np.random.default_rng(SPLIT_SEED)
    labels = labels if labels.ndim == 1 else np.zeros(len(labels), np.int64)
    marked = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(max(round(fraction * len(members)), 1), len(members) - 1)
        marked[rng.permutation(members)[:count]] = True
    return marked


def _of_dataset(dataset: Any, part: str, kind: Kind) -> ImageSet:
    try:
        count = len(dataset)
    except Exception as error:  # a foreign dataset raises what it likes
        raise DataError(f"the {part} dataset has no length ({error}); give one with items by number") from error
    stated = _stated_labels(dataset)
    if stated is None:
        read = [_label(dataset, i, part) for i in range(count)]
        return ImageSet(_Inputs(dataset), labels_of(kind, read, count, part))
    labels = labels_of(kind, stated, count, part)
    for i in {0, count // 2, count - 1} if count else ():
        item = labels_of(kind, [_label(dataset, i, part)], 1, part)[0]
        if not np.array_equal(item, labels[i]):
            raise DataError(
                f"item {i} of the {part} dataset has the label {item} and its list of labels {labels[i]}: they must "
                "be equal; remove target_transform or correct the list"
            )
    return ImageSet(_Inputs(dataset), labels)


def _stated_labels(dataset: Any) -> Any:
    return next((v for name in ("targets", "labels") if (v := getattr(dataset, name, None)) is not None), None)


def _label(dataset: Any, index: int, part: str) -> Any:
    try:
        item = dataset[index]
        if isinstance(item, Mapping | str):
            raise TypeError(f"it is a {type(item).__name__}")
        _, label = item
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"item {index} of the {part} dataset is no pair (image, label) ({type(error).__name__}: {error}); "
            "give pairs, such as torchvision's datasets hold"
        ) from error
    return label.item() if getattr(label, "ndim", None) == 0 and hasattr(label, "item") else label
