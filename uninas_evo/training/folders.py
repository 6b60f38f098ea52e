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
HIDDEN = "hidden or system folders"
SYSTEM = {
    "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "picasa.ini", "zbthumbnail.info", "__macosx", "@eadir", "@tmp",
    "#recycle", "#snapshot", "$recycle.bin", "recycler", "system volume information", "lost+found",
    "network trash folder", "temporary items", "__pycache__",
}  # fmt: skip
"""Files and folders, in small letters, that systems put beside a user's; those that begin with a dot are theirs too."""
LEFTOVERS = (
    "~", "#", ".bak", ".orig", ".old", ".rej", ".tmp", ".temp", ".swp", ".part", ".partial", ".crdownload", ".download",
    ":zone.identifier", ":encryptable",
)  # fmt: skip
"""How the names of second copies and of halves end, in small letters, that editors and browsers leave beside a file."""


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


def _is_leftover(name: str) -> bool:
    """Whether a file is a system's, or what a program left beside the file proper."""
    return is_system(name) or name.lower().endswith(LEFTOVERS)


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
    others = [place for place in _entries(path) if place.is_dir() and place not in folders.values()]
    for other in others:
        if set(names) & set(_class_folders(other)):
            raise DataError(
                f"{shown(other)} holds folders of the same classes as {folders['train'].name}/ and has the name of no "
                "part: name it val or test, or move it elsewhere"
            )
    left_out: Counter[str] = Counter()
    parts = {}
    places: dict[str, str] = {}
    for part, folder in folders.items():
        found = _class_folders(folder)
        for place in found.values():
            if (known := places.setdefault(os.path.realpath(place), part)) != part:
                raise DataError(
                    f"{shown(place)} is also a folder of {folders[known].name}/: no image may stand in two parts; "
                    "remove the link"
                )
        if differing := sorted(set(found) ^ set(names)):
            raise DataError(
                f"{folders['train'].name}/ and {folder.name}/ must hold the same class folders, but one alone has "
                f"{shown(', '.join(differing[:10]))}; add or remove them"
            )
        parts[part] = _part(found, names, shown(folder.name), left_out)
        if loose := sum(not p.is_dir() for p in _entries(folder)):
            left_out[f"{shown(folder.name)}/, in no class folder"] = loose
        left_out[HIDDEN] += _hidden(folder)
    left_out[HIDDEN] += _hidden(path)
    if others:
        told = ", ".join(shown(place.name) for place in others[:10])
        left_out[f"folders beside {folders['train'].name}/: {told}"] = len(others)
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
    if part := next((name for name in names if part_of(name)), ""):
        raise DataError(
            f"{shown(path)} has {shown(part)}/ and no train/: name the folder of the training images train; if "
            f"{shown(part)} is a class, give it another name"
        )
    inner = [set(_class_folders(classes[name])) for name in names]
    if all(inner) and all(one == inner[0] for one in inner):
        raise DataError(
            f"{shown(path)} holds {shown(', '.join(names[:10]))}, and each of them the folders "
            f"{shown(', '.join(sorted(inner[0])[:10]))}: these look like parts; name them train, val and test"
        )
    left_out: Counter[str] = Counter()
    whole = _part(classes, names, shown(path.name), left_out)
    tested = stratified(whole.labels, TEST_FRACTION)
    parts = {"train": whole.subset(np.flatnonzero(~tested)), "test": whole.subset(np.flatnonzero(tested))}
    note = f"there are no parts: {TEST_FRACTION:.3g} of each class are split off as test data"
    left_out[HIDDEN] += _hidden(path)
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
    return [f"left out: {n:,} of {where}" for where, n in left_out.items() if n]


def image_files(folder: Path) -> list[str]:
    """All images below a folder."""
    return sorted(_images(folder, "", Counter()))


def images_at(path: Path) -> list[str]:
    """An image, or all images below a folder in the order of their paths.

    Raises:
        DataError: there are none.
    """
    try:
        found = [str(path)] if path.is_file() else image_files(path) if path.is_dir() else []
    except OSError as error:
        raise DataError(f"{shown(path)} cannot be read ({error.strerror}); allow reading it") from error
    if not found:
        raise DataError(f"there are no images at {shown(repr(str(path)))}; give an image or a folder of images")
    return found


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


def _hidden(folder: Path) -> int:
    return sum(place.is_dir() and is_system(place.name) for place in folder.iterdir())


def _images(folder: Path, where: str, left_out: Counter[str]) -> Iterator[str]:
    """The images below a folder; other files are counted by their endings, a system's under one heading."""
    seen = set()
    for place, inner, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            inner.clear()  # a link back to a folder above
            continue
        seen.add(real)
        left_out[HIDDEN] += sum(map(is_system, inner))
        inner[:] = sorted(name for name in inner if not is_system(name))
        for name in sorted(files):
            path = Path(place, name)
            if _is_leftover(name):
                left_out["hidden or system files"] += 1
            elif path.suffix.lower() in endings() or (path.is_file() and is_image(path)):
                yield str(path)
            else:
                left_out[f"{where} that are no images ({shown(path.suffix.lower()) or 'no ending'})"] += 1
