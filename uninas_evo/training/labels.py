"""Labels of images, found right before anything is made from them.

They are of three kinds: a class (a whole number from 0 on), tags (of each, whether it holds), or numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from uninas_evo.errors import DataError

Labels = npt.NDArray[np.int64]
Targets = npt.NDArray[np.float32]
"""Tags (T, K), each 0 or 1, or numbers (T, K)."""
Kind = Literal["classes", "tags", "numbers"]
"""What is said of an image."""


def labels_of(kind: Kind, labels: Any, count: int, part: str) -> Labels | Targets:
    """Labels of a kind: classes (T,), or tags or numbers (T, K), of a part with T = `count` images.

    Raises:
        DataError: they are none, or not as many as the images.
    """
    if kind == "classes":
        return class_labels(labels, count, part)
    try:
        found = np.asarray(labels, dtype=np.float64)
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"the labels of the {part} part are no numbers ({error}); give a row an image") from error
    found = found[:, None] if found.ndim == 1 and kind == "numbers" else found
    if found.ndim != 2 or found.shape[1] == 0 or len(found) != count:
        raise DataError(
            f"the labels of the {part} part must be a row of {kind} an image, shape ({count}, K), got {found.shape}; "
            "correct them"
        )
    wrong = ~np.isfinite(found) if kind == "numbers" else (found != 0) & (found != 1)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        rule = "numbers must be finite" if kind == "numbers" else "a tag is 0 or 1"
        raise DataError(
            f"label {row} of the {part} part has {found[row, column]} in column {column}: {rule}; correct it"
        )
    return found.astype(np.float32)


def class_labels(labels: Any, count: int, part: str) -> Labels:
    """Labels (T,) of a part with T = `count` images; (T, 1) is taken too.

    Raises:
        DataError: they are not whole numbers, one an image.
    """
    try:
        found = np.asarray(labels)
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"the labels of the {part} part are no array ({error}); give one number an image") from error
    if np.ma.is_masked(labels):
        raise DataError(
            f"labels of the {part} part are masked, so that images have none; fill them in or leave them out"
        )
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim != 1:
        raise DataError(
            f"the labels of the {part} part must be one number an image, got an array of shape {found.shape}; "
            "give class numbers (of one-hot rows: labels.argmax(1))"
        )
    if len(found) != count:
        raise DataError(
            f"the {part} part has {count} images for {len(found)} labels: give one label an image; add or remove some"
        )
    return _whole(found, part)


def _whole(found: npt.NDArray[Any], part: str) -> Labels:
    """Numbers as int64, or an error that names the first one that is not whole."""
    if found.dtype.kind == "O" and all(isinstance(label, int | np.integer) for label in found):
        small = [int(label) if abs(int(label)) < 2**63 else 2**63 - 1 for label in found]
        return np.asarray(small, dtype=np.int64)
    if found.dtype.kind not in "biuf":
        example = f", got {found[0]!r:.80}" if len(found) else ""
        raise DataError(
            f"the labels of the {part} part must be whole numbers, got {found.dtype}{example}; "
            "number the classes 0..K-1 (numpy.unique(labels, return_inverse=True) does)"
        )
    if found.dtype.kind == "f":
        wrong = np.flatnonzero(~np.isfinite(found) | (found != np.trunc(found)) | (np.abs(found) >= 2.0**63))
        if len(wrong):
            raise DataError(
                f"label {wrong[0]} of the {part} part is {found[wrong[0]]}: labels must be whole numbers 0..K-1; "
                "correct it"
            )
    if found.dtype == np.uint64:
        found = np.minimum(found, np.uint64(2**63 - 1))
    return found.astype(np.int64)


def class_names(labels: Labels | Targets, names: Sequence[str]) -> tuple[str, ...]:
    """The names of the K classes, tags or numbers: those given, or the numbers that the training labels count through.

    Raises:
        DataError: a name stands twice, a label is negative, or a number is left out on the way to the greatest one.
    """
    if names:
        told = tuple(map(str, names))
        if twice := next((name for name in told if told.count(name) > 1), None):
            raise DataError(f"two classes have the name {twice!r:.60}; give each its own")
        return told
    if labels.ndim == 2:
        return tuple(map(str, range(labels.shape[1])))
    present = np.unique(labels)
    if len(present) and present[0] < 0:
        raise DataError(f"the training part has the label {present[0]}: labels are counted from 0; correct them")
    gaps = np.flatnonzero(present != np.arange(len(present)))
    if len(gaps):
        first, greatest = int(gaps[0]), int(present[-1])
        fix = "count from 0" if not first else "number the classes without gaps, or give their names"
        raise DataError(
            f"the training part has the label {greatest}, but no image has label {first}: labels must lie in "
            f"0..{max(first, len(present)) - 1}; {fix}"
        )
    return tuple(map(str, range(len(present))))
