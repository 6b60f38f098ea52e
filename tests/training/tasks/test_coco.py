"""COCO folders are read as they are, or refused by one message that names file and entry."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from uninas_evo.errors import DataError
from uninas_evo.training.protocol import Protocol, load_protocol
from uninas_evo.training.tasks import task_class
from uninas_evo.training.tasks.detection import has_masks
from uninas_evo.training.tasks.objects import encoded

PROTOCOL = load_protocol("detection-small").replace(val_fraction=0.34)
Content = dict[str, Any]


def content() -> Content:
    """Three images: a polygon and a crowd of run lengths, a mask of compressed ones, and no object."""
    crowd = {"size": [20, 30], "counts": [300, 40, 260]}
    mask = np.zeros((20, 30), np.uint8)
    mask[2:12, 5:15] = 1
    return {
        "images": [{"id": 10 * i, "file_name": f"{i}.png", "height": 20, "width": 30} for i in (1, 2, 3)],
        "categories": [{"id": 4, "name": "cat"}, {"id": 9, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 10, "category_id": 9, "bbox": [4, 5, 10, 8], "iscrowd": 0, "area": 80,
             "segmentation": [[4, 5, 14, 5, 14, 13, 4, 13]]},
            {"id": 2, "image_id": 10, "category_id": 4, "bbox": [14, 0, 4, 20], "iscrowd": 1, "segmentation": crowd},
            {"id": 3, "image_id": 20, "category_id": 4, "bbox": [5, 2, 10, 10], "segmentation": encoded(mask)},
        ],
    }  # fmt: skip


def write(folder: Path, change: Callable[[Content], Any] = lambda c: None, part: str = "train") -> Path:
    """A folder of both parts, one of them changed."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for i in (1, 2, 3):
        Image.fromarray(np.full((20, 30, 3), 40 * i, np.uint8)).save(folder / "images" / f"{i}.png")
    for name in ("train", "val"):
        table = content()
        changed = change(table) if name == part else None
        file = folder / f"instances_{name}.json"
        if isinstance(changed, bytes):
            file.write_bytes(changed)
        else:
            file.write_text(json.dumps(table))
    return folder


def read(folder: Path, protocol: Protocol = PROTOCOL) -> Any:
    return task_class("detection").read(folder, protocol)


def test_what_is_there_is_read(tmp_path: Path) -> None:
    """Polygons, run lengths in both forms, crowds, images without objects; gaps among the ids are told."""
    data = read(write(tmp_path))
    assert data.classes == ("cat", "dog")
    assert (len(data.train), len(data.val), len(data.test)) == (2, 1, 3)
    assert any("the category ids 4 to 9 have gaps" in note for note in data.notes)
    assert any("3 images, 2 objects, 1 crowd that neither learn nor count, 1 image without" in n for n in data.notes)
    first, second, third = data.test.entries
    assert first.labels.tolist() == [1, 0]
    assert first.ignored.tolist() == [False, True]
    assert first.boxes[0].tolist() == [4, 5, 14, 13]
    masks = first.masks(np.array([0, 1])).numpy()
    assert masks[0, 5:13, 4:14].all()
    assert masks[0].sum() == 80
    assert masks[1].sum() == 40
    assert second.masks(np.array([0])).numpy()[0, 2:12, 5:15].all()
    assert third.boxes.shape == (0, 4)
    assert has_masks(data, PROTOCOL)


def test_the_layout_of_the_download(tmp_path: Path) -> None:
    """`annotations/instances_train2017.json` beside `train2017/`; without masks boxes alone are learnt."""
    write(tmp_path, lambda c: [one.pop("segmentation") for one in c["annotations"]])
    (tmp_path / "annotations").mkdir()
    for part in ("train", "val"):
        (tmp_path / f"instances_{part}.json").rename(tmp_path / "annotations" / f"instances_{part}2017.json")
    (tmp_path / "images").rename(tmp_path / "train2017")
    (tmp_path / "val2017").symlink_to("train2017")
    data = read(tmp_path)
    assert Path(data.train.entries[0].file).parent.name == "train2017"
    with pytest.raises(DataError, match="1 of 4 objects have no mask, such as object 1 of image"):
        has_masks(read(write(tmp_path / "mixed", lambda c: c["annotations"][0].pop("segmentation"))), PROTOCOL)


def test_empty_boxes_are_left_out_where_that_is_wanted(tmp_path: Path) -> None:
    """And counted; without the setting they are refused."""
    folder = write(tmp_path, lambda c: c["annotations"][0].update(bbox=[4, 5, 0, 8]))
    with pytest.raises(DataError, match=r"annotation 1 of .*instances_train.json has a box of no area, 0 x 8"):
        read(folder)
    data = read(folder, PROTOCOL.replace(detection={"leave_out_empty": True}))
    assert "instances_train.json: left out 1 object whose box has no area" in data.notes
    assert sum(part.learnt for part in (data.train, data.val)) == 1


def first(**changes: Any) -> Callable[[Content], Any]:
    return lambda c: c["annotations"][0].update(changes)


