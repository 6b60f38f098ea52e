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
    dataset: Literal["cifar10", "cifar100"] = Field(
        "cifar10", description="whose test accuracy counts; CIFAR-10 is the one most papers report first"
    )
    objectives: list[str | ObjectiveOptions] = Field(
        ["accuracy"],
        description='"accuracy" of the table (maximized, percent), and what is scored in any space: names of proxies, '
        '"params", "flops", "latency_ms", "train", or functions of your own',
        min_length=1,
    )


@dataclass(frozen=True)
class TableScorer(Scorer):
    """Looks up the test accuracy after 200 epochs, in percent.

    Attributes:
        accuracy: percent by architecture string.
    """

    accuracy: Mapping[str, float] = field(repr=False, compare=False)
    objectives = (Objective("accuracy", "maximize", unit="%"),)
    is_pure = True

    def score(self, subject: Subject, device: str) -> Mapping[str, float]:
        """`accuracy`; the device does not matter."""
        return {"accuracy": self.accuracy[subject.genome.text]}


class NASBench201Problem(SearchProblem):
    """Test accuracy after 200 epochs, read from the benchmark's table: nothing is trained.

    Args:
        table: path of the table, see `NASBench201Options`.
        dataset: whose accuracy counts.
        objectives: "accuracy", or what `SearchProblem` scores in any space.
        budget: bounds on parameters and FLOPs.
        seed: of what is scored; the table is exact.
        supernet: how shared weights are trained, for the objective "supernet".
        costs: further costs by name, such as ``{"edgegpu_latency_ms": {"table": "nasbench201_hardware.csv.gz"}}``.
        scoring: batch, proxies and aggregate, as `SearchProblem` takes them.

    Raises:
        DataError: the table is missing or is not the benchmark's.
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
        seed: int = 0,
        supernet: SupernetOptions | None = None,
        costs: Mapping[str, CostOptions | Mapping[str, Any]] | None = None,
        **scoring: Any,
    ) -> None:
        self.accuracy = read_table(Path(table), dataset)
        self.own = (TableScorer(self.accuracy), *shared_scorers(supernet))
        self.lookup = supernet is None
        known = {name: CostOptions.model_validate(one) for name, one in (costs or {}).items()}
        space = costed(NASBench201Space(10 if dataset == "cifar10" else 100), known, budget or Budget())
        super().__init__(space, objectives, seed=seed, **scoring)

    @classmethod
    def from_options(cls, options: NASBench201Options, seed: int) -> Self:
        """The problem of a run file."""
        budget = options.budget.budget()
        more = scoring(options) | {"supernet": options.supernet, "costs": options.costs}
        return cls(options.table, options.dataset, options.objectives, budget, seed=seed, **more)

    @cached_property
    def optimum(self) -> float:
        """The highest accuracy, in percent, of any cell inside the budget: regret is the distance to it."""
        return max(self.accuracy[cell.text] for cell in self.space.cells)


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
