"""A named cost from a table: a row for each genome, measured by whomever had the device."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from uninas_evo.contracts import Cost, Space
from uninas_evo.errors import DataError
from uninas_evo.mistakes import nearest
from uninas_evo.spaces.choices import ENUMERABLE, ChoiceSpace
from uninas_evo.tables import read_rows

KEY = "architecture"
"""The column that holds the genomes' texts."""
NOT_MEASURED = ("", "-1")
"""What stands where a network could not be measured, as HW-NAS-Bench writes it: never a fast network."""


@dataclass(frozen=True)
class TableCost:
    """Looks an amount up by a genome's text.

    Attributes:
        name: of the cost.
        path: the table.
        text: gives a genome's text.
        amounts: by the text; infinite where the table says that it was not measured.
    """

    name: str
    path: Path
    text: Callable[[Any], str] = field(repr=False, compare=False)
    amounts: Mapping[str, float] = field(repr=False, compare=False)

    @classmethod
    def of(cls, space: Space[Any], name: str, path: Path, column: str | None = None) -> TableCost:
        """The cost of a table's column, which is checked to hold the space's genomes.

        Args:
            space: gives the texts.
            name: of the cost.
            path: a CSV file (.gz: packed) with the column "architecture".
            column: unless it is the cost's own name.

        Raises:
            DataError: the table cannot be read, has no such column, or lacks a genome that is known already.
        """
        model = cls(name, path, space.encode, read_amounts(path, column or name))
        if isinstance(space, ChoiceSpace) and space.count <= ENUMERABLE:
            known = space.genomes
        else:
            known = () if space.start is None else (space.start,)
        for genome in known:
            model(genome, Cost())
        return model

    @property
    def names(self) -> tuple[str, ...]:
        """The one cost."""
        return (self.name,)

    @property
    def sources(self) -> tuple[Path, ...]:
        """The table."""
        return (self.path,)

    def __call__(self, genome: Any, cost: Cost) -> Mapping[str, float]:
        """The genome's amount.

        Raises:
            DataError: the table has no row for the genome.
        """
        text = self.text(genome).strip()
        if text not in self.amounts:
            raise DataError(
                f"the table {str(self.path)!r} must hold every network of the space, and has no row for "
                f"{text[:200]!r}; add it, with -1 as {self.name} where it was not measured"
            )
        return {self.name: self.amounts[text]}


def read_amounts(path: Path, column: str) -> Mapping[str, float]:
    """A column of a table by the texts in its column "architecture"; infinite where it was not measured.

    Raises:
        DataError: the file is missing or damaged, lacks a column, has a genome twice, or an amount is neither
            positive nor -1.
    """
    if not path.is_file():
        raise DataError(f"there is no table {str(path)!r}; give a CSV with the columns {KEY} and {column}")
    return _read(path, column, path.stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _read(path: Path, column: str, _changed: int) -> Mapping[str, float]:
    rows = read_rows(path)
    columns = list(rows[0].cells) if rows else []
    for needed in (KEY, column):
        if needed not in columns:
            raise DataError(
                f"the table {str(path)!r} has no column {needed!r}: it has {', '.join(columns) or 'no rows'}"
                f"{nearest(needed, columns)}"
            )
    amounts: dict[str, float] = {}
    for row in rows:
        text = row.cells[KEY]
        if text in amounts:
            raise DataError(f"line {row.line} of {str(path)!r} names {text[:200]!r} a second time; remove one")
        amounts[text] = _amount(row.cells[column], f"{column} in line {row.line} of {str(path)!r}")
    return amounts


def _amount(cell: str, where: str) -> float:
    if cell in NOT_MEASURED:
        return math.inf
    try:
        amount = float(cell)
    except ValueError:
        amount = math.nan
    if amount == -1:
        return math.inf
    if not 0 <= amount < math.inf:
        raise DataError(
            f"an amount is a number from 0 on, or -1 where it was not measured, got {cell[:40]!r} as {where}; fix it"
        )
    return amount
