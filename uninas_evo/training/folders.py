"""Image folders: train/, val/ and test/ of one folder a class; what is no image is left out and counted."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from uninas_evo.errors import DataError
from uninas_evo.training.images import ImageSet, stratified
from uninas_evo.training.pixels import endings, is_image, shown

PART_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
"""Names under which each part is looked for, in capital or small letters."""
TEST_FRACTION = 0.2
"""Of each class, where a data set has no parts."""
SYSTEM = {"thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"}
"""Files and folders, in small letters, that systems put beside a user's; those that begin with a dot are theirs too."""


@dataclass(frozen=True)
class Source:
    """What a reader found: the parts "train", "val", "test", the classes' names ((): numbers), and notes."""

    parts: Mapping[str, ImageSet]
    classes: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)


def part_of(word: str) -> str | None:
    """The part that a name means, or None."""
    return next((part for part, names in PART_NAMES.items() if word.strip().lower() in names), None)


def is_system(name: str) -> bool:
    """Whether a file or folder is hidden or a system's."""
    return name.startswith((".", "~$")) or name.lower() in SYSTEM


def find_parts(path: Path) -> dict[str, Path]:
    """The folders of the parts.

    Raises:
        DataError: a part stands there under two names.
    """
    found: dict[str, Path] = {}
    for folder in _entries(path) if path.is_dir() else ():
        part = part_of(folder.name) if folder.is_dir() else None
        if part in found:
            raise DataError(
                f"{shown(path)} has both {shown(found[part].name)}/ and {shown(folder.name)}/: each part must be there "
                "once; join or remove one"
            )
        if part:
            found[part] = folder
    return found


def read_folders(path: Path) -> Source:
    """The images of class folders, sorted by name; every file below a class folder belongs to it.

    Raises:
        DataError: there are no class folders, or not the same in all parts.
    """
    folders = find_parts(path)
    classes = _class_folders(folders["train"])
    if not classes:
        raise DataError(f"{shown(folders['train'])} has no class folders; make one folder a class")
    names = tuple(sorted(classes))
    left_out: Counter[str] = Counter()
    parts = {}
    for part, folder in folders.items():
        found = _class_folders(folder)
        if differing := sorted(set(found) ^ set(names)):
            raise DataError(
                f"{folders['train'].name}/ and {folder.name}/ must hold the same class folders, but one alone has "
                f"{shown(', '.join(differing[:10]))}; add or remove them"
            )
        parts[part] = _part(found, names, shown(folder.name), left_out)
        if loose := sum(not p.is_dir() for p in _entries(folder)):
            left_out[f"{shown(folder.name)}/, in no class folder"] = loose
    if others := [shown(p.name) for p in _entries(path) if p.is_dir() and p not in folders.values()]:
        left_out[f"folders beside {folders['train'].name}/: {', '.join(sorted(others)[:10])}"] = len(others)
    return Source(parts, tuple(map(shown, names)), _told(left_out))


def read_classes(path: Path) -> Source | None:
    """The images of class folders that lie in no parts: a part of each class is split off as test data.

    Returns:
        None where fewer than two folders hold images.
    """
    classes = _class_folders(path) if path.is_dir() else {}
    names = tuple(name for name in sorted(classes) if next(_images(classes[name], "", Counter()), None))
    if len(names) < 2:
        return None
    left_out: Counter[str] = Counter()
    whole = _part(classes, names, shown(path.name), left_out)
    tested = stratified(whole.labels, TEST_FRACTION)
    parts = {"train": whole.subset(np.flatnonzero(~tested)), "test": whole.subset(np.flatnonzero(tested))}
    note = f"there are no parts: {TEST_FRACTION:.3g} of each class are split off as test data"
    return Source(parts, tuple(map(shown, names)), [note, *_told(left_out)])


def _part(classes: Mapping[str, Path], names: Sequence[str], where: str, left_out: Counter[str]) -> ImageSet:
    """The images of class folders, labeled in the order of the names."""
    files: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        images = sorted(_images(classes[name], f"{where}/{shown(name)}", left_out))
        files += images
        labels += [label] * len(images)
    return ImageSet(files, np.asarray(labels, dtype=np.int64))


def _told(left_out: Counter[str]) -> list[str]:
    return [f"left out: {n:,} of {where}" for where, n in left_out.items()]


def image_files(folder: Path) -> list[str]:
    """All images below a folder."""
    return sorted(_images(folder, "", Counter()))


def _class_folders(folder: Path) -> dict[str, Path]:
    """Class folders by their names, written alike whichever system made them."""
    found: dict[str, Path] = {}
    for path in _entries(folder):
        if path.is_dir():
            name = unicodedata.normalize("NFC", path.name)
            if name in found:
                raise DataError(f"{shown(folder)} has the class folder {shown(name)} twice; join the two")
            found[name] = path
    return found


def _entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not is_system(path.name))


def _images(folder: Path, where: str, left_out: Counter[str]) -> Iterator[str]:
    """The images below a folder; other files are counted by their endings, a system's under one heading."""
    seen = set()
    for place, inner, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            inner.clear()  # a link back to a folder above
            continue
        seen.add(real)
        inner[:] = sorted(name for name in inner if not is_system(name))
        for name in sorted(files):
            path = Path(place, name)
            if is_system(name):
                left_out["hidden or system files"] += 1
            elif path.suffix.lower() in endings() or (path.is_file() and is_image(path)):
                yield str(path)
            else:
                left_out[f"{where} that are no images ({shown(path.suffix.lower()) or 'no ending'})"] += 1
