"""NAS-Bench-201: the accuracy of all 15,625 cells in a table: regret is exact and a search takes a second.

Source: Dong & Yang, "NAS-Bench-201", ICLR 2020, arXiv 2001.00326.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

import pydantic

from uninas_evo.contracts import Budget, Objective, Problem
from uninas_evo.errors import DataError
from uninas_evo.problems.uninas import BudgetOptions
from uninas_evo.spaces.nasbench201.space import EDGES, OPERATIONS, RESNET, Cell, NASBench201Space
from uninas_evo.tables import read_rows

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
    objectives: tuple[Literal["accuracy", "params", "flops"], ...] = pydantic.Field(
        ("accuracy",), min_length=1, description="accuracy is maximized (percent), params and flops are minimized"
    )
    budget: BudgetOptions = pydantic.Field(default_factory=BudgetOptions, description="bounds on parameters and FLOPs")


class NASBench201Problem(Problem):
    """Test accuracy after 200 epochs, read from the benchmark's table: nothing is trained.

    Args:
        table: path of the table, see `NASBench201Options`.
        dataset: whose accuracy counts.
        objectives: names out of accuracy, params and flops.
        budget: bounds on parameters and FLOPs.

    Raises:
        DataError: the table is missing or is not the benchmark's.
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
    ) -> None:
        self.space = NASBench201Space(10 if dataset == "cifar10" else 100, budget=budget)
        self.objectives = tuple(
            Objective(name, "maximize" if name == "accuracy" else "minimize") for name in objectives
        )
        self.accuracy = read_table(Path(table), dataset)

    @classmethod
    def from_options(cls, options: pydantic.BaseModel, seed: int) -> NASBench201Problem:
        """The problem of a run file; the seed changes nothing, the table is exact."""
        fields = NASBench201Options.model_validate(options.model_dump())
        return cls(fields.table, fields.dataset, fields.objectives, fields.budget.budget())

    @cached_property
    def optimum(self) -> float:
        """The highest accuracy, in percent, of any cell inside the budget: regret is the distance to it."""
        return max(self.accuracy[cell.text] for cell in self.space.cells)

    def evaluate(
        self, genome: Cell, device: str, *, fidelity: int | None = None, lineage: Sequence[Cell] = ()
    ) -> Mapping[str, float]:
        """Looks up the accuracy (percent) and adds params and flops; the device does not matter."""
        cost = self.space.cost(genome)
        return {
            "accuracy": self.accuracy[genome.text],
            "params": float(cost.params),
            "flops": float(cost.flops),
        }


LEAST_SHARE = 0.9
"""Of the accuracy of guessing (100 / classes percent): below it stand no networks, but fractions of 1."""


@lru_cache(maxsize=4)
def read_table(path: Path, dataset: str) -> dict[str, float]:
    """Accuracy in percent by architecture string, checked to hold every cell once.

    Raises:
        DataError: the file is missing or damaged, a column or a cell is missing or there twice, a row names no cell,
            or an accuracy is not a percentage.
    """
    column = f"{dataset}_test_accuracy_percent"
    fix = (
        "give the path of a CSV with the columns architecture, cifar10_test_accuracy_percent and "
        "cifar100_test_accuracy_percent, exported from the benchmark (NATS-Bench TSS), as problem.table"
    )
    what = f"the table {str(path)!r}"
    if not path.is_file():
        raise DataError(f"the table of NAS-Bench-201 is not at {str(path)!r}; {fix}")
    rows = read_rows(path)
    if rows and (missing := {"architecture", column} - rows[0].cells.keys()):
        raise DataError(f"{what} is not that of NAS-Bench-201: it lacks the column {sorted(missing)[0]}; {fix}")
    cells = {Cell(edges).text for edges in itertools.product(OPERATIONS, repeat=len(EDGES))}
    least = LEAST_SHARE * (10.0 if dataset == "cifar10" else 1.0)
    table: dict[str, float] = {}
    lines: dict[str, int] = {}
    for row in rows:
        cell, accuracy = row.cells["architecture"], _percent(row.cells[column])
        if cell not in cells:
            raise DataError(f"line {row.line} of {what} names {cell!r:.200}, which is no cell of NAS-Bench-201; {fix}")
        if cell in table:
            raise DataError(f"{what} has the cell {cell} in the lines {lines[cell]} and {row.line}; remove one")
        if not least <= accuracy <= 100:
            raise DataError(
                f"{what} must give every cell an accuracy in percent, from {least:g} (guessing reaches "
                f"{least / LEAST_SHARE:g}) to 100, got {row.cells[column]!r:.40} in line {row.line} for {cell}; write "
                "94.37, not 0.9437"
            )
        table[cell], lines[cell] = accuracy, row.line
    if lacking := sorted(cells - table.keys()):
        raise DataError(f"{what} must give every cell an accuracy, got none for {lacking[0]}; {fix}")
    return table


def _percent(text: str) -> float:
    """A number; NaN, which no range holds, for a text that is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
