"""Data that needs no download: scikit-learn's digits under the name "digits"."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from uninas_evo.errors import DataError
from uninas_evo.training.readers import read_splits


def test_digits_need_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All 1,797 in three parts, grays over the whole range of bytes, ten classes; equal each time."""
    monkeypatch.chdir(tmp_path)
    first, again = read_splits("digits", 0.1), read_splits("digits", 0.1)
    assert [len(part) for part in (first.train, first.val, first.test)] == [1213, 135, 449]
    assert first.classes == tuple("0123456789")
    images = np.array(list(first.train.images))
    assert (images.shape, images.dtype, images.min(), images.max()) == ((1213, 8, 8), np.uint8, 0, 255)
    np.testing.assert_array_equal(images, np.array(list(again.train.images)))


def test_a_folder_of_that_name_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One's own folder `digits` comes first."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    with pytest.raises(DataError, match="there is no data at 'digits'"):
        read_splits("digits", 0.1)
