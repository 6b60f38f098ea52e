"""A class for every pixel: images beside PNG masks, as ADE20K has them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from uninas_evo.errors import DataError
from uninas_evo.files import decoded
from uninas_evo.training.pixels import Facts, shown
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.tables import SegmentationTable
from uninas_evo.training.tasks.parts import (
    Parts,
    checked_size,
    counted,
    each,
    examined,
    image_statement,
    images_below,
    joined,
    part_folders,
)

Bits = npt.NDArray[np.uint8]

IMAGES = ("images", "img_dir")
MASKS = ("annotations", "masks", "labels", "ann_dir")
NAMES = "classes.txt"
LABELS = 256
"""Values of a mask's pixel."""


@dataclass(frozen=True)
class MaskSet:
    """T images with the label of every pixel.

    Attributes:
        images: their paths.
        masks: the paths of their masks.
        counts: (T, 256) pixels of each label, as the files have them.
        checks: (T,) checksums of the masks.
        table: how labels are read.
    """

    images: tuple[str, ...]
    masks: tuple[str, ...]
    counts: npt.NDArray[np.int64]
    checks: tuple[int, ...]
    table: SegmentationTable

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, indices: npt.NDArray[np.int64]) -> MaskSet:
        """The images of some indices, in their order."""
        return MaskSet(
            tuple(self.images[i] for i in indices),
            tuple(self.masks[i] for i in indices),
            self.counts[indices],
            tuple(self.checks[i] for i in indices),
            self.table,
        )

    def mask(self, index: int) -> Bits:
        """The labels (H, W) of an image, classes counted from 0; what is ignored keeps the table's label.

        Raises:
            DataError: the file cannot be read.
        """
        return as_classes(read_mask(self.masks[index]), self.table)

    @property
    def pixels(self) -> npt.NDArray[np.int64]:
        """Pixels of each class (256,), those that are ignored left out."""
        return class_counts(self.counts.sum(0), self.table)


def as_classes(mask: Bits, table: SegmentationTable) -> Bits:
    """A file's labels as classes."""
    if not table.reduce_zero_label:
        return mask
    return np.where((mask == 0) | (mask == table.ignore), table.ignore, mask - 1).astype(np.uint8)


def class_counts(counts: npt.NDArray[np.int64], table: SegmentationTable) -> npt.NDArray[np.int64]:
    """Pixels of each class from those of each label in files (256,)."""
    kept = counts.copy()
    kept[table.ignore] = 0
    if not table.reduce_zero_label:
        return kept
    return np.append(kept[1:], 0)


def read_mask(file: str) -> Bits:
    """The labels (H, W) of a PNG of one channel; of a palette the numbers of its colors.

    Raises:
        DataError: it is broken, or its pixels are no labels.
    """
    try:
        with Image.open(file, formats=("PNG",)) as image:
            image.verify()  # checksums, which decoding leaves out
        with Image.open(file, formats=("PNG",)) as image:
            mode = image.mode
            pixels = np.asarray(image) if mode in ("L", "P") else np.zeros((0, 0), np.uint8)
    except Exception as error:  # decoders raise whatever the damage leads to
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise DataError(f"mask {shown(file)} cannot be read as PNG: {shown(reason)}; replace it") from error
    if not pixels.size:
        raise DataError(
            f"mask {shown(file)} has pixels of mode {mode!r}: they must be labels from 0 to 255, gray or of a palette; "
            "write it as a gray PNG"
        )
    return pixels


def is_masks(path: Path) -> bool:
    """Whether a folder holds images and masks side by side."""
    return bool(_root(path, IMAGES) and _root(path, MASKS))


