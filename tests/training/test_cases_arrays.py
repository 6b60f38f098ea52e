"""Arrays that announce more than they hold, or hold more than a memory: told before they are unpacked."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from uninas_evo.errors import DataError
from uninas_evo.training.readers import read_splits


def announced(shape: tuple[int, ...]) -> bytes:
    """A .npy file of bytes whose header announces a shape and that holds 100 of them."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue() + bytes(100)


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(f"{name}.npy", data)
    return path


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_announced_sizes_are_checked(tmp_path: Path) -> None:
    """A header of 10^11 bytes over 100 is refused, in .npz as in IDX files, and nothing of that size is made."""
    labels = saved(np.asarray([0, 1]))
    path = archive(tmp_path / "d.npz", x_train=announced((10**5, 1000, 1000)), y_train=labels)
    with pytest.raises(DataError, match=r"announces the shape \(100000, 1000, 1000\) of uint8 and holds 100 bytes"):
        read_splits(path, 0.1)
    header = bytes([0, 0, 8, 3]) + (2**31).to_bytes(4, "big") * 3
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + bytes(100)))
    with pytest.raises(
        DataError, match=r"announces 9,903,520,314,283,042,199,192,993,792 bytes and half of the memory"
    ):
        read_splits(tmp_path, 0.1)


def test_bombs_are_refused(tmp_path: Path) -> None:
    """An archive that unpacks to a thousand times its size is refused before it is unpacked."""
    zeros = saved(np.zeros((2, 8000, 8000), np.uint8))
    path = archive(tmp_path / "d.npz", x_train=zeros, y_train=saved(np.asarray([0, 1])))
    with pytest.raises(DataError, match=r"unpacks from [\d,]+ to 128,000,\d+ bytes, more than 200 times"):
        read_splits(path, 0.1)


@pytest.mark.parametrize("shape", [(4, 0, 0), (4, 3, 8, 8), (4, 1, 16, 16), (4, 8, 8, 17), (4, 64), (4, 8, 0, 3)])
def test_shapes_that_are_no_images(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """Images without pixels, with the channels first, with too many or flattened are refused."""
    np.savez(tmp_path / "d.npz", x_train=np.zeros(shape, np.uint8), y_train=np.arange(4) % 2)
    with pytest.raises(DataError, match="must be uint8 of shape"):
        read_splits(tmp_path / "d.npz", 0.1)


def test_images_without_labels_are_told(tmp_path: Path) -> None:
    """A validation part that has images and no labels is not ignored; other arrays are left out and told."""
    x, y = np.zeros((4, 8, 8), np.uint8), np.arange(4) % 2
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y, x_test=x, y_test=y, x_valid=x)
    with pytest.raises(DataError, match="has one alone of x_valid and y_valid"):
        read_splits(tmp_path / "d.npz", 0.1)
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y, x_test=x, y_test=y, names=y)
    assert "left out: the arrays names" in read_splits(tmp_path / "d.npz", 0.3).notes
