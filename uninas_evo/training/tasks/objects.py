"""Objects in images: boxes, classes and shapes, found right before anything is made from them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from uninas_evo.errors import DataError
from uninas_evo.training.extras import need

Floats = npt.NDArray[np.float64]
Bits = npt.NDArray[np.uint8]

Shape = tuple[Floats, ...] | npt.NDArray[np.int64] | None
"""The pixels of an object: polygons, each (n, 2) of x and y; or run lengths of an uncompressed mask, column by column,
beginning with pixels outside; or nothing."""


@dataclass(frozen=True, eq=False)
class Entry:
    """An image and the n objects in it.

    Attributes:
        file: the path of the image.
        size: height and width in pixels.
        boxes: (n, 4): x and y of the corner at the top left, then of the one at the bottom right, in pixels.
        labels: (n,), classes counted from 0.
        ignored: (n,): crowds and difficult objects, which neither learn nor count.
        areas: (n,) in pixels, which decide what is small, medium and large.
        shapes: of each object.
    """

    file: str
    size: tuple[int, int]
    boxes: Floats
    labels: npt.NDArray[np.int64]
    ignored: npt.NDArray[np.bool_]
    areas: Floats
    shapes: tuple[Shape, ...]

    def masks(self, chosen: npt.NDArray[np.int64]) -> Tensor:
        """The masks (n, H, W) of chosen objects, uint8 of 0 and 1."""
        found = [pixels_of(self.shapes[i], self.size) for i in chosen]
        return torch.from_numpy(np.stack(found) if found else np.zeros((0, *self.size), np.uint8))


@dataclass(frozen=True)
class ObjectSet:
    """T images with their objects."""

    entries: tuple[Entry, ...]

    def __len__(self) -> int:
        return len(self.entries)

    def subset(self, indices: npt.NDArray[np.int64]) -> ObjectSet:
        """The images of some indices, in their order."""
        return ObjectSet(tuple(self.entries[i] for i in indices))

    @property
    def crc32(self) -> int:
        """A checksum of sizes, boxes, classes and shapes."""
        total = 0
        for entry in self.entries:
            shapes = (part for shape in entry.shapes for part in (shape if isinstance(shape, tuple) else (shape,)))
            for array in (np.asarray(entry.size), entry.boxes, entry.labels, entry.ignored, *shapes):
                total = zlib.crc32(b"" if array is None else np.ascontiguousarray(array).tobytes(), total)
        return total

    @property
    def with_masks(self) -> int:
        """Objects that learn and have a shape."""
        return sum(s is not None for e in self.entries for s, out in zip(e.shapes, e.ignored, strict=True) if not out)

    @property
    def learnt(self) -> int:
        """Objects that learn."""
        return sum(int((~entry.ignored).sum()) for entry in self.entries)


def pixels_of(shape: Shape, size: tuple[int, int]) -> Bits:
    """A shape as a mask (H, W) of 0 and 1."""
    height, width = size
    if isinstance(shape, tuple):
        coder = need("faster_coco_eval.core.mask")
        runs = coder.frPyObjects([polygon.ravel().tolist() for polygon in shape], height, width)
        return np.asarray(coder.decode(coder.merge(runs)), np.uint8)
    if shape is None:
        return np.zeros(size, np.uint8)
    values = np.arange(len(shape), dtype=np.int64) % 2
    return np.repeat(values.astype(np.uint8), shape).reshape(size, order="F")


def encoded(mask: Bits) -> dict[str, Any]:
    """A mask (H, W) as COCO's compressed run lengths."""
    runs: dict[str, Any] = need("faster_coco_eval.core.mask").encode(np.asfortranarray(mask))
    counts = runs["counts"]
    return {"size": list(runs["size"]), "counts": counts.decode() if isinstance(counts, bytes) else counts}


def runs_of(counts: Any, size: tuple[int, int], item: str) -> npt.NDArray[np.int64]:
    """The run lengths of COCO's `counts`, a list or its compressed string, of a mask of a size.

    Raises:
        DataError: they are no run lengths, or do not fill the mask.
    """
    try:
        runs = _unpacked(counts) if isinstance(counts, str) else counts
        whole = isinstance(runs, list) and all(type(n) is int and 0 <= n < 2**40 for n in runs)
    except ValueError:
        whole = False
    height, width = size
    if not whole or sum(runs) != height * width:
        filled = f"{sum(runs):,} pixels" if whole else "none"
        raise DataError(
            f"{item} has run lengths that are not those of a mask of {width} x {height}: they must be whole numbers "
            f"that sum to {height * width:,}, got {filled}; make the mask anew"
        )
    return np.asarray(runs, dtype=np.int64)


def _unpacked(text: str) -> list[int]:
    """COCO's compressed string: six bits a letter from "0" on, the lowest first; from the third run on, differences.

    Raises:
        ValueError: it ends within a number, or holds another letter.
    """
    runs: list[int] = []
    value, place = 0, 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or place > 60:
            raise ValueError("not a run length")
        value |= (bits & 31) << place
        place += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << place
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, place = 0, 0
    if place:
        raise ValueError("cut off")
    return runs


def inside(box: Sequence[float], size: tuple[int, int], item: str) -> tuple[Floats, bool]:
    """A box cut to its image, and whether it has an area.

    Args:
        box: x and y of the top left and of the bottom right corner.
        size: height and width.
        item: what it is called in messages.

    Raises:
        DataError: it reaches more than a pixel, the rounding of annotation tools, beyond the image.
    """
    height, width = size
    low = np.zeros(2)
    high = np.asarray([width, height], float)
    corners = np.asarray(box, float).reshape(2, 2)
    if (corners < low - 1).any() or (corners > high + 1).any():
        raise DataError(
            f"{item} has a box from {tuple(corners[0].tolist())} to {tuple(corners[1].tolist())} in an image of "
            f"{width} x {height}: it must lie inside; correct it"
        )
    cut = np.clip(corners, low, high)
    return cut.ravel(), bool((cut[1] > cut[0]).all())
