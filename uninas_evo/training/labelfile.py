"""A CSV of labels: one row an image, with the columns file, label and, if wanted, part."""

from __future__ import annotations

import math
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from uninas_evo.errors import DataError
from uninas_evo.tables import Row, read_rows
from uninas_evo.training.folders import Source, image_files, part_of
from uninas_evo.training.images import ImageSet, stratified
from uninas_evo.training.pixels import shown

NAMES = ("labels.csv", "labels.tsv")
FILE = ("file", "filename", "file_name", "image", "path")
LABEL = ("label", "class", "target", "category")
PART = ("part", "split", "set", "subset")
"""Names under which each column is looked for, in capital or small letters."""
TEST_FRACTION = 0.2
"""Of each class, where the file names no parts: the usual share."""


def find_label_file(path: Path) -> Path | None:
    """The file itself, or the one of that name in a folder."""
    if path.is_file() and path.suffix.lower() in (".csv", ".tsv"):
        return path
    return next((path / name for name in NAMES if (path / name).is_file()), None)


def read_label_file(table: Path) -> Source:
    """The images that a CSV names, relative to its folder; each word or number of the column label is a class.

    Raises:
        DataError: the file cannot be read, a column is missing or there twice, or a row is wrong.
    """
    rows = read_rows(table)
    if not rows:
        raise DataError(f"{shown(table)} has no rows; give one an image")
    file, label, part = (_column(rows, names, table) for names in (FILE, LABEL, PART))
    if file is None or label is None:
        raise DataError(
            f"{shown(table)} has the columns {shown(', '.join(rows[0].cells))}: it needs file and label; rename them"
        )
    files = _files(table, rows, file)
    words = [unicodedata.normalize("NFC", _filled(table, row, label)) for row in rows]
    _check_words(table, set(words))
    names = _sorted(set(words))
    number = {name: i for i, name in enumerate(names)}
    labels = np.asarray([number[word] for word in words], dtype=np.int64)
    notes = [f"labels: {shown(table.name)}, {len(rows):,} rows"]
    if unnamed := len(set(image_files(table.parent)) - set(files)):
        notes.append(f"left out: {unnamed:,} images that {shown(table.name)} does not name")
    if part is None:
        notes.append(f"{shown(table.name)} has no column part: {TEST_FRACTION:g} of each class is the test data")
        parts = np.where(stratified(labels, TEST_FRACTION), "test", "train")
    else:
        parts = np.asarray([_part(table, row, part) for row in rows])
    chosen = {name: np.flatnonzero(parts == name) for name in ("train", "val", "test")}
    sets = {name: ImageSet([files[i] for i in at], labels[at]) for name, at in chosen.items() if len(at)}
    return Source(sets, tuple(map(shown, names)), notes)


def _column(rows: list[Row], names: Sequence[str], table: Path) -> str | None:
    """The column of one of the names."""
    found = [column for column in rows[0].cells if column.lower() in names]
    if len(found) > 1:
        raise DataError(f"{shown(table)} has both the columns {' and '.join(found)}; remove one")
    return found[0] if found else None


def _filled(table: Path, row: Row, column: str) -> str:
    if not row.cells[column]:
        raise DataError(f"line {row.line} of {shown(table)} has no {column}; fill it in or remove the line")
    return row.cells[column]


def _files(table: Path, rows: list[Row], column: str) -> list[str]:
    """The path of each row's image; each stands once."""
    lines: dict[str, int] = {}
    files: list[str] = []
    for row in rows:
        path = str(table.parent / _filled(table, row, column).replace("\\", "/"))
        if not os.path.isfile(path):
            raise DataError(f"line {row.line} of {shown(table)} names {shown(path)}, which is no file; correct it")
        real = os.path.realpath(path)
        if real in lines:
            raise DataError(
                f"{shown(table)} names {shown(row.cells[column])} in the lines {lines[real]} and {row.line}: each "
                "image stands once; remove one"
            )
        lines[real] = row.line
        files.append(path)
    return files


def _check_words(table: Path, words: set[str]) -> None:
    """Numbers are written in one way, and none is missing.

    Raises:
        DataError: two words are one number, or one stands for a missing number.
    """
    numbers: dict[float, str] = {}
    for word in sorted(words):
        value = _number(word)
        if value is None:
            continue
        if math.isnan(value):
            raise DataError(
                f"{shown(table)} has the label {shown(word)}, which programs write for a missing one; fill it in, or "
                "remove those lines"
            )
        if value in numbers:
            raise DataError(
                f"{shown(table)} has the labels {shown(numbers[value])} and {shown(word)}, which are one number; "
                "write it in one way"
            )
        numbers[value] = word


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _part(table: Path, row: Row, column: str) -> str:
    part = part_of(row.cells[column])
    if part is None:
        raise DataError(
            f"line {row.line} of {shown(table)} has the {column} {row.cells[column]!r:.60}: it must be train, val or "
            "test; correct it"
        )
    return part


def _sorted(words: set[str]) -> list[str]:
    """Numbers by their size, words by their letters."""
    numbers = all(word.isascii() and word.isdigit() and len(word) < 20 for word in words)
    return sorted(words, key=lambda word: (int(word) if numbers else 0, word))
