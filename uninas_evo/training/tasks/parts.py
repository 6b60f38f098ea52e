"""What the data of detection and segmentation have in common: three parts of files, checked before the first step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from uninas_evo.errors import DataError
from uninas_evo.training.check import DECODED
from uninas_evo.training.folders import is_system, part_of
from uninas_evo.training.images import SPLIT_SEED
from uninas_evo.training.pixels import Facts, Pixels, decode, endings, examine, shown

T = TypeVar("T")
U = TypeVar("U")
AT_ONCE = 8
"""Files that are looked at side by side: reading waits for the disk."""


class Part(Protocol):
    """Images with what is to be found in them."""

    def __len__(self) -> int: ...

    def subset(self, indices: npt.NDArray[np.int64]) -> Self:
        """Those of some indices, in their order."""


P = TypeVar("P", bound=Part)


@dataclass(frozen=True)
class Parts(Generic[P]):
    """The three parts of a data set.

    Attributes:
        classes: the names of the K classes.
        notes: what was left out or decided on reading, a line each.
    """

    train: P
    val: P
    test: P
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> dict[str, P]:
        """The parts by the names that messages use."""
        return {"training": self.train, "validation": self.val, "test": self.test}


def joined(parts: Mapping[str, P], classes: Sequence[str], notes: Sequence[str], fraction: float) -> Parts[P]:
    """Three parts from those that are there.

    Without test images the validation part is the test data; without validation images a share of the training
    images, the same in every training, validates.

    Raises:
        DataError: there is no training part, or nothing to test on.
    """
    parts, notes = dict(parts), list(notes)
    if "train" not in parts:
        raise DataError(f"the data has no training part, got {', '.join(parts) or 'nothing'}; add one named train")
    if "test" not in parts:
        if "val" not in parts:
            raise DataError("the data has a training part alone; add a part named val or test")
        parts["test"] = parts.pop("val")
        notes.append("there is no test part: the validation part is the test data, as on ImageNet")
    if "val" not in parts:
        order = np.random.default_rng(SPLIT_SEED).permutation(len(parts["train"]))
        held = min(max(round(fraction * len(order)), 1), len(order) - 1)
        notes.append(f"there is no validation part: {held:,} training images are split off for it")
        parts["val"] = parts["train"].subset(np.sort(order[:held]))
        parts["train"] = parts["train"].subset(np.sort(order[held:]))
    return Parts(parts["train"], parts["val"], parts["test"], tuple(classes), tuple(notes))


def each(look: Callable[[T], U], items: Iterable[T]) -> list[U]:
    """What is found at each item, looked at side by side; an error is that of the first in their order."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(look, items))


def examined(files: Sequence[str]) -> list[Facts]:
    """The facts of images: of up to `DECODED` by decoding them, of more from their headers.

    Raises:
        DataError: one cannot be read.
    """
    return each(lambda file: examine(file, len(files) <= DECODED), files)


def image_statement(facts: Iterable[Facts]) -> list[str]:
    """Sizes of images and what is done on reading them, a line each."""
    facts = list(facts)
    sizes = Counter((f.height, f.width) for f in facts)
    common = ", ".join(f"{w} x {h} ({n:,})" for (h, w), n in sizes.most_common(3))
    more = f" and {len(sizes) - 3:,} other sizes" if len(sizes) > 3 else ""
    notes = Counter(note for f in facts for note in f.notes)
    gray = sum(f.channels == 1 for f in facts)
    return [
        f"sizes: {common}{more}",
        *(f"{count:,} images {note}" for note, count in sorted(notes.items())),
        *([f"{gray:,} gray images: the gray is repeated as red, green and blue"] if gray else []),
    ]


def color(file: str) -> Tensor:
    """The pixels of an image, uint8 (3, H, W).

    Raises:
        DataError: it cannot be read, or has other than 1 or 3 channels.
    """
    pixels: Pixels = decode(file, f"image {shown(file)}")[0]
    if pixels.shape[2] not in (1, 3):
        raise DataError(f"image {shown(file)} has {pixels.shape[2]} channels: give gray or color images")
    return torch.from_numpy(np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)).transpose(2, 0, 1)))


def images_below(folder: Path) -> dict[str, Path]:
    """The images of a folder and those below it, by their path in it without the ending.

    Raises:
        DataError: two images differ in their endings alone, or a file is no image.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or any(is_system(name) for name in path.relative_to(folder).parts):
            continue
        if path.suffix.lower() not in endings():
            raise DataError(f"{shown(path)} is no image; remove it, so that nothing is left out unseen")
        name = str(path.relative_to(folder).with_suffix(""))
        if name in found:
            raise DataError(f"{shown(found[name])} and {shown(path)} have the same name; remove one")
        found[name] = path
    return found


def part_folders(folder: Path) -> dict[str, Path]:
    """The folders of the parts in a folder, by the parts' names.

    Raises:
        DataError: a part is there twice.
    """
    found: dict[str, Path] = {}
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        part = part_of(place.name) if place.is_dir() else None
        if part in found:
            raise DataError(
                f"{shown(folder)} has the part {part} twice: {found[part].name} and {place.name}; join them"
            )
        if part:
            found[part] = place
    return found


def checked_size(item: str, size: tuple[int, int], facts: Facts, file: str) -> None:
    """Refuses an annotation made for another height and width than its image has.

    Raises:
        DataError: they differ.
    """
    if size != (facts.height, facts.width):
        raise DataError(
            f"{item} is made for {size[1]} x {size[0]} pixels and its image {shown(file)} has {facts.width} x "
            f"{facts.height}: both must be equal; make it anew, or resize one"
        )


def counted(count: int, what: str) -> str:
    """A number with its noun."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
