"""NAS-Bench-201: the accuracy of all 15,625 cells in a table: regret is exact and a search takes a second.

Source: Dong & Yang, "NAS-Bench-201", ICLR 2020, arXiv 2001.00326.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field

from uninas_evo.contracts import Budget, Objective, Scorer, Subject
from uninas_evo.devices import CostOptions, costed
from uninas_evo.errors import DataError
from uninas_evo.problems.options import scoring
from uninas_evo.problems.search import SearchProblem
from uninas_evo.problems.shared_weights import SHARED, SharedOptions, shared_scorers
from uninas_evo.scoring.named import ObjectiveOptions, Written
from uninas_evo.sharing.options import SupernetOptions
from uninas_evo.sources import file_hash
from uninas_evo.spaces.nasbench201.space import EDGES, OPERATIONS, RESNET, Cell, NASBench201Space
from uninas_evo.tables import read_rows

__all__ = ["RESNET", "Cell", "NASBench201Options", "NASBench201Problem", "NASBench201Space", "read_table"]


class NASBench201Options(SharedOptions):
    """The `[problem]` table of a run file for NAS-Bench-201."""

    own = ("accuracy", *SHARED)

    table: Path = Field(
        description="CSV file (.csv or .csv.gz) with the columns architecture, "
        "cifar10_test_accuracy_percent and cifar100_test_accuracy_percent, a row for each of the 15,625 cells"
    )
    table_12_epochs: Path | None = Field(
        None,
        description="CSV file with the columns architecture, cifar10_validation_accuracy_12_epochs_percent and "
        "training_seconds_12_epochs: a second, cheap fidelity, and the seconds of a simulated clock (cifar10 alone)",
    )
    dataset: Literal["cifar10", "cifar100"] = Field(
        "cifar10", description="whose test accuracy counts; CIFAR-10 is the one most papers report first"
    )
    objectives: list[str | ObjectiveOptions] = Field(
        ["accuracy"],
        description='"accuracy" of the table (maximized, percent), and what is scored in any space: names of proxies, '
        '"params", "flops", "latency_ms", "train", or functions of your own',
        min_length=1,
    )


SHORT_EPOCHS = 12
FULL_EPOCHS = 200


@dataclass(frozen=True)
class TableScorer(Scorer):
    """Looks up the test accuracy after 200 epochs, in percent.

    With short trainings there are two fidelities, validation accuracy after 12 epochs and test accuracy after 200, and
    `seconds`, what each training took on the benchmark's GPU (200 epochs as so many times 12).

    Attributes:
        accuracy: percent by architecture string.
        short: the same after 12 epochs; empty where there is one fidelity.
        seconds: of 12 epochs, by architecture string.
        sources: the tables' files.
    """

    accuracy: Mapping[str, float] = field(repr=False, compare=False)
    short: Mapping[str, float] = field(default_factory=dict, repr=False, compare=False)
    seconds: Mapping[str, float] = field(default_factory=dict, repr=False, compare=False)
    sources: tuple[Path, ...] = ()
    objectives = (Objective("accuracy", "maximize", unit="%"),)
    is_pure = True

    def score(self, subject: Subject, device: str) -> Mapping[str, float]:
        """`accuracy`, and `seconds` where they are known; the device does not matter."""
        text = subject.genome.text
        if not self.short:
            return {"accuracy": self.accuracy[text]}
        if subject.fidelity == 0:
            return {"accuracy": self.short[text], "seconds": self.seconds[text]}
        return {"accuracy": self.accuracy[text], "seconds": self.seconds[text] * FULL_EPOCHS / SHORT_EPOCHS}

    @property
    def fidelities(self) -> tuple[Mapping[str, float], ...]:  # type: ignore[override]
        """12 and 200 epochs, where both are known."""
        return ({"epochs": SHORT_EPOCHS}, {"epochs": FULL_EPOCHS}) if self.short else ()


class NASBench201Problem(SearchProblem):
    """Test accuracy after 200 epochs, read from the benchmark's table: nothing is trained.

    Args:
        table: path of the table, see `NASBench201Options`.
        dataset: whose accuracy counts.
        objectives: "accuracy", or what `SearchProblem` scores in any space.
        budget: bounds on parameters and FLOPs.
        table_12_epochs: path of the table of short trainings, see `NASBench201Options`; it makes two fidelities.
        seed: of what is scored; the table is exact.
        supernet: how shared weights are trained, for the objective "supernet".
        costs: further costs by name, such as ``{"edgegpu_latency_ms": {"table": "nasbench201_hardware.csv.gz"}}``.
        scoring: batch, proxies and aggregate, as `SearchProblem` takes them.

    Raises:
        DataError: a table is missing or is not the benchmark's, or short trainings are asked for on another dataset.
        ObjectiveError: an objective does not exist.
    """

    Options = NASBench201Options
    space: NASBench201Space

    def __init__(
        self,
        table: str | Path,
        dataset: Literal["cifar10", "cifar100"] = "cifar10",
        objectives: Sequence[Written] = ("accuracy",),
        budget: Budget | None = None,
        *,
        table_12_epochs: str | Path | None = None,
        seed: int = 0,
        supernet: SupernetOptions | None = None,
        costs: Mapping[str, CostOptions | Mapping[str, Any]] | None = None,
        **scoring: Any,
    ) -> None:
        self.accuracy = read_table(Path(table), dataset)
        short, seconds = ({}, {}) if table_12_epochs is None else read_short_table(Path(table_12_epochs), dataset)
        tables = [Path(one) for one in (table, table_12_epochs) if one is not None]
        self.own = (TableScorer(self.accuracy, short, seconds, tuple(tables)), *shared_scorers(supernet))
        self.lookup = supernet is None
        known = {name: CostOptions.model_validate(one) for name, one in (costs or {}).items()}
        space = costed(NASBench201Space(10 if dataset == "cifar10" else 100), known, budget or Budget())
        super().__init__(space, objectives, seed=seed, **scoring)

    @classmethod
    def from_options(cls, options: NASBench201Options, seed: int) -> Self:
        """The problem of a run file."""
        budget = options.budget.budget()
        more = scoring(options) | {
            "supernet": options.supernet,
            "costs": options.costs,
            "table_12_epochs": options.table_12_epochs,
        }
        return cls(options.table, options.dataset, options.objectives, budget, seed=seed, **more)

    @cached_property
    def optimum(self) -> float:
        """The highest accuracy, in percent, of any cell inside the budget: regret is the distance to it."""
        return max(self.accuracy[cell.text] for cell in self.space.cells)


_FIX = (
    "give the path of a CSV with the columns architecture, cifar10_test_accuracy_percent and "
    "cifar100_test_accuracy_percent, exported from the benchmark (NATS-Bench TSS)"
)
_SHORT_FIX = (
    "give the path of a CSV with the columns architecture, cifar10_validation_accuracy_12_epochs_percent and "
    "training_seconds_12_epochs"
)
GUESSING = {"cifar10": 10.0, "cifar100": 1.0}
"""Accuracy of guessing, in percent."""
LEAST_SHARE = 0.9
"""Of the accuracy of guessing (100 / classes percent): below it stand no networks, but fractions of 1."""


def read_table(path: Path, dataset: str) -> dict[str, float]:
    """Accuracy in percent by architecture string, checked to hold every cell once; raises as `_read`."""
    return _read(path, dataset, file_hash(path))


@lru_cache(maxsize=4)
def _read(path: Path, dataset: str, digest: str) -> dict[str, float]:
    """Accuracy in percent by architecture string, checked to hold every cell once.

    Raises:
        DataError: the file is missing or damaged, a column or a cell is missing or there twice, a row names no cell,
            or an accuracy is not a percentage.
    """
    return _column(path, f"{dataset}_test_accuracy_percent", _FIX, GUESSING[dataset])


def read_short_table(path: Path, dataset: str) -> tuple[dict[str, float], dict[str, float]]:
    """Accuracy in percent after 12 epochs, and their seconds, by architecture string; raises as `read_table`."""
    if dataset != "cifar10":
        raise DataError(f"the short trainings are of cifar10, got the dataset {dataset!r}; leave table_12_epochs out")
    return (
        _column(path, "cifar10_validation_accuracy_12_epochs_percent", _SHORT_FIX, GUESSING[dataset]),
        _column(path, "training_seconds_12_epochs", _SHORT_FIX, None),
    )


def _column(path: Path, column: str, fix: str, guessing: float | None) -> dict[str, float]:
    """A column by architecture string: percentages, with what guessing reaches, or other numbers from 0 up (None)."""
    what = f"the table {str(path)!r}"
    if not path.is_file():
        raise DataError(f"the table of NAS-Bench-201 is not at {str(path)!r}; {fix}")
    rows = read_rows(path)
    if rows and (missing := {"architecture", column} - rows[0].cells.keys()):
        raise DataError(f"{what} is not that of NAS-Bench-201: it lacks the column {sorted(missing)[0]}; {fix}")
    cells = {Cell(edges).text for edges in itertools.product(OPERATIONS, repeat=len(EDGES))}
    least, most = (0.0, math.inf) if guessing is None else (LEAST_SHARE * guessing, 100.0)
    table: dict[str, float] = {}
    lines: dict[str, int] = {}
    for row in rows:
        cell, value = row.cells["architecture"], _number(row.cells[column])
        if cell not in cells:
            raise DataError(f"line {row.line} of {what} names {cell!r:.200}, which is no cell of NAS-Bench-201; {fix}")
        if cell in table:
            raise DataError(f"{what} has the cell {cell} in the lines {lines[cell]} and {row.line}; remove one")
        if not (least <= value <= most and math.isfinite(value)):
            rule = "a number from 0 up" if guessing is None else "an accuracy in percent"
            known = "" if guessing is None else f", from {least:g} (guessing reaches {guessing:g}) to 100"
            raise DataError(
                f"{what} must give every cell {rule}{known}, got {row.cells[column]!r:.40} in line {row.line} for "
                f"{cell}; write 94.37, not 0.9437"
            )
        table[cell], lines[cell] = value, row.line
    if lacking := sorted(cells - table.keys()):
        raise DataError(f"{what} must give every cell an accuracy, got none for {lacking[0]}; {fix}")
    return table


def _number(text: str) -> float:
    """A number; NaN, which no range holds, for a text that is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
