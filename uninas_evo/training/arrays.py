"""Arrays: `.npz` files and IDX files, their announced sizes checked before anything is read."""

from __future__ import annotations

import gzip
import math
import os
import zipfile
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from uninas_evo.errors import DataError
from uninas_evo.training.folders import PART_NAMES, Source
from uninas_evo.training.images import ImageSet
from uninas_evo.training.labels import Kind, labels_of
from uninas_evo.training.pixels import MOST_CHANNELS, channels_last, shown

MOST_RATIO = 200
"""Arrays packed tighter than this are bombs: pictures in one color reach 100, real ones 10."""
SMALL = 100_000_000
"""Bytes below which the ratio does not matter."""


def read_npz(path: Path, kind: Kind = "classes") -> Source:
    """The parts of an `.npz` file under Keras's names (x_train) or MedMNIST's (train_images).

    Raises:
        DataError: it is damaged, larger than half of the memory, or its arrays are wrong.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [name.removesuffix(".npy") for name in archive.namelist()]
            pairs = _pairs(path, members)
            used = [name for pair in pairs.values() for name in pair]
            _check_memory(path, [archive.getinfo(f"{name}.npy") for name in used])
            arrays = {name: _read_member(archive, f"{name}.npy") for name in used}
    except DataError:
        raise
    except Exception as error:  # zipfile and numpy raise whatever the damage leads to
        raise DataError(
            f"{shown(path)} is not a readable .npz file: {str(error)[:200] or type(error).__name__}; write it by "
            "numpy.savez"
        ) from error
    parts = {
        part: _array_set(arrays[x], arrays[y], f"{shown(path)}: {x}", part, kind) for part, (x, y) in pairs.items()
    }
    if not {"train", "test"} <= parts.keys() and not {"train", "val"} <= parts.keys():
        raise DataError(f"{shown(path)} has not all it needs{_needed(members)}")
    others = sorted(set(members) - set(used))
    return Source(parts, (), [f"left out: the arrays {shown(', '.join(others[:10]))}"] if others else [])


DIGITS = "digits"
"""The name of scikit-learn's digits as a data set: unless there is such a file or folder, nothing is read from disk."""


def read_digits() -> Source:
    """The 1,797 handwritten digits of 8 × 8 pixels that scikit-learn brings; every fourth is test data.

    Source: Alpaydin & Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998 (CC BY 4.0).
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.round(found.images * (255 / 16)).astype(np.uint8)  # its grays go from 0 to 16
    tested = np.arange(len(images)) % 4 == 3
    parts = {
        name: _array_set(images[chosen], found.target[chosen], f"{DIGITS}: {name}", name)
        for name, chosen in (("train", ~tested), ("test", tested))
    }
    return Source(parts, (), ["the digits that scikit-learn brings: every fourth is test data"])


def _pairs(path: Path, members: list[str]) -> dict[str, tuple[str, str]]:
    """The names of the images and labels of each part."""
    if len(set(members)) < len(members):
        raise DataError(f"{shown(path)} holds an array twice; write it anew by numpy.savez")
    pairs: dict[str, tuple[str, str]] = {}
    for part, names in PART_NAMES.items():
        for name in names:
            for images, labels in ((f"x_{name}", f"y_{name}"), (f"{name}_images", f"{name}_labels")):
                if (images in members) != (labels in members):
                    raise DataError(f"{shown(path)} has one alone of {images} and {labels}{_needed(members)}")
                if images in members:
                    if part in pairs:
                        raise DataError(f"{shown(path)} has both {pairs[part][0]} and {images}; remove one")
                    pairs[part] = images, labels
    return pairs


def _needed(members: list[str]) -> str:
    return f": it must hold x_train, y_train, x_test, y_test, got {shown(', '.join(members[:20]))}; add what is missing"


def _check_memory(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Refuses what would not fit, or is packed as no picture is, before it is unpacked."""
    size, packed = sum(m.file_size for m in members), sum(m.compress_size for m in members)
    _check_bytes(path, size)
    if size > SMALL and size > MOST_RATIO * packed:
        raise DataError(
            f"{shown(path)} unpacks from {packed:,} to {size:,} bytes, more than {MOST_RATIO} times: no pictures are "
            "packed so well; write it by numpy.savez"
        )


