"""Pascal VOC folders: one XML file of boxes an image, and lists of the parts' images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np

from uninas_evo.errors import DataError
from uninas_evo.files import decoded
from uninas_evo.training.folders import part_of
from uninas_evo.training.pixels import shown
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.tasks.objects import Entry, ObjectSet, inside
from uninas_evo.training.tasks.parts import (
    Parts,
    checked_size,
    counted,
    examined,
    image_statement,
    images_below,
    joined,
)

MOST_BYTES = 10_000_000
"""An image's XML file is no larger."""


def is_voc(path: Path) -> bool:
    """Whether a folder holds VOC's annotations."""
    return (path / "Annotations").is_dir() and (path / "ImageSets" / "Main").is_dir()


def read_voc(path: Path, protocol: Protocol) -> Parts[ObjectSet]:
    """The parts of a VOC folder: `Annotations/`, `JPEGImages/` and `ImageSets/Main/{train,val,test}.txt`.

    Difficult objects neither learn nor count, as in the benchmark. Classes are the names found, sorted.

    Raises:
        DataError: something is missing, broken or contradictory; the message names file and entry.
    """
    if not (path / "JPEGImages").is_dir():
        raise DataError(f"{shown(path)} has no JPEGImages/; put the images there")
    images = {Path(name).name: file for name, file in images_below(path / "JPEGImages").items()}
    lists = _lists(path / "ImageSets" / "Main")
    found = {part: [_Annotation.read(path / "Annotations" / f"{name}.xml") for name in names]
             for part, names in lists.items()}  # fmt: skip
    classes = tuple(sorted({name for part in found.values() for one in part for name in one.names}))
    notes = []
    parts = {}
    for part, files in found.items():
        entries = tuple(one.entry(images, classes, protocol.detection.leave_out_empty) for one in files)
        facts = examined([entry.file for entry in entries])
        for one, entry, fact in zip(files, entries, facts, strict=True):
            checked_size(shown(one.file), entry.size, fact, entry.file)
        parts[part] = ObjectSet(entries)
        empty = sum(len(one.names) for one in files) - sum(len(entry.labels) for entry in entries)
        notes += [
            f"{part}: {counted(len(entries), 'image')}, {counted(parts[part].learnt, 'object')}, "
            f"{counted(sum(int(e.ignored.sum()) for e in entries), 'difficult object')} that neither learn nor count",
            *([f"{part}: left out {counted(empty, 'object')} whose box has no area"] if empty else []),
            *(f"{part}: {line}" for line in image_statement(facts)),
        ]
    return joined(parts, classes, notes, protocol.val_fraction)


def _lists(folder: Path) -> dict[str, list[str]]:
    """The names of each part's images."""
    found: dict[str, list[str]] = {}
    for file in sorted(folder.glob("*.txt")):
        part = part_of(file.stem)
        if part is None:  # lists of a class, and those of train and val together
            continue
        try:
            names = [line.split()[0] for line in decoded(file.read_bytes()).splitlines() if line.strip()]
        except UnicodeDecodeError as error:
            raise DataError(f"{shown(file)} is no text ({error}); write a name a line") from error
        if not names or len(set(names)) < len(names) or any("/" in name or "\0" in name for name in names):
            raise DataError(f"{shown(file)} must hold the name of an image a line, each once; correct it")
        if part in found:
            raise DataError(f"{shown(folder)} has two lists of the part {part}; remove one")
        found[part] = names
    listed = [name for names in found.values() for name in names]
    if len(set(listed)) < len(listed):
        raise DataError(f"{shown(folder)} lists an image in two parts: each may be in one; correct the lists")
    return found


@dataclass(frozen=True)
class _Annotation:
    """An XML file: the image's name, its size, and of each object its class, whether it is difficult, and its box."""

    file: Path
    size: tuple[int, int]
    names: tuple[str, ...]
    difficult: tuple[bool, ...]
    boxes: tuple[tuple[float, ...], ...]

    @classmethod
    def read(cls, file: Path) -> _Annotation:
        """Reads a file.

        Raises:
            DataError: it is missing or wrong.
        """
        if not file.is_file():
            raise DataError(f"{shown(file)} is missing, and its image is listed; add it")
        content = file.read_bytes()
        if len(content) > MOST_BYTES or b"<!ENTITY" in content:
            raise DataError(f"{shown(file)} is no annotation: it is over {MOST_BYTES:,} bytes, or defines entities")
        try:
            root = Xml.fromstring(content)
        except (Xml.ParseError, ValueError, LookupError) as error:
            raise DataError(f"{shown(file)} is not readable XML ({str(error)[:200]}); write it anew") from error
        height, width = (_number(root, f"size/{name}", file, "the image") for name in ("height", "width"))
        if not (height.is_integer() and width.is_integer() and min(height, width) >= 1):
            raise DataError(f"{shown(file)} announces an image of {width:g} x {height:g} pixels; correct it")
        objects = list(_objects(root, file))
        return cls(
            file,
            (int(height), int(width)),
            tuple(name for name, _, _ in objects),
            tuple(hard for _, hard, _ in objects),
            tuple(box for _, _, box in objects),
        )

    def entry(self, images: dict[str, Path], classes: tuple[str, ...], leave_out_empty: bool) -> Entry:
        """The image with its objects.

        Raises:
            DataError: there is no such image, or a box is wrong.
        """
        if self.file.stem not in images:
            raise DataError(f"{shown(self.file)} has no image of its name in JPEGImages/; add or remove one")
        boxes, labels, ignored = [], [], []
        for place, (name, hard, corners) in enumerate(zip(self.names, self.difficult, self.boxes, strict=True)):
            item = f"object {place + 1} of {shown(self.file)}"
            box, real = inside(corners, self.size, item)
            if not real:
                if leave_out_empty:
                    continue
                raise DataError(
                    f"{item} has a box of no area; correct or remove it, or leave such objects out with --set "
                    "detection.leave_out_empty=true"
                )
            boxes.append(box)
            labels.append(classes.index(name))
            ignored.append(hard)
        array = np.asarray(boxes, float).reshape(-1, 4)
        return Entry(
            str(images[self.file.stem]),
            self.size,
            array,
            np.asarray(labels, np.int64),
            np.asarray(ignored, np.bool_),
            np.prod(array[:, 2:] - array[:, :2], axis=1),
            (None,) * len(labels),
        )


def _objects(root: Xml.Element, file: Path) -> Iterator[tuple[str, bool, tuple[float, ...]]]:
    for place, element in enumerate(root.findall("object"), 1):
        item = f"object {place}"
        name = (element.findtext("name") or "").strip()
        if not name:
            raise DataError(f"{item} of {shown(file)} has no name; add its class")
        hard = (element.findtext("difficult") or "0").strip()
        if hard not in ("0", "1"):
            raise DataError(f"{item} of {shown(file)} needs 0 or 1 as difficult, got {shown(hard)!r:.60}; correct it")
        corners = [_number(element, f"bndbox/{side}", file, item) for side in ("xmin", "ymin", "xmax", "ymax")]
        low, high = corners[:2], corners[2:]
        yield shown(name), hard == "1", (low[0] - 1, low[1] - 1, *high)  # counted from 1, both corners inside


def _number(element: Xml.Element, place: str, file: Path, item: str) -> float:
    text = (element.findtext(place) or "").strip()
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or abs(value) > 2**30:
        raise DataError(f"{item} of {shown(file)} needs a number as {place}, got {shown(text)!r:.60}; correct it")
    return value
