"""A CSV of labels: one row an image, with the columns file, label and, if wanted, part.

Of tags, the column holds the words that apply, between semicolons or bars; or each tag has a column of 0 and 1. Of
numbers, each has a column.
"""

from __future__ import annotations

import math
import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from uninas_evo.errors import DataError
from uninas_evo.tables import Row, read_rows
from uninas_evo.training.folders import Source, image_files, part_of
from uninas_evo.training.images import ImageSet, stratified
from uninas_evo.training.labels import Kind, Labels, Targets, labels_of
from uninas_evo.training.pixels import shown

NAMES = ("labels.csv", "labels.tsv")
FILE = ("file", "filename", "file_name", "image", "path")
LABEL = ("label", "labels", "class", "target", "category", "tags")
PART = ("part", "split", "set", "subset")
"""Names under which each column is looked for, in capital or small letters."""
TEST_FRACTION = 0.2
"""Of each class, where the file names no parts: the usual share."""


def find_label_file(path: Path) -> Path | None:
    """The file itself, or the one of that name in a folder."""
    if path.is_file() and path.suffix.lower() in (".csv", ".tsv"):
        return path
    return next((path / name for name in NAMES if (path / name).is_file()), None)


def read_label_file(table: Path, kind: Kind = "classes") -> Source:
    """The images that a CSV names, relative to its folder, with their classes, tags or numbers.

    Raises:
        DataError: the file cannot be read, a column is missing or there twice, or a row is wrong.
    """
    rows = read_rows(table)
    if not rows:
        raise DataError(f"{shown(table)} has no rows; give one an image")
    file, label, part = (_column(rows, names, table) for names in (FILE, LABEL, PART))
    others = [column for column in rows[0].cells if column not in (file, label, part)]
    if file is None or not (label or (kind != "classes" and others)):
        raise DataError(
            f"{shown(table)} has the columns {shown(', '.join(rows[0].cells))}: it needs file and label; rename them"
        )
    files = _files(table, rows, file)
    names, labels = _labels(table, rows, label, others, kind)
    notes = [f"labels: {shown(table.name)}, {len(rows):,} rows"]
    if unnamed := len(set(image_files(table.parent)) - set(files)):
        notes.append(f"left out: {unnamed:,} images that {shown(table.name)} does not name")
    if part is None:
        whose = "each class" if kind == "classes" else "the images"
        notes.append(f"{shown(table.name)} has no column part: {TEST_FRACTION:g} of {whose} is the test data")
        parts = np.where(stratified(labels, TEST_FRACTION), "test", "train")
    else:
        parts = np.asarray([_part(table, row, part) for row in rows])
    chosen = {name: np.flatnonzero(parts == name) for name in ("train", "val", "test")}
    sets = {name: ImageSet([files[i] for i in at], labels[at]) for name, at in chosen.items() if len(at)}
    return Source(sets, tuple(map(shown, names)), notes)


def _labels(
    table: Path, rows: list[Row], label: str | None, others: Sequence[str], kind: Kind
) -> tuple[list[str], Labels | Targets]:
    """The names of the classes, tags or numbers, and what each row says of them."""
    if kind == "numbers":
        names = [label] if label else list(others)
        return names, np.asarray([[_finite(table, row, name) for name in names] for row in rows], np.float32)
    if label is None:
        tags = [[_finite(table, row, name) for name in others] for row in rows]
        return list(others), labels_of(kind, tags, len(rows), table.name)
    cells = [[row.cells[label]] if kind == "tags" else [_filled(table, row, label)] for row in rows]
    words = [
        [unicodedata.normalize("NFC", word.strip()) for cell in own for word in _split(cell, kind) if word.strip()]
        for own in cells
    ]
    found = {word for own in words for word in own}
    _check_words(table, found)
    names = _sorted(found)
    number = {name: i for i, name in enumerate(names)}
    if kind == "classes":
        return names, np.asarray([number[own[0]] for own in words], dtype=np.int64)
    tagged = np.zeros((len(rows), len(names)), np.float32)
    for row, own in enumerate(words):
        tagged[row, [number[word] for word in own]] = 1
    return names, tagged


def _split(cell: str, kind: Kind) -> list[str]:
    return [cell] if kind == "classes" else re.split("[;|]", cell)


def _finite(table: Path, row: Row, column: str) -> float:
    value = _number(_filled(table, row, column))
    if value is None or not math.isfinite(value):
        raise DataError(
            f"line {row.line} of {shown(table)} has {shown(row.cells[column])} in the column {shown(column)}: it must "
            "be a number; correct it, or remove the column"
        )
    return value


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