def _check_bytes(path: Path, size: int) -> None:
    most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    if size > most:
        raise DataError(
            f"{shown(path)} announces {size:,} bytes and half of the memory is {most:,}: it is damaged or too large; "
            "use fewer images, or a folder of files, which are read one by one"
        )


def _read_member(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    """An array of exactly the size that its header announces; the archive's checksum is verified by reading it all."""
    with archive.open(name) as file:
        version = npy.read_magic(file)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = header(file)
        if dtype.hasobject:
            raise ValueError("Object arrays cannot be loaded")
        data = file.read()
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"{name} announces the shape {shape} of {dtype} and holds {len(data):,} bytes")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _array_set(
    images: npt.NDArray[Any], labels: npt.NDArray[Any], name: str, part: str, kind: Kind = "classes"
) -> ImageSet:
    """Arrays (T, H, W) or (T, H, W, C) of uint8 with labels (T,) or (T, 1), or rows of tags or numbers (T, K)."""
    shape = images.shape
    good = len(shape) == 3 or (len(shape) == 4 and channels_last(*shape[1:]))
    if images.dtype != np.uint8 or not good or 0 in shape[1:]:
        raise DataError(
            f"{name} must be uint8 of shape (T, H, W) or (T, H, W, C) with 1 to {MOST_CHANNELS} channels, got "
            f"{images.dtype} {shape}; scale it to 0..255 and put the channels last"
        )
    long = {"train": "training", "val": "validation", "test": "test"}[part]
    try:
        return ImageSet(images, labels_of(kind, labels, len(images), long))
    except DataError as error:
        raise DataError(f"{name}: {error}") from error


_STEMS = (("train", "train"), ("test", "t10k"))


def is_idx(path: Path) -> bool:
    """Whether a folder holds files named as MNIST's."""
    return path.is_dir() and any(path.glob("train-images*"))


def read_idx(path: Path) -> Source:
    """The four IDX files of MNIST and its kin, packed or not.

    Raises:
        DataError: one is missing or damaged.
    """
    parts = {}
    for part, stem in _STEMS:
        images = _idx_array(path, f"{stem}-images", "idx3-ubyte")
        labels = _idx_array(path, f"{stem}-labels", "idx1-ubyte")
        parts[part] = _array_set(images, labels, f"{shown(path)}/{stem}-images", part)
    return Source(parts)


def _idx_array(path: Path, stem: str, kind: str) -> npt.NDArray[np.uint8]:
    """An IDX file of bytes: 0, 0, 8, the number of axes D, D lengths (4 bytes each, big-endian), the data."""
    names = [f"{stem}{sign}{kind}{packed}" for packed in (".gz", "") for sign in "-."]
    file = next((path / name for name in names if (path / name).is_file()), path / names[2])
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            return _read_idx(cast(IO[bytes], stream), file)
    except DataError:
        raise
    except Exception as error:  # gzip raises whatever the damage leads to
        raise DataError(
            f"{shown(path / names[2])}[.gz] is not a readable IDX file: {str(error)[:200] or type(error).__name__}; "
            "fetch it again"
        ) from error


def _read_idx(stream: IO[bytes], file: Path) -> npt.NDArray[np.uint8]:
    start = stream.read(4)
    if len(start) < 4 or start[:3] != b"\0\0\x08":
        raise ValueError(f"it starts with {start[:3]!r}, an IDX file of bytes with 00 00 08")
    lengths = np.frombuffer(stream.read(4 * start[3]), ">u4")
    shape = [int(n) for n in lengths]
    if len(shape) != start[3] or not shape:
        raise ValueError("its header is cut off")
    size = math.prod(shape)
    _check_bytes(file, size)
    data = stream.read(size + 1)
    if len(data) != size:
        raise ValueError(f"its header announces {shape} and it holds {'more' if len(data) > size else len(data)} bytes")
    return np.frombuffer(data, np.uint8).reshape(shape)
