"""Named costs as a run file writes them, `[problem.costs.NAME]`, and the space that counts them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from uninas_evo.contracts import Budget, Cost, CostModel, Space
from uninas_evo.devices.profile import ProfileCost
from uninas_evo.devices.table import TableCost
from uninas_evo.errors import BudgetError

SIZE = "size_mb"
"""The cost that every space has without a table."""


class CostOptions(BaseModel):
    """A table `[problem.costs.NAME]`: where the amounts of a cost are found."""

    model_config = ConfigDict(extra="forbid")

    table: Path | None = Field(
        None, description='a CSV file (.csv or .csv.gz): a row for each genome, its text in the column "architecture"'
    )
    column: str | None = Field(None, description="the table's column, unless it is called as the cost is")
    profile: Path | None = Field(None, description="a device's profile, as `uninas-evo profile` writes it")
    bits: Literal[8, 16, 32] | None = Field(
        None, description="for size_mb alone: bits of a stored weight, 32 unless told otherwise; 8 when quantized"
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        given = [name for name in ("table", "profile", "bits") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"a cost has a table or a profile, got {' and '.join(given) or 'nothing'}; give table = FILE, or "
                "profile = FILE"
            )
        if self.column is not None and self.table is None:
            raise ValueError("a column is one of a table, and there is none; give table = FILE")
        return self


@dataclass(frozen=True)
class SizeCost:
    """Megabytes (10^6 bytes) of the weights as they are stored; the norms' statistics, a few percent, left out.

    Attributes:
        bits: of one weight.
    """

    bits: int = 32
    names = (SIZE,)
    sources: tuple[Path, ...] = ()

    def __call__(self, genome: Any, cost: Cost) -> Mapping[str, float]:
        """`size_mb`."""
        return {SIZE: cost.params * self.bits / 8e6}


def costed(space: Space[Any], costs: Mapping[str, CostOptions], budget: Budget, *, keep_start: bool = False) -> Any:
    """A space with the costs of a run file, inside its budget.

    Args:
        space: without a budget.
        costs: by name.
        budget: may bound any of them.
        keep_start: refuses a start outside; else spaces may replace it by one inside.

    Raises:
        DataError: a table cannot be read, or lacks a genome that is known already.
        BudgetError: no genome, or not the start, is inside.
    """
    found = space.with_costs([_model(space, name, options) for name, options in costs.items()], budget)
    if keep_start and found.start != space.start:
        raise BudgetError(
            f"the start must be inside {budget}, it costs {found.cost(space.start)}; widen the budget or start "
            "elsewhere"
        )
    return found


def _model(space: Space[Any], name: str, options: CostOptions) -> CostModel[Any]:
    if options.table is not None:
        return TableCost.of(space, name, options.table, options.column)
    if options.profile is not None:
        return ProfileCost.of(space, name, options.profile)
    return SizeCost(options.bits or 32)
