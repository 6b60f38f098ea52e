"""The budget as a constraint that an optimizer sees, for those that can rank what lies outside it."""

from __future__ import annotations

from typing import Any, Literal

import pydantic

from uninas_evo.contracts import Budget, Rebudgeted, Space
from uninas_evo.errors import StrategyError
from uninas_evo.strategies.base import StrategyOptions


class BudgetHandling(StrategyOptions):
    """The option of strategies whose library knows constraints."""

    budget: Literal["bounds", "constraints"] = pydantic.Field(
        "bounds",
        description="bounds: operators never leave the budget; constraints: they may, and the library is told by how "
        "much; what lies outside is never scored. For budgets so tight that good networks are reached around them",
    )


def unbounded(space: Space[Any]) -> Space[Any]:
    """The same space without bounds.

    Raises:
        StrategyError: the space cannot leave its budget.
    """
    if not isinstance(space, Rebudgeted):
        raise StrategyError(
            f'budget = "constraints" needs a space that can leave its budget, and {type(space).__name__} cannot '
            f'(it has no `with_budget`); use budget = "bounds"'
        )
    return space.with_budget(Budget())
