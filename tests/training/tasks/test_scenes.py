"""Scenes: equal seeds give equal files, whose two formats tell the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from training.tasks.conftest import garments
from typer.testing import CliRunner

from uninas_evo.cli import app
from uninas_evo.errors import DataError
from uninas_evo.training.protocol import load_protocol
from uninas_evo.training.tasks import task_class
from uninas_evo.training.tasks.scenes import CLASSES, write_scenes


def test_equal_seeds_give_equal_files(scenes: Path, tmp_path: Path) -> None:
    """Bit for bit; another seed gives others; a folder with content is refused."""
    source = garments(tmp_path / "g.npz")
    for seed, name in ((0, "again"), (1, "other")):
        write_scenes(source, tmp_path / name, seed, {"train": 40, "test": 6}, lambda line: None)
    files = sorted(path.relative_to(scenes) for path in scenes.rglob("*") if path.is_file())
    assert len(files) == 2 * 46 + 3
    assert all((scenes / file).read_bytes() == (tmp_path / "again" / file).read_bytes() for file in files)
    assert (scenes / "instances_test.json").read_bytes() != (tmp_path / "other" / "instances_test.json").read_bytes()
    with pytest.raises(DataError, match="has content already: scenes need a folder of their own"):
        write_scenes(source, tmp_path / "again")


def test_both_formats_tell_the_same(scenes: Path) -> None:
    """The pixels of the masks of a scene's objects are those of its labels; one to six objects, all seen."""
    objects = task_class("detection").read(scenes, load_protocol("detection-small"))
    pixels = task_class("segmentation").read(scenes, load_protocol("segmentation-small"))
    assert objects.classes == CLASSES
    assert pixels.classes == ("background", *CLASSES)
    for index, entry in enumerate(objects.test.entries):
        assert 1 <= len(entry.labels) <= 6
        labels = np.zeros(entry.size, np.uint8)
        for label, mask in zip(entry.labels, entry.masks(np.arange(len(entry.labels))).numpy(), strict=True):
            assert mask.any()
            assert not labels[mask > 0].any(), "objects do not overlap: what is seen is one's own"
            labels[mask > 0] = label + 1
        assert (labels == pixels.test.mask(index)).all()
        with Image.open(entry.file) as image:
            assert (image.mode, image.size) == ("L", (128, 96))


def test_test_scenes_hold_test_garments(tmp_path: Path) -> None:
    """Of a source whose test pictures are of one class alone, so are the test scenes."""
    source = garments(tmp_path / "g.npz")
    with np.load(source) as arrays:
        whole = dict(arrays)
    whole["y_test"][:] = 3
    np.savez(source, **whole)
    write_scenes(source, tmp_path / "s", 0, {"train": 4, "test": 4}, lambda line: None)
    found = json.loads((tmp_path / "s" / "instances_test.json").read_text())["annotations"]
    assert {one["category_id"] for one in found} == {4}


def test_the_command(tmp_path: Path) -> None:
    """`scenes` writes both parts; of other data it says what it needs."""
    source = str(garments(tmp_path / "g.npz"))
    run = CliRunner().invoke
    done = run(app, ["scenes", source, "--out", str(tmp_path / "s"), "--train", "3", "--test", "1"])
    assert done.exit_code == 0, done.output
    assert len(list((tmp_path / "s" / "images" / "train").iterdir())) == 3
    np.savez(tmp_path / "large.npz", **{name: np.zeros((10, 32, 32), np.uint8) for name in ("x_train", "x_test")},
             y_train=np.arange(10), y_test=np.arange(10))  # fmt: skip
    done = run(app, ["scenes", str(tmp_path / "large.npz"), "--out", str(tmp_path / "t")])
    assert done.exit_code == 2
    assert "gray pictures of 28 x 28 pixels" in " ".join(done.stderr.split())
