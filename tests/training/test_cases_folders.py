"""Folders as systems and users leave them: what is data is taken, the rest is counted and told."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uninas_evo.errors import DataError
from uninas_evo.training.check import check, statement
from uninas_evo.training.images import Splits
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.readers import read_splits

PROTOCOL = Protocol(epochs=2, batch_size=2, lr=1e-3)


def folder(root: Path, parts: tuple[str, ...] = ("train", "val", "test"), count: int = 5) -> Path:
    for part in parts:
        for label, name in enumerate(("cat", "dog")):
            (root / part / name).mkdir(parents=True)
            for i in range(count):
                Image.new("L", (16, 16), 100 * label + i).save(root / part / name / f"{i}.png")
    return root


def sizes(splits: Splits) -> list[int]:
    return [len(part) for part in splits.parts.values()]


def told(splits: Splits) -> str:
    return "\n".join(statement(splits, (3, 16, 16), PROTOCOL))


def test_what_systems_leave_is_left_out(tmp_path: Path) -> None:
    """Hidden files and folders and those of macOS, Windows and notebooks are no data, and are counted."""
    folder(tmp_path)
    cat = tmp_path / "train" / "cat"
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._0.png", "~$0.png"):
        (cat / name).write_bytes(b"x")
    for place in (tmp_path, tmp_path / "train", tmp_path / "val", cat):
        (place / ".ipynb_checkpoints").mkdir()
        (place / "__MACOSX").mkdir()
    shutil.copy(cat / "0.png", cat / ".ipynb_checkpoints" / "0-checkpoint.png")
    splits = read_splits(tmp_path, 0.2)
    check(splits, 2)
    assert splits.classes == ("cat", "dog")
    assert sizes(splits) == [10, 10, 10]
    assert "left out: 5 of hidden or system files" in told(splits)


@pytest.mark.parametrize(
    "name",
    [
        "0.png~",
        "0.png.bak",
        "#0.png#",
        "0.png.part",
        "0.png.crdownload",
        "0.png:Zone.Identifier",
        "Icon\r",
        "ehthumbs.db",
    ],
)
def test_second_copies_and_halves_are_left_out(tmp_path: Path, name: str) -> None:
    """What editors and browsers leave beside a file would stand in two parts at once."""
    folder(tmp_path)
    shutil.copy(tmp_path / "train" / "cat" / "0.png", tmp_path / "train" / "cat" / name)
    splits = read_splits(tmp_path, 0.2)
    assert sizes(splits) == [10, 10, 10]
    assert "left out: 1 of hidden or system files" in told(splits)


@pytest.mark.parametrize("name", [".thumbnails", ".Trash-1000", "@eaDir", "#recycle", "$RECYCLE.BIN", "__pycache__"])
@pytest.mark.parametrize("place", [".", "train", "train/cat"])
def test_hidden_folders_are_left_out_and_counted(tmp_path: Path, name: str, place: str) -> None:
    """They are no parts, no classes, and hold no images."""
    folder(tmp_path)
    shutil.copytree(tmp_path / "train" / "cat", tmp_path / place / name)
    splits = read_splits(tmp_path, 0.2)
    check(splits, 2)
    assert sizes(splits) == [10, 10, 10]
    assert "left out: 1 of hidden or system folders" in told(splits)


@pytest.mark.parametrize("name", ["validate", "val_images", "test2017", "holdout"])
def test_a_part_of_an_unknown_name_is_refused(tmp_path: Path, name: str) -> None:
    """Data that is there would be left out."""
    with pytest.raises(DataError, match=rf"{name} holds folders of the same classes as train/.*name it val or test"):
        read_splits(folder(tmp_path, ("train", "test", name)), 0.1)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (("trainset", "val"), "has val/ and no train/"),
        (("cats", "testing"), "has testing/ and no train/"),
        (("train2017", "test2017"), "holds test2017, train2017, and each of them the folders cat, dog: .* like parts"),
    ],
)
def test_parts_are_not_taken_for_classes(tmp_path: Path, parts: tuple[str, ...], message: str) -> None:
    """Of folders without train/, one that is called as a part, or parts of other names, are told."""
    with pytest.raises(DataError, match=message):
        read_splits(folder(tmp_path, parts), 0.1)


def test_two_parts_that_are_one_folder_are_refused(tmp_path: Path) -> None:
    """A link from val/ to train/, or from one class of it."""
    folder(tmp_path)
    shutil.rmtree(tmp_path / "val")
    (tmp_path / "val").symlink_to(tmp_path / "train")
    with pytest.raises(DataError, match=r"val/cat is also a folder of train/: no image may stand in two parts"):
        read_splits(tmp_path, 0.1)


def test_class_names_are_text(tmp_path: Path) -> None:
    """Control characters are written out, brackets stay."""
    for part in ("train", "val"):
        for name in ("a\nb\x1b[31m", "[red]"):
            (tmp_path / part / name).mkdir(parents=True)
            Image.new("L", (16, 16)).save(tmp_path / part / name / "0.png")
            Image.new("L", (16, 16)).save(tmp_path / part / name / "1.png")
    assert read_splits(tmp_path, 0.1).classes == ("[red]", r"a\nb\x1b[31m")


def test_every_image_is_read_and_the_rest_is_counted(tmp_path: Path) -> None:
    """All that Pillow reads is taken, endings in any case or none; other files are told by their endings."""
    folder(tmp_path)
    cat = tmp_path / "train" / "cat"
    image = Image.new("RGB", (16, 16))
    for i, (ending, form) in enumerate(
        [(".gif", "GIF"), (".jfif", "JPEG"), (".JPG", "JPEG"), (".Tiff", "TIFF"), ("", "PNG"), (".dat", "BMP")]
    ):
        image.save(cat / f"more{i}{ending}", format=form)
    (cat / "labels.txt").write_text("cat")
    (cat / "notes").write_text("cat")
    (tmp_path / "train" / "list.csv").write_text("a")
    (tmp_path / "raw").mkdir()
    splits = read_splits(tmp_path, 0.2)
    check(splits, 2)
    assert sizes(splits) == [16, 10, 10]
    text = told(splits)
    assert "1 of train/cat that are no images (.txt)" in text
    assert "1 of train/cat that are no images (no ending)" in text
    assert "1 of train/, in no class folder" in text
    assert "folders beside train/: raw" in text


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Validation", "VAL"])
def test_the_validation_part_by_any_name(tmp_path: Path, name: str) -> None:
    """val/, valid/ and validation/ are the validation part."""
    assert sizes(read_splits(folder(tmp_path, ("Train", name, "test")), 0.1)) == [10, 10, 10]


def test_a_part_under_two_names_is_refused(tmp_path: Path) -> None:
    """val/ and validation/ together are refused by name."""
    with pytest.raises(DataError, match="has both val/ and validation/: each part must be there once"):
        read_splits(folder(tmp_path, ("train", "val", "validation", "test")), 0.1)


def test_an_empty_class_of_a_part_is_told(tmp_path: Path) -> None:
    """A class without validation images is a notice, one without training images an error."""
    folder(tmp_path)
    shutil.rmtree(tmp_path / "val" / "dog")
    (tmp_path / "val" / "dog").mkdir()
    splits = read_splits(tmp_path, 0.1)
    check(splits, 2)
    assert "notice: no validation images of dog" in told(splits)


def test_several_frames_are_told(tmp_path: Path) -> None:
    """Of an animation the first frame is read, and the statement says so."""
    folder(tmp_path)
    frames = [Image.new("L", (16, 16), v) for v in (0, 255)]
    frames[0].save(tmp_path / "train" / "cat" / "a.gif", save_all=True, append_images=frames[1:])
    splits = read_splits(tmp_path, 0.1)
    check(splits, 2)
    assert "1 images of several frames, the first is read" in told(splits)


def test_odd_files_end_nothing(tmp_path: Path) -> None:
    """A pipe, a loop of links and names that are not UTF-8 are survived."""
    folder(tmp_path)
    cat = tmp_path / "train" / "cat"
    os.mkfifo(cat / "pipe")
    (cat / "loop").symlink_to(cat)
    os.rename(os.fsencode(cat / "0.png"), os.fsencode(cat) + b"/\xff.png")
    splits = read_splits(tmp_path, 0.1)
    check(splits, 2)
    assert sizes(splits) == [10, 10, 10]
    told(splits).encode()


def test_png_checksums_are_verified(tmp_path: Path) -> None:
    """A flipped bit anywhere in the pixels of a PNG is found in the check."""
    folder(tmp_path)
    path = tmp_path / "train" / "cat" / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint8)).save(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"noise\.png cannot be read"):
        check(read_splits(tmp_path, 0.1), 2)


def write_table(root: Path, text: str, encoding: str = "utf-8") -> Path:
    for i in range(20):
        Image.new("L", (16, 16), i).save(root / f"{i}.png")
    (root / "sub").mkdir()
    (root / "link.png").symlink_to(root / "0.png")
    (root / "labels.csv").write_text(text, encoding=encoding)
    return root


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_labels_in_a_table(tmp_path: Path, encoding: str, sign: str) -> None:
    """A CSV of files and words makes each word a class; with a column part, that part is taken."""
    rows = [f"{i}.png{sign}{'äb'[i % 2]}{sign}{('train', 'valid', 'test')[i % 3]}" for i in range(18)]
    root = write_table(tmp_path, "\n".join([f"file{sign}label{sign}split", *rows]) + "\n", encoding)
    for given in (root, root / "labels.csv"):
        splits = read_splits(given, 0.1)
        check(splits, 2)
        assert splits.classes == ("b", "ä")
        assert sizes(splits) == [6, 6, 6]
        assert "left out: 3 images that labels.csv does not name" in told(splits)


def test_one_word_in_two_spellings_is_one_class(tmp_path: Path) -> None:
    """An accent may be written as one character or two; blank lines and doubled byte-order marks say nothing."""
    words = ("x", "e\u0301", "x", "é")
    rows = "".join(f"{i}.png,{words[i % 4]}\n  ,\n" for i in range(20))
    splits = read_splits(write_table(tmp_path, f"\ufeff\ufeff\n\nfile,label\n{rows}\n"), 0.25)
    assert splits.classes == ("x", "é")


def test_labels_without_parts(tmp_path: Path) -> None:
    """Without a column part a fifth of each class is the test data, and numbers are sorted by size."""
    root = write_table(tmp_path, "file,label\n" + "".join(f"{i}.png,{(2, 10)[i % 2]}\n" for i in range(20)))
    splits = read_splits(root, 0.25)
    check(splits, 2)
    assert splits.classes == ("2", "10")
    assert sizes(splits) == [12, 4, 4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\n0.png,a\n0.png,b\n", "names 0.png in the lines 2 and 3: each image stands once"),
        ("file,label\n0.png,a\n./0.png,b\n", "lines 2 and 3"),
        ("file,label\nno.png,a\n", r"line 2 of .* names .*no\.png, which is no file"),
        ("file,label\n0.png,\n", "line 2 of .* has no label"),
        ("file,label,label\n0.png,a,b\n", "has the column 'label' twice"),
        ("file,label,class\n0.png,a,b\n", "has both the columns label and class"),
        ("name,label\n0.png,a\n", "has the columns name, label: it needs file and label"),
        ("file,label\n0.png\n", "line 2 of .* has 1 cells for 2 columns"),
        ("file,label,part\n0.png,a,other\n", "line 2 of .* has the part 'other': it must be train, val or test"),
        ("file,label\n", "has no rows"),
        ("file,label\n0.png,a\nsub/../0.png,b\n", "lines 2 and 3"),
        ("file,label\n0.png,a\nlink.png,b\n", "lines 2 and 3"),
        ("file,label\n0.png,1\n1.png,1.0\n", "has the labels 1 and 1.0, which are one number"),
        ("file,label\n0.png,1\n1.png,01\n", "has the labels 01 and 1, which are one number"),
        ("file,label\n0.png,1\n1.png,nan\n", "has the label nan, which programs write for a missing one"),
    ],
)
def test_wrong_tables_of_labels(tmp_path: Path, text: str, message: str) -> None:
    """A wrong row is told by its line."""
    with pytest.raises(DataError, match=message):
        read_splits(write_table(tmp_path, text), 0.1)


def test_class_folders_without_parts_have_test_data_split_off(tmp_path: Path) -> None:
    """A fifth of each class, the same each time, told in a note; a folder without images is no class."""
    for label, count in (("ant", 10), ("bee", 20)):
        (tmp_path / label).mkdir()
        for number in range(count):
            Image.fromarray(np.full((4, 4), number, np.uint8)).save(tmp_path / label / f"{number}.png")
    (tmp_path / "notes").mkdir()
    splits = read_splits(tmp_path, 0.2)
    assert splits.classes == ("ant", "bee")
    assert np.bincount(splits.test.labels).tolist() == [2, 4]
    assert not set(splits.test.images) & set(splits.train.images) | set(splits.test.images) & set(splits.val.images)
    assert read_splits(tmp_path, 0.2).test.images == splits.test.images
    assert any("0.2 of each class are split off as test data" in note for note in splits.notes)
