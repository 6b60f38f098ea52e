"""Data: each form is read alike, the split is fixed, and faults are found before training."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uninas_evo.errors import DataError
from uninas_evo.training.images import ImageSet, check, from_datasets, make_splits
from uninas_evo.training.readers import read_splits

FASHION = Path("/usr/share/datasets/fashion-mnist")


def arrays(count: int, seed: int, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 8, 8), dtype=np.uint8), np.arange(count) % classes


def write_idx(path: Path, array: np.ndarray, compress: bool) -> None:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    data = header + array.astype(np.uint8).tobytes()
    if compress:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(data))
    else:
        path.write_bytes(data)


def write_folders(root: Path, parts: tuple[str, ...] = ("train", "val"), per_class: int = 5) -> Path:
    for part in parts:
        for label, name in enumerate(("cat", "dog")):
            (root / part / name).mkdir(parents=True)
            for i in range(per_class):
                Image.new("RGB", (12, 10), (label * 200, i, 0)).save(root / part / name / f"{i}.png")
    return root


@pytest.mark.parametrize("form", ["keras", "medmnist", "idx", "idx.gz"])
def test_arrays_are_read_in_every_form(tmp_path: Path, form: str) -> None:
    """The same images and labels come out of each array form, with a tenth of each class for validation."""
    (x, y), (xt, yt) = arrays(40, 0), arrays(6, 1)
    path = tmp_path
    if form == "keras":
        path = tmp_path / "data.npz"
        np.savez(path, x_train=x, y_train=y, x_test=xt, y_test=yt)
    elif form == "medmnist":
        path = tmp_path / "data.npz"
        np.savez(path, train_images=x, train_labels=y[:, None], test_images=xt, test_labels=yt[:, None])
    else:
        for stem, images, labels in (("train", x, y), ("t10k", xt, yt)):
            write_idx(tmp_path / f"{stem}-images-idx3-ubyte", images, form.endswith("gz"))
            write_idx(tmp_path / f"{stem}-labels-idx1-ubyte", labels, form.endswith("gz"))
    splits = read_splits(path, 0.1)
    assert [len(s) for s in (splits.train, splits.val, splits.test)] == [36, 4, 6]
    assert np.bincount(splits.val.labels).tolist() == [2, 2]
    assert np.array_equal(splits.test.read(3)[:, :, 0], xt[3])
    assert splits.test.labels.tolist() == yt.tolist()
    check(splits, 2)


def test_the_split_never_changes() -> None:
    """The validation part is the same in every call, disjoint from the training part, and covers it with it."""
    x, y = arrays(50, 0)
    train, test = ImageSet(np.arange(50)[:, None], y), ImageSet(x[:2], y[:2])
    one, two = (make_splits(train, test, None, (), 0.2) for _ in range(2))
    assert np.array_equal(one.val.images, two.val.images)
    together = np.concatenate([one.train.images, one.val.images]).ravel()
    assert sorted(together.tolist()) == list(range(50))


def test_image_folders_without_test_use_val_as_test(tmp_path: Path) -> None:
    """Of train/ and val/, val/ is the test data; the validation part comes from train/."""
    splits = read_splits(write_folders(tmp_path), 0.2)
    assert splits.classes == ("cat", "dog")
    assert [len(s) for s in (splits.train, splits.val, splits.test)] == [8, 2, 10]
    assert all("/train/" in str(splits.val.images[i]) for i in range(2))
    assert all("/val/" in str(p) for p in splits.test.images)


def test_image_folders_with_test_use_all_three(tmp_path: Path) -> None:
    """With test/, val/ validates and train/ is used whole."""
    splits = read_splits(write_folders(tmp_path, ("train", "val", "test")), 0.2)
    assert [len(s) for s in (splits.train, splits.val, splits.test)] == [10, 10, 10]
    assert all("/test/" in str(p) for p in splits.test.images)


def test_datasets_in_torchvisions_style_are_taken() -> None:
    """Any object of (image, label) items works, with or without `targets`."""
    x, y = arrays(20, 0)

    class WithTargets(list):  # type: ignore[type-arg]
        targets = y.tolist()

    items = list(zip(x, y, strict=True))
    for dataset in (items, WithTargets(items)):
        splits = from_datasets(dataset, dataset, val_fraction=0.1)
        check(splits, 2)
        assert np.array_equal(splits.test.read(7)[:, :, 0], x[7])


@pytest.mark.parametrize("place", ["train", "val"])
def test_broken_images_are_named_before_training(tmp_path: Path, place: str) -> None:
    """A truncated image anywhere is reported with its path."""
    write_folders(tmp_path)
    broken = tmp_path / place / "dog" / "2.png"
    broken.write_bytes(broken.read_bytes()[:40])
    with pytest.raises(DataError, match=r"2\.png cannot be read: .*; replace or remove it"):
        check(read_splits(tmp_path, 0.2), 2)


def test_broken_headers_are_found_among_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where images are too many to decode, headers are read all the same."""
    monkeypatch.setattr("uninas_evo.training.check.DECODED", 1)
    write_folders(tmp_path)
    (tmp_path / "val" / "cat" / "1.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"1\.png cannot be read"):
        check(read_splits(tmp_path, 0.2), 2)


def test_empty_classes_are_named(tmp_path: Path) -> None:
    """A class folder without images is reported by its name."""
    write_folders(tmp_path)
    for part in ("train", "val"):
        (tmp_path / part / "emu").mkdir()
    with pytest.raises(DataError, match="no training images: emu; add images or remove the classes"):
        check(read_splits(tmp_path, 0.2), 3)


def test_class_folders_must_agree(tmp_path: Path) -> None:
    """A class of val/ that train/ lacks is reported."""
    write_folders(tmp_path)
    (tmp_path / "val" / "emu").mkdir()
    with pytest.raises(DataError, match=r"train/ and val/ must hold the same class folders.*emu"):
        read_splits(tmp_path, 0.2)


def test_wrong_class_count_is_told() -> None:
    """Data of 2 classes for a network of 10 is refused with both numbers."""
    x, y = arrays(20, 0)
    splits = make_splits(ImageSet(x, y), ImageSet(x, y), None, (), 0.2)
    with pytest.raises(DataError, match=r"the data has 2 classes and the network 10: they must be equal"):
        check(splits, 10)
    wrong = make_splits(ImageSet(x, y), ImageSet(x, y + 1), None, ("a", "b"), 0.2)
    with pytest.raises(DataError, match=r"the test part has the label 2: labels must lie in 0\.\.1"):
        check(wrong, 2)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": np.zeros((2, 4, 4), np.uint8)}, "must hold x_train, y_train, x_test, y_test, got x_train"),
        (
            {"x_train": np.zeros((2, 4, 4)), "y_train": np.zeros(2)},
            r"x_train must be uint8 of shape .* got float64 \(2, 4, 4\)",
        ),
        (
            {"x_train": np.zeros((2, 4, 4), np.uint8), "y_train": np.zeros(3)},
            "x_train: the training part has 2 images for 3 labels",
        ),
        (
            {"x_train": np.array([None]), "y_train": np.zeros(1)},
            "is not a readable .npz file: Object arrays cannot be loaded",
        ),
    ],
)
def test_wrong_arrays_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    """A wrong .npz file is refused with what it must hold and what was got; pickles in it are never read."""
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read_splits(tmp_path / "x.npz", 0.1)


def test_missing_data_names_the_forms(tmp_path: Path) -> None:
    """Where there is nothing, the accepted forms are listed; damaged IDX files are named."""
    with pytest.raises(DataError, match=r"there is no data at .*give a folder with train/ and val/"):
        read_splits(tmp_path, 0.1)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"nonsense")
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.* is not a readable IDX file"):
        read_splits(tmp_path, 0.1)


@pytest.mark.skipif(not FASHION.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_fashion_mnist_is_read() -> None:
    """Debian's files give 54,000 + 6,000 + 10,000 images of 28 × 28 in 10 equal classes."""
    splits = read_splits(FASHION, 0.1)
    assert [len(s) for s in (splits.train, splits.val, splits.test)] == [54_000, 6_000, 10_000]
    assert np.bincount(splits.test.labels).tolist() == [1_000] * 10
    assert splits.train.read(0).shape == (28, 28, 1)
