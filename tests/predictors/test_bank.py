"""Banks that know several data sets: the columns of one, and what does not depend on data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from uninas_evo import load_bank
from uninas_evo.errors import DataError
from uninas_evo.predictors.bank import write_rows

ROWS = [
    {"genome": "g1", "origin": "start", "params": 5, "a.train": 0.5, "b.train": 0.25, "zen": 1.5},
    {"genome": "g2", "origin": "walk", "params": 6, "a.train": 0.75, "b.train": "", "zen": 2.5},
]


def test_one_data_set(tmp_path: Path) -> None:
    """`data` takes the columns of that data set, without its name, and those of none; values come back as written."""
    write_rows(ROWS, tmp_path / "both.csv.gz")
    both, one = load_bank(tmp_path / "both.csv.gz"), load_bank(tmp_path / "both.csv.gz", "b")
    assert both.data == ("a", "b")
    assert list(one.columns) == ["params", "train", "zen"]
    np.testing.assert_array_equal(one.columns["train"], [0.25, np.nan])
    np.testing.assert_array_equal(both.of("a").columns["train"], [0.5, 0.75])
    assert one.genomes == ("g1", "g2")
    assert one.origins == ("start", "walk")
    assert one.data == ()


def test_no_such_data(tmp_path: Path) -> None:
    """A data set that the bank does not know is told with those that it knows."""
    write_rows(ROWS, tmp_path / "both.csv.gz")
    with pytest.raises(DataError, match="trained on a, b, got data = 'c'"):
        load_bank(tmp_path / "both.csv.gz", "c")
    with pytest.raises(DataError, match="one data set, which has no name, got data = 'a'"):
        load_bank(tmp_path / "both.csv.gz", "a").of("a")


def test_equal_rows_give_equal_files(tmp_path: Path) -> None:
    """No time of writing is in the file."""
    for name in ("one.csv.gz", "two.csv.gz"):
        write_rows(ROWS, tmp_path / name)
    assert (tmp_path / "one.csv.gz").read_bytes() == (tmp_path / "two.csv.gz").read_bytes()
