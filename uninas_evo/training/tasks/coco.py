"""COCO folders: `instances_*.json` of boxes, polygons, run lengths and crowds, beside their images."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uninas_evo.errors import DataError
from uninas_evo.files import decoded, parse_json
from uninas_evo.training.folders import part_of
from uninas_evo.training.pixels import shown
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.tasks.objects import Entry, ObjectSet, Shape, inside, runs_of
from uninas_evo.training.tasks.parts import Parts, checked_size, counted, examined, image_statement, joined

PLACES = ("", "annotations")
"""Where the annotation files lie in a data set's folder."""
MOST_SIDE = 2**20
"""Pixels of an image's side; more is a damaged number."""


def is_coco(path: Path) -> bool:
    """Whether a folder holds COCO's annotation files."""
    return any(next((path / place).glob("instances_*.json"), None) for place in PLACES)


def read_coco(path: Path, protocol: Protocol) -> Parts[ObjectSet]:
    """The parts of a COCO folder; every entry is checked, and every image is opened.

    `instances_PART.json` may carry a year (`instances_train2017.json`) and lie in `annotations/`; its images lie in
    `images/PART/`, `images/`, `PART/` or the folder itself, the first of these that has the first image.

    Raises:
        DataError: something is missing, broken or contradictory; the message names file and entry.
    """
    files = _annotation_files(path)
    notes: list[str] = []
    classes: tuple[str, ...] | None = None
    parts: dict[str, ObjectSet] = {}
    for part, file in files.items():
        reader = _Reader(file, _images_of(path, file), protocol.detection.leave_out_empty)
        if classes is not None and reader.names != classes:
            raise DataError(
                f"{shown(file)} has the categories {', '.join(reader.names)} and the part before "
                f"{', '.join(classes)}: all parts must have the same in the same order; correct one"
            )
        classes = reader.names
        parts[part] = ObjectSet(reader.entries)
        notes += reader.notes
    return joined(parts, classes or (), list(dict.fromkeys(notes)), protocol.val_fraction)


def _annotation_files(path: Path) -> dict[str, Path]:
    """The annotation file of each part."""
    found: dict[str, Path] = {}
    for place in PLACES:
        for file in sorted((path / place).glob("instances_*.json")):
            part = part_of(re.sub(r"[-_]?\d+$", "", file.stem.removeprefix("instances_")))
            if part is None:
                raise DataError(
                    f"{shown(file)} is of no part that is known: its name must be instances_train, instances_val or "
                    "instances_test, with a year if wanted; rename or remove it"
                )
            if part in found:
                raise DataError(f"{shown(path)} has {found[part].name} and {file.name} for one part; remove one")
            found[part] = file
    return found


def _images_of(path: Path, file: Path) -> tuple[Path, ...]:
    """Folders that the images of an annotation file may lie in."""
    part = file.stem.removeprefix("instances_")
    return (path / "images" / part, path / "images", path / part, path)


@dataclass(frozen=True)
class _Image:
    """An image as its file of annotations announces it."""

    name: str
    size: tuple[int, int]


