"""Reads data sets from disk: class folders, `.npz` arrays, IDX files."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from uninas_evo.errors import DataError
from uninas_evo.training.extras import need
from uninas_evo.training.images import ImageSet, Splits, make_splits

Parts = dict[str, ImageSet]


def read_splits(path: str | Path, val_fraction: float) -> Splits:
    """Reads a data set and splits a validation part off the training part where it has none.

    Accepted are a folder with `train/` and `val/` (and `test/`) of one folder a class; a folder with the four
    IDX files of MNIST and its kin; an `.npz` file with `x_train, y_train, x_test, y_test` (Keras's names) or
    `train_images, train_labels, ...` (MedMNIST's). Without `test/`, `val/` is the test data, as on ImageNet.

    Raises:
        DataError: nothing of these is there, or it is wrong.
    """
    path = Path(path)
    classes: tuple[str, ...] = ()
    if path.suffix == ".npz" and path.is_file():
        parts = _read_npz(path)
    elif (path / "train").is_dir():
        parts, classes = _read_folders(path)
    elif list(path.glob("train-images*")):
        parts = _read_idx(path)
    else:
        raise DataError(
            f"there is no data at {str(path)!r}: give a folder with train/ and val/ of one folder a class, one "
            "with the IDX files of MNIST or Fashion-MNIST, or an .npz file of x_train, y_train, x_test, y_test"
        )
    return make_splits(parts["train"], parts["test"], parts.get("val"), classes, val_fraction)


def _read_folders(path: Path) -> tuple[Parts, tuple[str, ...]]:
    folder = need("torchvision.datasets").ImageFolder
    names = [part for part in ("train", "val", "test") if (path / part).is_dir()]
    try:
        found = {part: folder(str(path / part), allow_empty=True) for part in names}
    except FileNotFoundError as error:
        raise DataError(f"{path} has no class folders: {error}; make one folder a class") from error
    classes = tuple(found["train"].classes)
    for part, images in found.items():
        if differing := sorted(set(images.classes) ^ set(classes)):
            raise DataError(
                f"train/ and {part}/ must hold the same class folders, but one alone has "
                f"{', '.join(differing[:10])}; add or remove them"
            )
    parts = {
        part: ImageSet([file for file, _ in images.samples], np.asarray(images.targets, dtype=np.int64))
        for part, images in found.items()
    }
    if "test" not in parts:
        if "val" not in parts:
            raise DataError(f"{path} has train/ alone; add the test images as val/ or test/")
        parts["test"] = parts.pop("val")
    return parts, classes


def _read_npz(path: Path) -> Parts:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not a readable .npz file: {error}; write it by numpy.savez") from error
    parts = {}
    for part in ("train", "val", "test"):
        for images, labels in ((f"x_{part}", f"y_{part}"), (f"{part}_images", f"{part}_labels")):
            if images in arrays and labels in arrays:
                parts[part] = _array_set(arrays[images], arrays[labels], f"{path}: {images}")
    if not {"train", "test"} <= parts.keys():
        raise DataError(f"{path} must hold x_train, y_train, x_test, y_test, got {', '.join(arrays)}")
    return parts


def _array_set(images: npt.NDArray[Any], labels: npt.NDArray[Any], name: str) -> ImageSet:
    """Arrays (T, H, W), (T, H, W, 1) or (T, H, W, 3) of uint8 with labels (T,) or (T, 1)."""
    shape, kind = images.shape, images.dtype
    if kind != np.uint8 or not (len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3))):
        raise DataError(
            f"{name} must be uint8 of shape (T, H, W), (T, H, W, 1) or (T, H, W, 3), got {kind} {shape}; "
            "scale it to 0..255 and put the channels last"
        )
    flat = np.asarray(labels).reshape(-1).astype(np.int64)
    if len(flat) != len(images):
        raise DataError(f"{name} has {len(images)} images for {len(flat)} labels; give one label an image")
    return ImageSet(images, flat)


def _read_idx(path: Path) -> Parts:
    parts = {}
    for part, stem in (("train", "train"), ("test", "t10k")):
        images = _idx_array(path, f"{stem}-images-idx3-ubyte")
        labels = _idx_array(path, f"{stem}-labels-idx1-ubyte")
        parts[part] = _array_set(images, labels, f"{path}/{stem}-images")
    return parts


def _idx_array(path: Path, name: str) -> npt.NDArray[np.uint8]:
    """An IDX file of bytes: 0, 0, 8, the number of axes D, D lengths (4 bytes each, big-endian), the data."""
    file = path / f"{name}.gz"
    try:
        data = gzip.decompress(file.read_bytes()) if file.is_file() else (path / name).read_bytes()
        if data[:3] != b"\0\0\x08":
            raise ValueError(f"it starts with {data[:3]!r}, an IDX file of bytes with 00 00 08")
        axes = data[3]
        shape = np.frombuffer(data, ">u4", count=axes, offset=4)
        return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape([int(n) for n in shape])
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise DataError(f"{path / name}[.gz] is not a readable IDX file: {error}; fetch it again") from error
