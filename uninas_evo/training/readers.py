"""Reads data sets from disk: class folders, a CSV of labels beside images, `.npz` arrays, IDX files."""

from __future__ import annotations

from pathlib import Path

from uninas_evo.errors import DataError
from uninas_evo.training.arrays import DIGITS, is_idx, read_digits, read_idx, read_npz
from uninas_evo.training.folders import Source, find_parts, read_classes, read_folders
from uninas_evo.training.images import Splits, make_splits
from uninas_evo.training.labelfile import find_label_file, read_label_file
from uninas_evo.training.labels import Kind
from uninas_evo.training.pixels import shown


def read_splits(path: str | Path, val_fraction: float, kind: Kind = "classes") -> Splits:
    """Reads a data set and splits a validation part off the training part where it has none.

    Accepted are a folder with `train/` and `val/` (and `test/`) of one folder a class; a folder of class folders alone,
    of which test data is split off; a folder with a file `labels.csv` (or such a file itself) of the columns file,
    label and, if wanted, part; a folder with the four IDX files of MNIST and its kin; an `.npz` file with `x_train,
    y_train, x_test, y_test` (Keras's names) or `train_images, train_labels, ...` (MedMNIST's); and "digits", which
    scikit-learn brings. Without `test/`, `val/` is the test data, as on ImageNet. Tags and numbers stand in a label
    file or in the labels of an `.npz` file.

    Raises:
        DataError: nothing of these is there, or it is wrong.
    """
    path = Path(path)
    try:
        source = _source(path, kind)
    except OSError as error:
        raise DataError(f"{shown(path)} cannot be read ({error.strerror}); allow reading it") from error
    parts = dict(source.parts)
    notes = list(source.notes)
    if "train" not in parts:
        raise DataError(f"{shown(path)} has no training images; add them as train/")
    if "test" not in parts:
        if "val" not in parts:
            raise DataError(f"{shown(path)} has train/ alone; add the test images as val/ or test/")
        parts["test"] = parts.pop("val")
        notes.append("there is no test part: the validation part is the test data, as on ImageNet")
    if "val" not in parts:
        whose = "each training class" if kind == "classes" else "the training images"
        notes.append(f"there is no validation part: {val_fraction:.3g} of {whose} is split off for it")
    return make_splits(parts["train"], parts["test"], parts.get("val"), source.classes, val_fraction, notes)


def _source(path: Path, kind: Kind) -> Source:
    if path.suffix.lower() == ".npz" and path.is_file():
        return read_npz(path, kind)
    if table := find_label_file(path):
        return read_label_file(table, kind)
    if kind != "classes":
        raise DataError(
            f"there are no {kind} at {shown(repr(str(path)))}: give a folder with a labels.csv, such a file itself, or "
            "an .npz file whose labels are rows; folders and IDX files tell classes alone"
        )
    if str(path) == DIGITS and not path.exists():
        return read_digits()
    if "train" in find_parts(path):
        return read_folders(path)
    if is_idx(path):
        return read_idx(path)
    if source := read_classes(path):
        return source
    raise DataError(
        f"there is no data at {shown(repr(str(path)))}: give a folder with train/ and val/ of one folder a class, one "
        "of class folders alone, one with a labels.csv, one with the IDX files of MNIST or Fashion-MNIST, or an .npz "
        "file of x_train, y_train, x_test, y_test"
    )
