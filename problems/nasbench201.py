"""NAS-Bench-201: the accuracy of all 15,625 cells in a table: regret is exact and a search takes a second.

Source: Dong & Yang, "NAS-Bench-201", ICLR 2020, arXiv 2001.00326.
"""

from __future__ import annotations

import csv
import gzip
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field

from uninas_evo.contracts import Budget, Objective, Scorer, Subject
from uninas_evo.errors import DataError
from uninas_evo.problems.options import ScoringOptions, scoring
from uninas_evo.problems.search import SearchProblem
from uninas_evo.scoring.named import ObjectiveOptions, Written
from uninas_evo.spaces.nasbench201.space import EDGES, OPERATIONS, RESNET, Cell, NASBench201Space

__all__ = ["RESNET", "Cell", "NASBench201Options", "NASBench201Problem", "NASBench201Space", "read_table"]


class NASBench201Options(ScoringOptions):
    """The `[problem]` table of a run file for NAS-Bench-201."""

    own = ("accuracy",)

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
        scoring: batch, proxies and aggregate, as `SearchProblem` takes them.

    Raises:
        DataError: the table is missing or is not the benchmark's.
        ObjectiveError: an objective does not exist.
    """

    Options = NASBench201Options
    space: NASBench201Space
    lookup = True

    def __init__(
        self,
        table: str | Path,
        dataset: Literal["cifar10", "cifar100"] = "cifar10",
        objectives: Sequence[Written] = ("accuracy",),
        budget: Budget | None = None,
        *,
        seed: int = 0,
        **scoring: Any,
    ) -> None:
        self.accuracy = read_table(Path(table), dataset)
        self.own = (TableScorer(self.accuracy),)
        space = NASBench201Space(10 if dataset == "cifar10" else 100, budget=budget)
        super().__init__(space, objectives, seed=seed, **scoring)

    @classmethod
    def from_options(cls, options: NASBench201Options, seed: int) -> Self:
        """The problem of a run file."""
        budget = options.budget.budget()
        return cls(options.table, options.dataset, options.objectives, budget, seed=seed, **scoring(options))

    @cached_property
    def optimum(self) -> float:
        """The highest accuracy, in percent, of any cell inside the budget: regret is the distance to it."""
        return max(self.accuracy[cell.text] for cell in self.space.cells)


@lru_cache(maxsize=4)
def read_table(path: Path, dataset: str) -> dict[str, float]:
    """Accuracy in percent by architecture string, checked to hold every cell once.

    Raises:
        DataError: the file is missing, a column or a cell is missing, or an accuracy is not a percentage.
    """
    column = f"{dataset}_test_accuracy_percent"
    fix = (
        "give the path of a CSV with the columns architecture, cifar10_test_accuracy_percent and "
        "cifar100_test_accuracy_percent, exported from the benchmark (NATS-Bench TSS), as problem.table"
    )
    if not path.is_file():
        raise DataError(f"the table of NAS-Bench-201 is not at {str(path)!r}; {fix}")
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", newline="") as file:
            table = {row["architecture"]: float(row[column]) for row in csv.DictReader(file)}
    except (KeyError, ValueError, TypeError, OSError, EOFError, csv.Error) as error:
        raise DataError(f"the table {str(path)!r} is not that of NAS-Bench-201: {error!r}; {fix}") from error
    cells = (Cell(edges).text for edges in itertools.product(OPERATIONS, repeat=len(EDGES)))
    wrong = next((cell for cell in cells if not 0 <= table.get(cell, -1) <= 100), None)
    if wrong is not None:
        raise DataError(
            f"the table {str(path)!r} must give every cell an accuracy from 0 to 100 percent, "
            f"got {table.get(wrong)} for {wrong}; {fix}"
        )
    return table
