"""VOC folders are read as they are, or refused by one message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from uninas_evo.errors import DataError
from uninas_evo.training.protocol import load_protocol
from uninas_evo.training.tasks import task_class

XML = """<annotation><filename>{name}.jpg</filename><size><width>30</width><height>20</height></size>
<object><name>dog</name><difficult>0</difficult>
<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>10</xmax><ymax>12</ymax></bndbox></object>
<object><name>cat</name><difficult>1</difficult>
<bndbox><xmin>5</xmin><ymin>5</ymin><xmax>30</xmax><ymax>20</ymax></bndbox></object></annotation>"""


def write(folder: Path, old: str = "", new: str = "") -> Path:
    """Six images in three parts; one XML file changed."""
    for place in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / place).mkdir(parents=True)
    names = [f"00{i}" for i in range(6)]
    for i, name in enumerate(names):
        Image.fromarray(np.full((20, 30, 3), 30 * i, np.uint8)).save(folder / "JPEGImages" / f"{name}.jpg")
        text = XML.format(name=name)
        (folder / "Annotations" / f"{name}.xml").write_text(text.replace(old, new, 1) if name == "002" else text)
    for part, own in (("train", names[:3]), ("val", names[3:4]), ("test", names[4:]), ("dog_train", [])):
        (folder / "ImageSets" / "Main" / f"{part}.txt").write_text("".join(f"{name}\n" for name in own))
    return folder


def read(folder: Path) -> Any:
    return task_class("detection").read(folder, load_protocol("detection-small"))


def test_what_is_there_is_read(tmp_path: Path) -> None:
    """Corners are counted from 1 and both inside; difficult objects neither learn nor count; classes are sorted."""
    data = read(write(tmp_path))
    assert (data.classes, len(data.train), len(data.val), len(data.test)) == (("cat", "dog"), 3, 1, 2)
    entry = data.train.entries[0]
    assert entry.boxes.tolist() == [[0, 1, 10, 12], [4, 4, 30, 20]]
    assert (entry.labels.tolist(), entry.ignored.tolist()) == ([1, 0], [False, True])
    assert "train: 3 images, 3 objects, 3 difficult objects that neither learn nor count" in data.notes


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("</annotation>", "", "is not readable XML"),
        ("<annotation>", "<!DOCTYPE a [<!ENTITY b 'c'>]><annotation>", "defines entities"),
        ("<width>30", "<width>31", "is made for 31 x 20 pixels and its image"),
        ("<width>30", "<width>0", "announces an image of 0 x 20"),
        ("<width>30</width>", "", "needs a number as size/width, got ''"),
        ("<name>dog", "<name>", "object 1 of .*002.xml has no name"),
        ("<xmin>1", "<xmin>nan", "needs a number as bndbox/xmin, got 'nan'"),
        ("<xmax>10", "<xmax>0", "has a box of no area"),
        ("<xmax>10", "<xmax>50", "it must lie inside"),
        ("<difficult>0", "<difficult>no", "needs 0 or 1 as difficult, got 'no'"),
    ],
)
def test_what_is_wrong_is_one_message(tmp_path: Path, old: str, new: str, message: str) -> None:
    """It names the file and says the rule."""
    with pytest.raises(DataError, match=message) as caught:
        read(write(tmp_path, old, new))
    assert "002.xml" in str(caught.value)


def test_lists_and_files_must_agree(tmp_path: Path) -> None:
    """A listed image without annotation, an annotation without image, and an image in two parts are refused."""
    lists = write(tmp_path / "a") / "ImageSets" / "Main"
    (lists / "val.txt").write_text("000\n")
    with pytest.raises(DataError, match="lists an image in two parts"):
        read(tmp_path / "a")
    (lists / "val.txt").write_text("009\n")
    with pytest.raises(DataError, match=r"009.xml is missing, and its image is listed"):
        read(tmp_path / "a")
    (write(tmp_path / "b") / "JPEGImages" / "001.jpg").unlink()
    with pytest.raises(DataError, match=r"001.xml has no image of its name"):
        read(tmp_path / "b")
    (lists / "val.txt").write_text("\n")
    with pytest.raises(DataError, match=r"val.txt must hold the name of an image a line"):
        read(tmp_path / "a")
