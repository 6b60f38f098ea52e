"""Banks of trained networks: a table of genomes with what one protocol of training gave them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from uninas_evo.errors import DataError
from uninas_evo.tables import read_rows

if TYPE_CHECKING:
    from uninas_evo.contracts.array import FloatArray

FILE_NAME = "bank.csv.gz"
"""The table in a bank's folder."""
GENOMES = ("genome", "architecture")
"""The column of genomes, as banks call it and as NAS-Bench-201's table does."""
WORDS = (*GENOMES, "origin")
"""Columns that hold no numbers."""


@dataclass(frozen=True)
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


def load_bank(path: str | Path) -> Bank:
    """A bank from its folder, or from a CSV with a column `genome` (or `architecture`) and columns of numbers.

    Raises:
        DataError: there is none, it has no genomes, or a cell is no number.
    """
    path = Path(path)
    path = path / FILE_NAME if path.is_dir() else path
    if not path.is_file():
        raise DataError(f"there is no bank at {str(path)!r}; make one with `uninas-evo bank FILE`, or name its folder")
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
    return Bank(
        tuple(row.cells[named] for row in rows),
        {name: np.array(values) for name, values in columns.items()},
        tuple(row.cells["origin"] for row in rows if "origin" in row.cells),
    )
