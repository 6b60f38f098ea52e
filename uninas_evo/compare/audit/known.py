"""Networks whose accuracy is known: those of a bank, or of a table."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from uninas_evo.contracts import Space
from uninas_evo.errors import DataError, GenomeError
from uninas_evo.mistakes import nearest
from uninas_evo.predictors.bank import TRAINED, Bank, load_bank
from uninas_evo.proxies import registry as proxies_by_name
from uninas_evo.spaces.load import load_space
from uninas_evo.spaces.nasbench201.space import Cell, NASBench201Space
from uninas_evo.stats.fronts import FloatArray

ACCURACY = ("accuracy", "cifar10_test_accuracy_percent")
"""Columns that scores are judged by where they are there."""


@dataclass(frozen=True)
class Known:
    """T networks whose accuracy is known.

    Attributes:
        space: builds them.
        bank: their table.
        column: the column that scores are judged by.
        accuracy: what it holds, in percent (T,).
    """

    space: Space[Any]
    bank: Bank
    column: str
    accuracy: FloatArray

    @property
    def repeats(self) -> list[str]:
        """The columns that hold trainings of the same networks by the same schedule with other seeds."""
        named = (f"{self.column}_{number}" for number in itertools.count(2))
        return list(itertools.takewhile(self.bank.columns.__contains__, named))

    @property
    def trainings(self) -> FloatArray:
        """What each training of the networks reached, in percent (1 + repeats, T)."""
        scale = _percent(self.bank.columns[self.column])
        return np.array([self.accuracy, *(self.bank.columns[name] * scale for name in self.repeats)])

    @property
    def scores(self) -> list[str]:
        """The columns that are scores: of proxies, shorter trainings, and the size."""
        others = {self.column, *self.repeats}
        scorers = ("train", "early_loss")
        found = [
            name
            for name in self.bank.columns
            if name not in others
            and (name in proxies_by_name.names() or (name.startswith(scorers) and "epochs" not in name))
        ]
        return list(dict.fromkeys([*found, "params", "flops"]))

    def seconds(self) -> dict[str, float]:
        """Column -> mean seconds that a network took, where the table tells: `seconds_1x5000` of `train_1x5000`."""
        own = {name: f"seconds{name.removeprefix('train')}" for name in self.bank.columns if TRAINED.fullmatch(name)}
        return {
            name: float(np.nanmean(self.bank.columns[took])) for name, took in own.items() if took in self.bank.columns
        }

    def only(self, chosen: Sequence[int]) -> Known:
        """Some of the networks, by their places."""
        columns = {name: column[chosen] for name, column in self.bank.columns.items()}
        origins = tuple(self.bank.origins[place] for place in chosen) if self.bank.origins else ()
        bank = Bank(tuple(self.bank.genomes[place] for place in chosen), columns, origins)
        return replace(self, bank=bank, accuracy=self.accuracy[chosen])

    def cost(self, name: str) -> FloatArray:
        """A cost of the networks (T,), from their table or by the space's formula."""
        if name in self.bank.columns:
            return self.bank.columns[name]
        costs = (self.space.cost(self.space.decode(text)) for text in self.bank.genomes)
        return np.array([cost[name] for cost in costs], float)


def known_networks(
    path: Path,
    column: str | None = None,
    space: Space[Any] | None = None,
    *,
    data: str | None = None,
    every_cell: bool = False,
) -> Known:
    """Networks with their accuracies: of a bank's folder, its CSV, or the table of NAS-Bench-201.

    Args:
        path: the folder or file; .gz is packed.
        column: what scores are judged by; by default `accuracy`, else the longest training that most networks had, and
            CIFAR-10 of NAS-Bench-201. Numbers of at most 1 are shares, others percent; rows without one are left out.
        space: of genomes whose text does not tell it.
        data: the data set, where a bank knows several.
        every_cell: takes those of NAS-Bench-201 that have dead edges, too.

    Raises:
        DataError: the file or the column is missing, a row is no genome, or a number is no accuracy.
    """
    bank = load_bank(path, data)
    column = column or _longest(bank, path)
    if column not in bank.columns:
        raise DataError(
            f"{path} must have the column {column!r}, it has {', '.join(bank.columns)}{nearest(column, bank.columns)}; "
            "name another"
        )
    try:
        space = space or _space_of(bank.genomes[0], column)
        genomes = tuple(space.encode(space.decode(text)) for text in bank.genomes)
    except GenomeError as error:
        raise DataError(f"{path} has a genome that cannot be read: {error}; name its run file with --space") from error
    values = bank.columns[column]
    percent = values * _percent(values)
    if (percent < 0).any() or (percent > 100).any():
        raise DataError(
            f"scores are judged by accuracies, shares or percent, and the column {column!r} of {path} goes from "
            f"{np.nanmin(values):g} to {np.nanmax(values):g}; name another"
        )
    known = Known(space, replace(bank, genomes=genomes), column, percent)
    cells = isinstance(space, NASBench201Space) and not every_cell
    whole = [not cells or Cell.from_text(text).is_whole for text in genomes]
    return known.only(np.flatnonzero(np.isfinite(percent) & whole).tolist())


def _space_of(text: str, column: str) -> Space[Any]:
    """The space that a genome's text tells; cells stand on the skeleton of the column's data set."""
    if text.startswith("|"):
        return NASBench201Space(100 if column.startswith("cifar100") else 10)
    return load_space(text)[0]


def _longest(bank: Bank, path: Path) -> str:
    """The column that scores are judged by: an accuracy, else the longest training that most networks had."""
    named = next((name for name in ACCURACY if name in bank.columns), None) or bank.trained
    if named is None:
        raise DataError(
            f"{path} has neither a column 'accuracy' nor one of a training, it has {', '.join(bank.columns)}; "
            "name one with --column"
        )
    return named


def _percent(values: FloatArray) -> float:
    """What makes accuracies percent: those that are all 1 at most are shares."""
    return 1.0 if np.nanmax(values, initial=0) > 1 else 100.0