def image(**changes: Any) -> Callable[[Content], Any]:
    return lambda c: c["images"][0].update(changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: b'{"images": [', "instances_train.json is not readable JSON"),
        (lambda c: b"\xff\xfe\x00", "instances_train.json is not readable JSON"),
        (lambda c: b"[" * 100_000, "instances_train.json is not readable JSON"),
        (lambda c: b"[]", "must hold the lists of tables images, annotations and categories"),
        (lambda c: c.pop("images"), "must hold the lists of tables"),
        (lambda c: c["annotations"].append(3), "must hold the lists of tables"),
        (lambda c: c["categories"].clear(), "has no categories; add one"),
        (lambda c: c["categories"][0].update(name="dog"), "has the category dog twice"),
        (lambda c: c["categories"][0].update(id=9), "category 9 of .* is there twice"),
        (lambda c: c["categories"][0].update(name=""), "category 4 of .* needs a text as name, got ''"),
        (lambda c: c["images"].clear(), "has the image_id 10, which is not in the file|has no images"),
        (image(id=True), "image number 0 of .* needs a whole number from 0 up as id, got True"),
        (image(file_name="../1.png"), "must lie in the folder of images"),
        (image(file_name="2.png"), "has a file_name that another has: 2.png"),
        (lambda c: c["images"][1].update(file_name="9.png"), "names the image .*9.png, which is not there; add it"),
        (image(file_name="none.png"), "which is in none of"),
        (image(height=0), "needs a whole number from 1 up as height, got 0"),
        (lambda c: c["images"][2].update(height=21), "is made for 30 x 21 pixels and its image .*3.png has 30 x 20"),
        (image(width=2**30), "annotation 2 of .* has a mask of the size|announces 1073741824 x 20 pixels"),
        (first(image_id=11), "annotation 1 of .* has the image_id 11, which is not in the file: add the image"),
        (first(category_id=1), "has the category_id 1, which is not in the file: add the category"),
        (first(id=2), "annotation 2 of .* is there twice: ids must differ"),
        (first(bbox=[1, 2, 3]), "needs a bbox of four numbers"),
        (first(bbox=[1, 2, 3, None]), "needs a bbox of four numbers"),
        (first(bbox=[1, 2, float("nan"), 3]), "needs a bbox of four numbers"),
        (first(bbox=[1, 2, -3, 3]), "needs a bbox of four numbers"),
        (first(bbox=[25, 5, 10, 8]), r"has a box from \(25.0, 5.0\) to \(35.0, 13.0\) in an image of 30 x 20"),
        (first(iscrowd="yes"), "needs 0 or 1 as iscrowd, got 'yes'"),
        (first(area=-1), "needs a number from 0 up as area, got -1"),
        (first(segmentation=[[1, 2, 3, 4]]), "neither polygons, lists of three or more pairs"),
        (first(segmentation=[[1, 2, 3, 4, 5, "6"]]), "neither polygons"),
        (first(segmentation="mask"), "neither polygons"),
        (first(segmentation=[[1, 2, 3, 40, 5, 6]]), "in its segmentation, has a box"),
        (first(segmentation={"size": [30, 20], "counts": [600]}), r"has a mask of the size \[30, 20\] in an image"),
        (first(segmentation={"size": [20, 30], "counts": [599]}), "must be whole numbers that sum to 600, got 599"),
        (first(segmentation={"size": [20, 30], "counts": [-1, 601]}), "must be whole numbers"),
        (first(segmentation={"size": [20, 30], "counts": "abc"}), "run lengths that are not those of a mask"),
        (first(segmentation={"size": [20, 30], "counts": "\x01é"}), "run lengths that are not those of a mask"),
        (lambda c: c["categories"].pop(0), "has the category_id 4|all parts must have the same"),
    ],
)
def test_what_is_wrong_is_one_message(tmp_path: Path, change: Callable[[Content], Any], message: str) -> None:
    """It names the file and the entry, and says the rule."""
    with pytest.raises(DataError, match=message) as caught:
        read(write(tmp_path, change))
    assert "instances_" in str(caught.value)


def test_broken_images_and_other_folders(tmp_path: Path) -> None:
    """Images are opened before the first step; a folder of something else says what is needed."""
    folder = write(tmp_path / "a")
    (folder / "images" / "2.png").write_bytes((folder / "images" / "2.png").read_bytes()[:60])
    with pytest.raises(DataError, match=r"image .*2.png cannot be read"):
        read(folder)
    with pytest.raises(DataError, match=r"give a COCO folder with instances_train.json"):
        read(tmp_path)
    (folder / "instances_half.json").write_text("{}")
    with pytest.raises(DataError, match=r"instances_half.json is of no part that is known"):
        read(folder)
    (folder / "instances_half.json").rename(folder / "instances_train2.json")
    with pytest.raises(DataError, match="for one part; remove one"):
        read(folder)
    alone = write(tmp_path / "b")
    (alone / "instances_val.json").unlink()
    with pytest.raises(DataError, match="the data has a training part alone"):
        read(alone)
