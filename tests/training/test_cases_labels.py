"""Labels that other tools bend: whole numbers from 0 on, or one message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uninas_evo.errors import DataError
from uninas_evo.training.check import check
from uninas_evo.training.images import from_datasets
from uninas_evo.training.readers import read_splits


def npz(path: Path, labels: Any, test: Any = None) -> Path:
    images = np.zeros((len(labels), 8, 8), np.uint8)
    other = np.asarray([0, 1]) if test is None else test
    np.savez(path / "d.npz", x_train=images, y_train=labels, x_test=images[: len(other)], y_test=other)
    return path / "d.npz"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.asarray([0.4, 1.7] * 4), r"label 0 of the training part is 0\.4: labels must be whole numbers"),
        (np.asarray([0, 1, 0, np.nan]), "label 3 of the training part is nan"),
        (np.asarray([0, 1, 0, np.inf]), "label 3 of the training part is inf"),
        (np.asarray([0, 1, 4294967295, 1]), r"the label 4294967295, but no image has label 2: .* lie in 0\.\.2"),
        (np.asarray([0, 1, 2**64 - 1, 1], np.uint64), r"no image has label 2"),
        (np.asarray([0, 1, 10**9, 1]), "the label 1000000000, but no image has label 2"),
        (np.asarray([0.0, 1.0, 1e300, 1.0]), "label 2 of the training part is 1e"),
        (np.asarray(["cat", "dog"] * 2), "must be whole numbers, got <U3.*'cat'.*number the classes"),
        (np.asarray(["2020-01-01", "2021-01-01"], "M8[D]"), "must be whole numbers, got datetime64"),
        (np.asarray([1, 2], "m8[s]"), "must be whole numbers, got timedelta64"),
        (np.asarray([0j, 1 + 1j]), "must be whole numbers, got complex128"),
        (np.asarray([1, 2, 1, 2]), "no image has label 0: .*count from 0"),
        (np.asarray([-1, 0, 1]), "the training part has the label -1: labels are counted from 0"),
        (np.eye(2, dtype=int)[[0, 1, 1, 0]], r"must be one number an image, got an array of shape \(4, 2\)"),
        (np.asarray([[[0]], [[1]]]), "must be one number an image"),
    ],
)
def test_wrong_labels_of_arrays(tmp_path: Path, labels: np.ndarray, message: str) -> None:
    """Each kind of wrong label is refused by name, at once and without making names."""
    with pytest.raises(DataError, match=message):
        check(read_splits(npz(tmp_path, labels), 0.1), 2)


@pytest.mark.parametrize("labels", [[0.0, 1.0] * 4, [[0], [1]] * 4, [False, True] * 4, np.asarray([0, 1] * 4, ">i8")])
def test_whole_numbers_of_any_type_are_taken(tmp_path: Path, labels: Any) -> None:
    """Floats without fractions, columns, booleans and other byte orders are the same labels."""
    splits = read_splits(npz(tmp_path, labels), 0.25)
    check(splits, 2)
    assert sorted(splits.train.labels.tolist() + splits.val.labels.tolist()) == [0] * 4 + [1] * 4


def test_labels_of_the_test_part(tmp_path: Path) -> None:
    """A label that the training part lacks is told by the part."""
    with pytest.raises(DataError, match=r"the test part has the label 5: labels must lie in 0\.\.1"):
        check(read_splits(npz(tmp_path, np.asarray([0, 1] * 4), np.asarray([0, 5])), 0.25), 2)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (np.eye(2, dtype=int)[np.arange(40) % 2], "must be one number an image"),
        (["a", "b"] * 20, "must be whole numbers"),
        ([0, 1] * 15, "has 40 images for 30 labels"),
        ([0, 1] * 25, "has 40 images for 50 labels"),
        ([[0], [1, 2]] * 20, "are no array"),
        ([1, 0] * 20, "item 0 of the training dataset has the label 0 and its list of labels 1"),
        ([None] * 40, "must be whole numbers"),
        (np.ma.masked_array([0, 1] * 20, mask=[1] + [0] * 39), "labels of the training part are masked"),
    ],
)
def test_wrong_targets_of_datasets(targets: Any, message: str) -> None:
    """`targets` must be one whole number an item, and the item's own."""

    class Data(list):  # type: ignore[type-arg]
        pass

    data = Data((np.zeros((8, 8), np.uint8), i % 2) for i in range(40))
    plain = list(data)
    data.targets = targets  # type: ignore[attr-defined]
    with pytest.raises(DataError, match=message):
        from_datasets(data, plain)


def test_datasets_that_fail_are_told() -> None:
    """No length, an error of the dataset's own, a label that is a word."""
    with pytest.raises(DataError, match="the training dataset has no length"):
        from_datasets(iter([]), [])

    with pytest.raises(DataError, match=r"item 0 of the training dataset is no pair \(image, label\).*it is a dict"):
        from_datasets([{"image": np.zeros((8, 8), np.uint8), "label": 0}] * 4, [])
    with pytest.raises(DataError, match="two classes have the name 'a'"):
        from_datasets([(np.zeros((8, 8), np.uint8), 0)] * 4, [], classes=("a", "a"))

    class Unreached(list):  # type: ignore[type-arg]
        def __len__(self) -> int:
            raise RuntimeError("no server")

    with pytest.raises(DataError, match="the training dataset has no length"):
        from_datasets(Unreached(), [])

    class Failing:
        targets = (0, 1, 0, 1)

        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> Any:
            raise RuntimeError("disk on fire")

    with pytest.raises(DataError, match="disk on fire"):
        from_datasets(Failing(), Failing())