def read_masks(path: Path, protocol: Protocol) -> Parts[MaskSet]:
    """The parts of a folder of `images/PART/` and `annotations/PART/` (or `masks/`), paired by their names.

    The classes are the lines of `classes.txt`; without it they are counted from the training masks, which must then
    hold every label from 0 on.

    Raises:
        DataError: something is missing, broken or contradictory; the message names the file.
    """
    images, masks = _root(path, IMAGES), _root(path, MASKS)
    if images is None or masks is None:
        raise DataError(f"{shown(path)} needs images/ and annotations/ (or masks/), a folder for each part in both")
    folders, of_masks = part_folders(images), part_folders(masks)
    if set(folders) != set(of_masks):
        raise DataError(
            f"{shown(images)} has the parts {', '.join(folders) or 'none'} and {shown(masks)} "
            f"{', '.join(of_masks) or 'none'}: both must have the same; add or remove them"
        )
    table = protocol.segmentation
    notes: list[str] = []
    parts = {}
    for part in sorted(folders):
        parts[part], lines = _read_part(folders[part], of_masks[part], table)
        notes += [f"{part}: {line}" for line in lines]
    names = _class_names(path / NAMES, parts)
    for one in parts.values():
        _check_labels(one, names)
    return joined(parts, names, notes, protocol.val_fraction)


def _root(path: Path, names: tuple[str, ...]) -> Path | None:
    return next((path / name for name in names if (path / name).is_dir()), None)


def _read_part(images: Path, masks: Path, table: SegmentationTable) -> tuple[MaskSet, list[str]]:
    of_images, of_masks = images_below(images), images_below(masks)
    if alone := sorted(of_images.keys() ^ of_masks.keys()):
        which = of_images.get(alone[0]) or of_masks[alone[0]]
        raise DataError(
            f"{shown(which)} has no {'mask' if alone[0] in of_images else 'image'} of its name "
            f"({counted(len(alone), 'such file')}): images and masks come in pairs; add or remove them"
        )
    if not of_images:
        raise DataError(f"{shown(images)} has no images; add some")
    names = sorted(of_images)
    files, labels = [str(of_images[name]) for name in names], [str(of_masks[name]) for name in names]
    facts = examined(files)

    def look(pair: tuple[str, str, Facts]) -> tuple[npt.NDArray[np.int64], int]:
        file, mask, fact = pair
        pixels = read_mask(mask)
        checked_size(f"mask {shown(mask)}", (pixels.shape[0], pixels.shape[1]), fact, file)
        return np.bincount(pixels.ravel(), minlength=LABELS), zlib.crc32(pixels.tobytes())

    found = each(look, zip(files, labels, facts, strict=True))
    counts = np.stack([one for one, _ in found]).astype(np.int64)
    part = MaskSet(tuple(files), tuple(labels), counts, tuple(check for _, check in found), table)
    total, kept = int(counts.sum()), int(part.pixels.sum())
    return part, [
        f"{counted(len(files), 'image')}, {(total - kept) / total:.1%} of their pixels ignored",
        *image_statement(facts),
    ]


def _class_names(file: Path, parts: dict[str, MaskSet]) -> tuple[str, ...]:
    """The lines of a file, or numbers up to the greatest training label."""
    if file.is_file():
        try:
            names = tuple(shown(line.strip()) for line in decoded(file.read_bytes()).splitlines())
        except UnicodeDecodeError as error:
            raise DataError(f"{shown(file)} is no text ({error}); write the name of a class a line") from error
        if not names or "" in names or len(set(names)) < len(names):
            raise DataError(f"{shown(file)} must hold the name of a class a line, each once; correct it")
        return names
    present = np.flatnonzero(parts["train"].pixels) if "train" in parts else np.zeros(0, int)
    if not len(present) or present[-1] + 1 != len(present):
        raise DataError(
            f"the training masks have the classes {', '.join(map(str, present[:20]))}: without {NAMES} beside images/ "
            "they must be counted from 0 without gaps; add that file, or number them so"
        )
    return tuple(map(str, range(len(present))))


def _check_labels(part: MaskSet, names: tuple[str, ...]) -> None:
    for file, counts in zip(part.masks, part.counts, strict=True):
        wrong = np.flatnonzero(class_counts(counts, part.table)[len(names) :])
        if len(wrong):
            label = int(wrong[0]) + len(names) + part.table.reduce_zero_label
            raise DataError(
                f"mask {shown(file)} has the label {label}, and there are {len(names)} classes: labels must be "
                f"{int(part.table.reduce_zero_label)} to {len(names) - 1 + part.table.reduce_zero_label}, or "
                f"{part.table.ignore} for ignored pixels; correct it, or {NAMES}, or set segmentation.ignore"
            )
