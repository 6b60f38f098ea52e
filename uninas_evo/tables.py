"""Tables in CSV files: every row with its line, every column once, whatever program saved them."""

from __future__ import annotations

import csv
import gzip
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from uninas_evo.errors import DataError
from uninas_evo.files import decoded

DELIMITERS = ",;\t"
"""What separates columns: programs write semicolons where the comma stands in decimal numbers."""


@dataclass(frozen=True)
class Row:
    """A row: its line in the file, counted from 1, and its cells by column."""

    line: int
    cells: dict[str, str]


def read_rows(path: Path) -> list[Row]:
    """The rows of a CSV file (.gz: packed) whose first line names the columns; empty lines are skipped.

    Raises:
        DataError: the file is damaged or not UTF-8, a column stands twice, or a row has too many or few cells.
    """
    try:
        file = io.StringIO(decoded(_content(path)))
        before, header = next(((n, line) for n, line in enumerate(file, 1) if line.strip()), (1, ""))
        delimiter = max(DELIMITERS, key=header.count)
        columns = [name.strip() for name in next(csv.reader([header], delimiter=delimiter, strict=True), [])]
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        found = [(reader.line_num + before, cells) for cells in reader if any(map(str.strip, cells))]
    except Exception as error:  # gzip and codecs raise whatever the damage leads to
        reason = str(error)[:200] or type(error).__name__
        raise DataError(f"the table {str(path)!r} cannot be read: {reason}; save it as CSV in UTF-8") from error
    if doubled := [name for name, count in Counter(columns).items() if count > 1]:
        raise DataError(f"the table {str(path)!r} has the column {doubled[0]!r} twice; remove one")
    for line, cells in found:
        if len(cells) != len(columns):
            raise DataError(
                f"line {line} of the table {str(path)!r} has {len(cells)} cells for {len(columns)} columns; correct it"
            )
    return [Row(line, dict(zip(columns, map(str.strip, cells), strict=True))) for line, cells in found]


def _content(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix.lower() == ".gz" else path.read_bytes()