class _Reader:
    """Reads one annotation file.

    Attributes:
        names: of the classes.
        entries: the images.
        notes: what was decided on reading, a line each.
    """

    def __init__(self, file: Path, folders: Iterable[Path], leave_out_empty: bool) -> None:
        self.file, self.leave_out_empty = file, leave_out_empty
        self.notes: list[str] = []
        self.left_out = Counter[str]()
        content = self._content()
        self.names, self.labels = self._categories(content["categories"])
        images = self._images(content["images"])
        objects = self._objects(content["annotations"], images)
        folder = self._folder(folders, images)
        self.entries = tuple(self._entry(folder, image, objects[number]) for number, image in images.items())
        facts = examined([entry.file for entry in self.entries])
        for entry, image, fact in zip(self.entries, images.values(), facts, strict=True):
            checked_size(self._named(f"image {image.name!r:.200}"), entry.size, fact, entry.file)
        crowds = sum(int(entry.ignored.sum()) for entry in self.entries)
        self.notes += [
            f"{file.name}: {counted(len(self.entries), 'image')}, {counted(ObjectSet(self.entries).learnt, 'object')}, "
            f"{counted(crowds, 'crowd')} that neither learn nor count, "
            f"{counted(sum(not len(e.labels) for e in self.entries), 'image')} without objects",
            *(f"{file.name}: left out {counted(n, what)}" for what, n in self.left_out.items()),
            *(f"{file.name}: {line}" for line in image_statement(facts)),
        ]

    def _named(self, entry: str) -> str:
        """An entry as messages call it."""
        return f"{entry} of {shown(self.file)}"

    def _content(self) -> dict[str, list[Any]]:
        try:
            content = parse_json(decoded(self.file.read_bytes()))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{shown(self.file)} is not readable JSON ({str(error)[:200]}); write it anew") from error
        if not isinstance(content, dict) or any(
            not isinstance(content.get(name), list) or not all(isinstance(one, dict) for one in content[name])
            for name in ("images", "annotations", "categories")
        ):
            raise DataError(
                f"{shown(self.file)} must hold the lists of tables images, annotations and categories, as COCO's files "
                "do; add what is missing"
            )
        return content

    def _number(self, table: Mapping[str, Any], name: str, entry: str, low: int = 0) -> int:
        value = table.get(name)
        if type(value) is not int or not low <= value < 2**63:
            raise DataError(
                f"{self._named(entry)} needs a whole number from {low} up as {name}, got {value!r:.60}; correct it"
            )
        return value

    def _text(self, table: Mapping[str, Any], name: str, entry: str) -> str:
        value = table.get(name)
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            raise DataError(f"{self._named(entry)} needs a text as {name}, got {value!r:.60}; correct it")
        return value

    def _numbered(self, tables: list[dict[str, Any]], kind: str) -> dict[int, dict[str, Any]]:
        """Tables by their ids, which must differ."""
        found: dict[int, dict[str, Any]] = {}
        for place, table in enumerate(tables):
            number = self._number(table, "id", f"{kind} number {place}")
            if number in found:
                raise DataError(f"{self._named(f'{kind} {number}')} is there twice: ids must differ; remove one")
            found[number] = table
        return found

    def _categories(self, tables: list[dict[str, Any]]) -> tuple[tuple[str, ...], dict[int, int]]:
        """Names of the classes, and the class of each category id."""
        found = self._numbered(tables, "category")
        if not found:
            raise DataError(f"{shown(self.file)} has no categories; add one for each class")
        order = sorted(found)
        names = tuple(self._text(found[number], "name", f"category {number}") for number in order)
        if len(set(names)) < len(names):
            twice = next(name for name, count in Counter(names).items() if count > 1)
            raise DataError(f"{shown(self.file)} has the category {shown(twice)} twice: names must differ; join them")
        if order != list(range(order[0], order[0] + len(order))):
            self.notes.append(
                f"the category ids {order[0]} to {order[-1]} have gaps: they are counted through from 0, in their order"
            )
        return tuple(map(shown, names)), {number: label for label, number in enumerate(order)}

    def _images(self, tables: list[dict[str, Any]]) -> dict[int, _Image]:
        """The images by their ids."""
        images: dict[int, _Image] = {}
        names: set[str] = set()
        for number, table in self._numbered(tables, "image").items():
            entry = f"image {number}"
            name = self._text(table, "file_name", entry)
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise DataError(
                    f"{self._named(entry)} has the file_name {shown(name)!r:.200}: it must lie in the folder of "
                    "images; correct it"
                )
            if name in names:
                raise DataError(f"{self._named(entry)} has a file_name that another has: {shown(name)}; remove one")
            names.add(name)
            size = (self._number(table, "height", entry, 1), self._number(table, "width", entry, 1))
            if max(size) > MOST_SIDE:
                raise DataError(f"{self._named(entry)} announces {size[1]} x {size[0]} pixels; correct it")
            images[number] = _Image(name, size)
        if not images:
            raise DataError(f"{shown(self.file)} has no images; add some")
        return images

    def _objects(
        self, tables: list[dict[str, Any]], images: Mapping[int, _Image]
    ) -> dict[int, list[tuple[int, dict[str, Any]]]]:
        """The annotations of each image with their ids, in the file's order."""
        objects: dict[int, list[tuple[int, dict[str, Any]]]] = {number: [] for number in images}
        for number, table in self._numbered(tables, "annotation").items():
            for name, known in (("image_id", images), ("category_id", self.labels)):
                if (value := self._number(table, name, f"annotation {number}")) not in known:
                    raise DataError(
                        f"{self._named(f'annotation {number}')} has the {name} {value}, which is not in the file: add "
                        f"the {name.removesuffix('_id')} or correct it"
                    )
            objects[table["image_id"]].append((number, table))
        return objects

    def _folder(self, folders: Iterable[Path], images: Mapping[int, _Image]) -> Path:
        """Where the images lie."""
        folders = tuple(folders)
        first = next(iter(images.values())).name
        for folder in folders:
            if (folder / first).is_file():
                return folder
        raise DataError(
            f"{shown(self.file)} names the image {shown(first)}, which is in none of {', '.join(map(shown, folders))}; "
            "put the images into one of these"
        )

    def _entry(self, folder: Path, image: _Image, objects: list[tuple[int, dict[str, Any]]]) -> Entry:
        path = folder / image.name
        if not path.is_file():
            raise DataError(f"{shown(self.file)} names the image {shown(path)}, which is not there; add it")
        boxes, labels, ignored, areas, shapes = [], [], [], [], []
        for number, table in objects:
            entry = f"annotation {number}"
            item = self._named(entry)
            x, y, width, height = self._box(table, item)
            box, real = inside((x, y, x + width, y + height), image.size, item)
            if not real:
                if not self.leave_out_empty:
                    raise DataError(
                        f"{item} has a box of no area, {width:g} x {height:g}; correct or remove it, or leave such "
                        "objects out with --set detection.leave_out_empty=true"
                    )
                self.left_out["object whose box has no area"] += 1
                continue
            crowd = table.get("iscrowd", 0)
            if crowd not in (0, 1):
                raise DataError(f"{item} needs 0 or 1 as iscrowd, got {crowd!r:.60}; correct it")
            boxes.append(box)
            labels.append(self.labels[table["category_id"]])
            ignored.append(bool(crowd))
            areas.append(self._area(table, item, float(width * height)))
            shapes.append(self._shape(table.get("segmentation"), image.size, item))
        return Entry(
            str(path),
            image.size,
            np.asarray(boxes, float).reshape(-1, 4),
            np.asarray(labels, np.int64),
            np.asarray(ignored, np.bool_),
            np.asarray(areas, float),
            tuple(shapes),
        )

    @staticmethod
    def _box(table: Mapping[str, Any], item: str) -> list[float]:
        box = table.get("bbox")
        if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)) or min(box[2:]) < 0:
            raise DataError(
                f"{item} needs a bbox of four numbers, x, y, width and height, got {box!r:.100}; correct it"
            )
        return box

    @staticmethod
    def _area(table: Mapping[str, Any], item: str, of_box: float) -> float:
        area = table.get("area", of_box)
        if not _is_number(area) or area < 0:
            raise DataError(f"{item} needs a number from 0 up as area, got {area!r:.60}; correct or remove it")
        return float(area)

    @staticmethod
    def _shape(segmentation: Any, size: tuple[int, int], item: str) -> Shape:
        """The shape of an object; None where the file has none."""
        if segmentation is None or segmentation == []:
            return None
        if isinstance(segmentation, dict):
            own = segmentation.get("size")
            if own != list(size):
                raise DataError(
                    f"{item} has a mask of the size {own!r:.60} in an image of height and width {list(size)}: both "
                    "must be equal; make the mask anew"
                )
            return runs_of(segmentation.get("counts"), size, item)
        good = isinstance(segmentation, list) and all(
            isinstance(polygon, list) and len(polygon) >= 6 and len(polygon) % 2 == 0 and all(map(_is_number, polygon))
            for polygon in segmentation
        )
        if not good:
            raise DataError(
                f"{item} has a segmentation that is neither polygons, lists of three or more pairs of x and y, nor run "
                f"lengths: {segmentation!r:.100}; correct it"
            )
        polygons = tuple(np.asarray(polygon, float).reshape(-1, 2) for polygon in segmentation)
        for polygon in polygons:
            inside((*polygon.min(0), *polygon.max(0)), size, f"{item}, in its segmentation,")
        return polygons


def _is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number of a size that images have."""
    return type(value) in (int, float) and math.isfinite(value) and abs(value) < 2**40
