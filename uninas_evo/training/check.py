"""The check before the first epoch: finds what would spoil the training, and says what is done to the data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uninas_evo.errors import DataError
from uninas_evo.training import pixels
from uninas_evo.training.pixels import Facts, decode, examine

if TYPE_CHECKING:
    from uninas_evo.training.images import ImageSet, Splits
    from uninas_evo.training.labels import Kind
    from uninas_evo.training.protocol import Protocol

Shape = tuple[int, int, int]
"""Channels, height and width of the images that a network takes."""

MOST_PROPORTION = 200
"""A side longer than so many times the other is a damaged header, or a strip of which nothing would be left."""
DECODED = 5_000
"""Up to so many images of a part are decoded in the check (seconds); of the files between them the headers are read."""


@dataclass(frozen=True)
class Survey:
    """All images at a glance.

    Attributes:
        sizes: how many images have a height and width.
        channels: how many have a number of channels.
        notes: how many were read with something done to them, such as `pixels.TURNED`.
        headers: images of which the header alone was read, or of a data set nothing.
    """

    sizes: Counter[tuple[int, int]]
    channels: Counter[int]
    notes: Counter[str]
    headers: int


def survey(parts: Iterable[ImageSet]) -> Survey:
    """Opens the images of all parts.

    Raises:
        DataError: one cannot be read, or all 16-bit images are nearly black.
    """
    found = Survey(Counter(), Counter(), Counter(), 0)
    for images in parts:
        found = _joined(found, _of_part(images))
    if found.notes[pixels.DARK] and found.notes[pixels.DARK] == found.notes[pixels.DEEP]:
        raise DataError(
            f"all {found.notes[pixels.DEEP]} images of 16 bits use less than a sixteenth of 0..65535, so that "
            "8 bits would leave 16 grays: scale them to the whole range, or to 8 bits"
        )
    return found


def _of_part(images: ImageSet) -> Survey:
    count = len(images)
    if not count:
        return Survey(Counter(), Counter(), Counter(), 0)
    if isinstance(images.images, np.ndarray):
        facts = decode(images.images[0], "the first image")[1]
        return Survey(Counter({(facts.height, facts.width): count}), Counter({facts.channels: count}), Counter(), 0)
    step = -(-count // DECODED)
    every = range(0, count, 1 if images.files else step)

    def look(index: int) -> Facts:
        if images.files:
            return examine(images.images[index], whole=index % step == 0)
        return decode(images.item(index), images.name(index))[1]

    with ThreadPoolExecutor(8 if images.files else 1) as pool:
        facts_of_all = list(pool.map(look, every))
    return Survey(
        Counter((f.height, f.width) for f in facts_of_all),
        Counter(f.channels for f in facts_of_all),
        Counter(note for f in facts_of_all for note in f.notes),
        count - len(range(0, count, step)),
    )


def _joined(a: Survey, b: Survey) -> Survey:
    return Survey(a.sizes + b.sizes, a.channels + b.channels, a.notes + b.notes, a.headers + b.headers)


def check(splits: Splits, classes: int, channels: int = 3) -> None:
    """Finds what would spoil the training, before it starts.

    Args:
        splits: the data.
        classes: of the network.
        channels: of the network's images.

    Raises:
        DataError: the classes are not as many as the network's, a class has no training image, a label is out
            of range, a part is empty, an image cannot be read, or its channels are not the network's.
    """
    if len(splits.classes) != classes:
        raise DataError(
            f"the data has {len(splits.classes)} classes and the network {classes}: they must be equal; "
            f"use a network whose skeleton has classes = {len(splits.classes)}"
            f", such as this one by: uninas-evo convert GENOME --classes {len(splits.classes)} --to text --out FILE"
        )
    for part, images in splits.parts.items():
        labels = images.labels
        if not len(labels):
            raise DataError(f"the {part} part has no images; give it at least one of every class")
        if labels.min() < 0 or labels.max() >= classes:
            wrong = labels[(labels < 0) | (labels >= classes)][0]
            raise DataError(
                f"the {part} part has the label {wrong}: labels must lie in 0..{classes - 1}; fix the labels"
            )
    if empty := _absent(splits, splits.train):
        raise DataError(f"these classes have no training images: {empty}; add images or remove the classes")
    check_images(splits, channels)


def check_outputs(splits: Splits, outputs: int, kind: Kind) -> None:
    """The same for tags and numbers: as many as the network's outputs, and each with something to learn.

    Raises:
        DataError: they are not as many, a part is empty, or a tag or number is the same in all training images.
    """
    if len(splits.classes) != outputs:
        raise DataError(
            f"the data has {len(splits.classes)} {kind} and the network {outputs} outputs: they must be equal; "
            f"use a network whose skeleton has classes = {len(splits.classes)}"
        )
    for part, images in splits.parts.items():
        if not len(images):
            raise DataError(f"the {part} part has no images; give it some")
    alike = np.ptp(splits.train.labels, axis=0) == 0
    if alike.any():
        names = ", ".join(splits.classes[i] for i in np.flatnonzero(alike)[:10])
        raise DataError(f"these {kind} are the same in all training images: {names}; add images or remove them")


def check_images(splits: Splits, channels: int) -> None:
    """The images themselves.

    Raises:
        DataError: one cannot be read or is far too long, or its channels are not the network's.
    """
    for size in splits.survey.sizes:
        if max(size) > MOST_PROPORTION * min(size):
            raise DataError(
                f"an image has {size[1]} x {size[0]} pixels: a side may be at most {MOST_PROPORTION} times the other; "
                "cut it into pieces or remove it"
            )
    for found, count in splits.survey.channels.items():
        if found != channels and (found, channels) != (1, 3):
            raise DataError(
                f"{count} images have {found} channels and the network takes {channels}: they must be equal (gray "
                f"images fit 3 channels too); use a network of {found} channels or convert the images"
            )


def statement(splits: Splits, shape: Shape, protocol: Protocol, kind: Kind = "classes") -> list[str]:
    """What the data is and what is done to it on the way to a network of images (C, H, W), a line each."""
    found = splits.survey
    counts = ", ".join(f"{len(images):,} {part}" for part, images in splits.parts.items())
    lines = [f"data: {counts} images, {len(splits.classes)} {kind}", *splits.notes]
    for part in ("validation", "test") if kind == "classes" else ():
        if missing := _absent(splits, splits.parts[part]):
            lines.append(f"notice: no {part} images of {missing}")
    lines += [f"{count:,} images {note}" for note, count in sorted(found.notes.items())]
    if shape[0] == 3 and found.channels[1]:
        lines.append(f"{found.channels[1]:,} gray images: the gray is repeated as red, green and blue")
    if found.headers:
        lines.append(
            f"{found.headers:,} images were not decoded, so that the counts above leave them out: of a part of more "
            f"than {DECODED:,} images every so many is"
        )
    return lines + _sizes(found, shape, protocol)


def _sizes(found: Survey, shape: Shape, protocol: Protocol) -> list[str]:
    """What happens to images whose sides are not in the network's proportion."""
    _, height, width = shape
    total = found.sizes.total()
    other = {size: n for size, n in found.sizes.items() if size[0] * width != size[1] * height}
    common = ", ".join(f"{w} x {h} ({n:,})" for (h, w), n in found.sizes.most_common(3))
    more = f" and {len(found.sizes) - 3:,} other sizes" if len(found.sizes) > 3 else ""
    lines = [f"sizes: {common}{more}"]
    if other:
        ways = {
            "squash": f"squeezed to {width} x {height}, nothing is cut away",
            "border": f"padded to the proportion of {width} x {height}, nothing is cut away",
            "center": f"cut to their middle: {_lost(other, height / width):.0%} of their area is cut away",
        }
        lines.append(
            f"{sum(other.values()):,} of {total:,} images are not in the proportion {width} : {height} (such as "
            f"{' x '.join(map(str, max(other, key=lambda s: other[s])[::-1]))}): {ways[protocol.crop_mode]} "
            f"(crop_mode = {protocol.crop_mode})"
        )
    if protocol.crop_pct < 1:
        lines.append(
            f"evaluation looks at the middle {protocol.crop_pct:.0%} of each side (crop_pct = {protocol.crop_pct:g})"
        )
    return lines


def _lost(sizes: dict[tuple[int, int], int], proportion: float) -> float:
    """The mean share of area outside the largest middle part of a proportion height / width."""
    lost = [(1 - min(h / w / proportion, proportion * w / h), n) for (h, w), n in sizes.items()]
    return sum(share * n for share, n in lost) / sum(n for _, n in lost)


def _absent(splits: Splits, images: ImageSet) -> str:
    """The names of up to ten classes without an image."""
    present = np.bincount(images.labels, minlength=len(splits.classes))
    return ", ".join(splits.classes[i] for i in np.flatnonzero(present == 0)[:10])
