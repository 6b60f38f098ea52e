"""Banks of trained networks: a table of genomes with what one protocol of training gave them."""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from uninas_evo.errors import DataError
from uninas_evo.files import write_atomically
from uninas_evo.mistakes import nearest
from uninas_evo.tables import read_rows

if TYPE_CHECKING:
    from uninas_evo.contracts.array import FloatArray

SHIPPED = ("uninas-mini",)
"""Banks that come with the package, by their names."""
FILE_NAME = "bank.csv.gz"
"""The table in a bank's folder."""
GENOMES = ("genome", "architecture")
"""The column of genomes, as banks call it and as NAS-Bench-201's table does."""
TRAINED = re.compile(r"train(?:_(\d+)(?:x(\d+))?)?(?:_\d+)?")
"""Columns of a bank that hold what a schedule of so many epochs, of so many images, reached."""
WORDS = (*GENOMES, "origin")
"""Columns that hold no numbers."""


@dataclass(frozen=True, repr=False)
class Bank:
    """Trained networks; T counts them.

    Attributes:
        genomes: their texts, (T,).
        origins: how each was drawn, such as "start", "walk" and "near", (T,); empty where that is not told.
        columns: numbers by name, each (T,): accuracy, costs, scores, seconds; NaN where one is missing.
    """

    genomes: tuple[str, ...]
    columns: dict[str, FloatArray]
    origins: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.genomes)

    def __repr__(self) -> str:
        sets = f" of {', '.join(self.data)}" if self.data else ""
        return f"<Bank{sets}: {len(self)} networks, {len(self.columns)} columns>"

    @property
    def trained(self) -> str | None:
        """The column of the training of most images, its first seed, among those that half of the networks had."""
        seen = {
            name: _images(found)
            for name, values in self.columns.items()
            if (found := TRAINED.fullmatch(name)) and 2 * np.isfinite(values).sum() >= len(self)
        }
        return max(seen, key=lambda name: seen[name]) if seen else None

    @property
    def data(self) -> tuple[str, ...]:
        """Names of the data sets that the networks were trained on, where its columns tell: `cifar10.train_4x10000`."""
        return tuple(dict.fromkeys(name.split(".")[0] for name in self.columns if "." in name))

    def of(self, data: str) -> Bank:
        """The same networks with the columns of one data set, without its name, and those that depend on none.

        Raises:
            DataError: no column is of such a data set.
        """
        if data not in self.data:
            raise DataError(
                f"the bank's networks were trained on {', '.join(self.data) or 'one data set, which has no name'}, got "
                f"data = {data!r}{nearest(data, self.data)}; name one of them"
            )
        columns = {
            name.removeprefix(f"{data}."): values
            for name, values in self.columns.items()
            if "." not in name or name.startswith(f"{data}.")
        }
        return Bank(self.genomes, columns, self.origins)


def _images(found: re.Match[str]) -> float:
    """Images that a training saw; without their number, all."""
    epochs, images = found.groups()
    return float(epochs or 1) * float(images or "inf")


def bank_file(path: str | Path) -> Path:
    """The table of a bank: of a folder, of a name in `SHIPPED` (unless there is such a file or folder), or itself."""
    path = Path(path)
    if os.path.isdir(path):  # for names of any length, as below
        return path / FILE_NAME
    if str(path) in SHIPPED and not path.exists():
        return Path(str(files("uninas_evo") / "predictors" / f"{path}.csv.gz"))
    return path


def load_bank(path: str | Path, data: str | None = None) -> Bank:
    """A bank by its name, from its folder, or from a CSV with a column `genome` (or `architecture`) and numbers.

        bank = uninas_evo.load_bank("uninas-mini", data="cifar10")
        print(bank.columns["train_4x10000"].max())

    Args:
        path: "uninas-mini", which comes with the package, or a path.
        data: the data set whose columns are wanted, where a bank knows several (see `Bank.of`).

    Raises:
        DataError: there is none, it has no genomes, no such data, or a cell is no number.
    """
    path = bank_file(path)
    if not os.path.isfile(path):
        raise DataError(
            f"there is no bank at {str(path)!r:.200}; make one with `uninas-evo bank FILE`, or name its folder"
        )
    rows = read_rows(path)
    named = next((name for name in GENOMES if rows and name in rows[0].cells), None)
    if named is None:
        raise DataError(f"the bank {str(path)!r} must have a column 'genome' and a row a network; make it anew")
    columns: dict[str, list[float]] = {name: [] for name in rows[0].cells if name not in WORDS}
    for row in rows:
        for name, values in columns.items():
            try:
                values.append(float(row.cells[name] or "nan"))
            except ValueError:
                raise DataError(
                    f"line {row.line} of the bank {str(path)!r} must hold a number in the column {name!r}, got "
                    f"{row.cells[name]!r:.40}; correct it"
                ) from None
    bank = Bank(
        tuple(row.cells[named] for row in rows),
        {name: np.array(values) for name, values in columns.items()},
        tuple(row.cells["origin"] for row in rows if "origin" in row.cells),
    )
    return bank if data is None else bank.of(data)


def write_rows(rows: Collection[Mapping[str, str | float]], path: Path) -> None:
    """Writes the table of a bank, a row a network; equal rows give equal files."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, names or ["genome"], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    packed = gzip.compress(text.getvalue().encode(), mtime=0)
    write_atomically(path, lambda file: file.write(packed))
