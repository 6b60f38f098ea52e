"""Folders of images and masks are read as they are, or refused by one message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from uninas_evo.errors import DataError
from uninas_evo.training.protocol import load_protocol
from uninas_evo.training.tasks import task_class
from uninas_evo.training.tasks.segmentation import Segmentation

PROTOCOL = load_protocol("segmentation-small")
PARTS = {"training": 4, "validation": 2}


def write(folder: Path, labels: tuple[int, ...] = (0, 1, 2)) -> Path:
    """ADE20K's names: images/training/0.jpg beside annotations/training/0.png, every mask with all labels."""
    for part, count in PARTS.items():
        for kind in ("images", "annotations"):
            (folder / kind / part).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(np.full((20, 30, 3), 30 * i, np.uint8)).save(folder / "images" / part / f"{i}.jpg")
            mask = np.resize(np.repeat(np.asarray(labels, np.uint8), 7), (20, 30))
            Image.fromarray(mask).save(folder / "annotations" / part / f"{i}.png")
    return folder


def read(folder: Path, **table: Any) -> Any:
    return task_class("segmentation").read(folder, PROTOCOL.replace(segmentation=table))


def test_what_is_there_is_read(tmp_path: Path) -> None:
    """Classes are counted from the masks or named by a file; a palette's numbers are labels."""
    folder = write(tmp_path)
    data = read(folder)
    assert (data.classes, len(data.train), len(data.val), len(data.test)) == (("0", "1", "2"), 3, 1, 2)
    mask = Image.open(folder / "annotations" / "training" / "1.png")
    whole = np.asarray(mask)
    mask.putpalette([250, 0, 0, 0, 250, 0, 0, 0, 250])
    mask.save(folder / "annotations" / "training" / "1.png")
    (folder / "classes.txt").write_text("wall\nsky\nfloor\ndoor\n")
    again = read(folder)
    assert again.classes == ("wall", "sky", "floor", "door")
    assert all((again.train.mask(i) == whole).all() for i in range(3))
    assert Segmentation.__mro__  # the class of the task is this one
    assert task_class("segmentation") is Segmentation


def test_zero_is_no_class_where_that_is_wanted(tmp_path: Path) -> None:
    """0 becomes the ignored label, 1..K become 0..K-1, and what is ignored is counted."""
    data = read(write(tmp_path, (0, 1, 2, 255)), reduce_zero_label=True)
    assert data.classes == ("0", "1")
    assert np.unique(data.train.mask(0)).tolist() == [0, 1, 255]
    counts = data.train.pixels
    assert (counts[:2] > 0).all()
    assert counts[2:].sum() == 0
    assert any("of their pixels ignored" in note and "training" not in note for note in data.notes)


def damaged(path: str, change: Callable[[Path], Any]) -> Callable[[Path], Any]:
    return lambda folder: change(folder / path)


def saved(array: Any, mode: str | None = None) -> Callable[[Path], Any]:
    return lambda file: Image.fromarray(array).convert(mode or None).save(file)


MASK = "annotations/training/1.png"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (damaged(MASK, lambda f: f.write_bytes(f.read_bytes()[:50])), r"mask .*1.png cannot be read as PNG"),
        (damaged(MASK, lambda f: f.write_bytes(b"none")), r"mask .*1.png cannot be read as PNG"),
        (damaged(MASK, saved(np.zeros((20, 30, 3), np.uint8))), r"mask .*1.png has pixels of mode 'RGB'"),
        (damaged(MASK, saved(np.zeros((20, 30), np.uint16))), r"mask .*1.png has pixels of mode 'I;16'"),
        (damaged(MASK, saved(np.zeros((30, 20), np.uint8))), "is made for 20 x 30 pixels and its image .*1.jpg has 30"),
        (damaged(MASK, lambda f: f.unlink()), r"1.jpg has no mask of its name \(1 such file\)"),
        (damaged("images/training/1.jpg", lambda f: f.unlink()), r"1.png has no image of its name"),
        (damaged("images/training/1.jpg", lambda f: f.write_bytes(b"no")), r"image .*1.jpg cannot be read"),
        (damaged("images/training/notes.txt", lambda f: f.write_text("a")), r"notes.txt is no image; remove it"),
        (damaged("images/validation", lambda f: f.rename(f.with_name("other"))), "both must have the same; add or"),
        (
            damaged("annotations/validation/0.png", saved(np.full((20, 30), 7, np.uint8))),
            r"0.png has the label 7, and there are 3 classes: labels must be 0 to 2, or 255 for ignored",
        ),
        (damaged("classes.txt", lambda f: f.write_text("a\nb\n")), "has the label 2, and there are 2 classes"),
        (
            damaged("classes.txt", lambda f: f.write_text("a\na\nb\n")),
            "must hold the name of a class a line",
        ),
        (damaged("classes.txt", lambda f: f.write_bytes(b"\xff\xfa")), "classes.txt is no text"),
    ],
)
def test_what_is_wrong_is_one_message(tmp_path: Path, change: Callable[[Path], Any], message: str) -> None:
    """It names the file and says the rule."""
    folder = write(tmp_path)
    change(folder)
    with pytest.raises(DataError, match=message):
        read(folder)


def test_classes_with_gaps_need_their_names(tmp_path: Path) -> None:
    """Without the file the training masks must hold every label."""
    with pytest.raises(DataError, match=r"the training masks have the classes 0, 2: without classes.txt"):
        read(write(tmp_path, (0, 2)))
    with pytest.raises(DataError, match="give a folder with images/ and annotations/"):
        read(tmp_path / "images")
