"""NAS-Bench-201: the accuracy of all 15,625 cells in a table: regret is exact and a search takes a second.

Source: Dong & Yang, "NAS-Bench-201", ICLR 2020, arXiv 2001.00326.
"""

from __future__ import annotations

import csv
import gzip
import itertools
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

import pydantic

from uninas_evo.contracts import Budget, Objective, Problem
from uninas_evo.errors import DataError
from uninas_evo.problems.uninas import BudgetOptions
from uninas_evo.spaces.nasbench201.space import EDGES, OPERATIONS, RESNET, Cell, NASBench201Space

__all__ = ["RESNET", "Cell", "NASBench201Options", "NASBench201Problem", "NASBench201Space", "read_table"]


class NASBench201Options(pydantic.BaseModel):
    """The `[problem]` table of a run file for NAS-Bench-201."""

    model_config = pydantic.ConfigDict(extra="forbid")

    table: Path = pydantic.Field(
        description="CSV file (.csv or .csv.gz) with the columns architecture, "
        "cifar10_test_accuracy_percent and cifar100_test_accuracy_percent, a row for each of the 15,625 cells"
    )
    dataset: Literal["cifar10", "cifar100"] = pydantic.Field(
        "cifar10", description="whose test accuracy counts; CIFAR-10 is the one most papers report first"
    )
    table_12_epochs: Path | None = pydantic.Field(
        None,
        description="CSV file with the columns architecture, cifar10_validation_accuracy_12_epochs_percent and "
        "training_seconds_12_epochs: a second, cheap fidelity, and the seconds of a simulated clock (cifar10 alone)",
    )
    objectives: tuple[Literal["accuracy", "params", "flops"], ...] = pydantic.Field(
        ("accuracy",), min_length=1, description="accuracy is maximized (percent), params and flops are minimized"
    )
    budget: BudgetOptions = pydantic.Field(default_factory=BudgetOptions, description="bounds on parameters and FLOPs")


SHORT_COLUMN = "cifar10_validation_accuracy_12_epochs_percent"
SECONDS_COLUMN = "training_seconds_12_epochs"
FULL_EPOCHS = 200
SHORT_EPOCHS = 12


class NASBench201Problem(Problem):
    """Test accuracy after 200 epochs, read from the benchmark's table: nothing is trained.

    With a table of 12 epochs there are two fidelities: validation accuracy after 12 epochs, then test accuracy after
    200, and `seconds`, what each training took on the benchmark's GPU (200 epochs as so many times 12), by which a
    simulated clock goes.

    Args:
        table: path of the table, see `NASBench201Options`.
        dataset: whose accuracy counts.
        objectives: names out of accuracy, params and flops.
        budget: bounds on parameters and FLOPs.
        table_12_epochs: path of the table of short trainings, see `NASBench201Options`.

    Raises:
        DataError: a table is missing or is not the benchmark's.
    """

    Options = NASBench201Options
    space: NASBench201Space
    lookup = True

    def __init__(
        self,
        table: str | Path,
        dataset: Literal["cifar10", "cifar100"] = "cifar10",
        objectives: Sequence[Literal["accuracy", "params", "flops"]] = ("accuracy",),
        budget: Budget | None = None,
        table_12_epochs: str | Path | None = None,
    ) -> None:
        self.space = NASBench201Space(10 if dataset == "cifar10" else 100, budget=budget)
        self.objectives = tuple(
            Objective(name, "maximize" if name == "accuracy" else "minimize") for name in objectives
        )
        self.accuracy = read_table(Path(table), f"{dataset}_test_accuracy_percent")
        self.short: Mapping[str, float] = {}
        self.short_seconds: Mapping[str, float] = {}
        if table_12_epochs is not None:
            if dataset != "cifar10":
                raise DataError(
                    f"the table of 12 epochs is of cifar10, got the dataset {dataset!r}; leave table_12_epochs out"
                )
            self.short = read_table(Path(table_12_epochs), SHORT_COLUMN)
            self.short_seconds = read_table(Path(table_12_epochs), SECONDS_COLUMN, highest=float("inf"))
            self.fidelities = ({"epochs": SHORT_EPOCHS}, {"epochs": FULL_EPOCHS})

    @classmethod
    def from_options(cls, options: pydantic.BaseModel, seed: int) -> NASBench201Problem:
        """The problem of a run file; the seed changes nothing, the table is exact."""
        fields = NASBench201Options.model_validate(options.model_dump())
        return cls(fields.table, fields.dataset, fields.objectives, fields.budget.budget(), fields.table_12_epochs)

    @cached_property
    def optimum(self) -> float:
        """The highest accuracy, in percent, of any cell inside the budget: regret is the distance to it."""
        return max(self.accuracy[cell.text] for cell in self.space.cells)

    def evaluate(
        self, genome: Cell, device: str, *, fidelity: int | None = None, lineage: Sequence[Cell] = ()
    ) -> Mapping[str, float]:
        """Looks up the accuracy (percent) and adds params and flops; the device does not matter."""
        cost = self.space.cost(genome)
        values = {"params": float(cost.params), "flops": float(cost.flops)}
        if fidelity == 0 and self.fidelities:
            return values | {"accuracy": self.short[genome.text], "seconds": self.short_seconds[genome.text]}
        if self.short_seconds:
            values["seconds"] = self.short_seconds[genome.text] * FULL_EPOCHS / SHORT_EPOCHS
        return values | {"accuracy": self.accuracy[genome.text]}


@lru_cache(maxsize=6)
def read_table(path: Path, column: str, highest: float = 100) -> dict[str, float]:
    """A column by architecture string, checked to hold every cell once.

    Args:
        path: a CSV file, plain or gzipped.
        column: its name; by default of percentages.
        highest: what no value may exceed.

    Raises:
        DataError: the file is missing, a column or a cell is missing, or a value lies outside 0 and `highest`.
    """
    fix = (
        f"give the path of a CSV with the columns architecture and {column}, exported from the benchmark "
        "(NATS-Bench TSS), as problem.table or problem.table_12_epochs"
    )
    if not path.is_file():
        raise DataError(f"the table of NAS-Bench-201 is not at {str(path)!r}; {fix}")
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", newline="") as file:
            table = {row["architecture"]: float(row[column]) for row in csv.DictReader(file)}
    except (KeyError, ValueError, TypeError, OSError, EOFError, csv.Error) as error:
        raise DataError(f"the table {str(path)!r} is not that of NAS-Bench-201: {error!r}; {fix}") from error
    cells = (Cell(edges).text for edges in itertools.product(OPERATIONS, repeat=len(EDGES)))
    wrong = next((cell for cell in cells if not 0 <= table.get(cell, -1) <= highest), None)
    if wrong is not None:
        raise DataError(
            f"the table {str(path)!r} must give every cell a value from 0 to {highest:g} as {column}, "
            f"got {table.get(wrong)} for {wrong}; {fix}"
        )
    return table
