"""The budget as a constraint that an optimizer sees, for those that can rank what lies outside it."""

from __future__ import annotations

from typing import Literal

import pydantic

from uninas_evo.contracts import Budget, Cost
from uninas_evo.strategies.base import StrategyOptions


class BudgetHandling(StrategyOptions):
    """The option of strategies whose library knows constraints."""

    budget: Literal["bounds", "constraints"] = pydantic.Field(
        "bounds",
        description="bounds: operators never leave the budget; constraints: they may, and the library is told by how "
        "much; what lies outside is never scored. For budgets so tight that good networks are reached around them",
    )


def excess(cost: Cost, budget: Budget) -> float:
    """By which share of a bound a cost lies outside the budget; 0 inside."""
    return max(
        0.0,
        cost.params / max(budget.max_params, 1) - 1,
        cost.flops / max(budget.max_flops, 1) - 1,
        budget.min_params / max(cost.params, 1) - 1,
        budget.min_flops / max(cost.flops, 1) - 1,
    )
