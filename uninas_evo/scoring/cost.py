"""The costs of a space as objectives: exact, from formulas; nothing is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from uninas_evo.contracts import Goal, Objective, Scorer, Subject

COSTS = ("params", "flops")
"""The costs that every space has."""
UNITS = {"ms": "ms", "mj": "mJ", "mb": "MB"}
"""Units by the ends of costs' names."""


def cost_objective(name: str, goal: Goal | None = None) -> Objective:
    """A cost of a space as an objective; a cost is minimized unless told otherwise."""
    unit = name.rpartition("_")[2]
    return Objective(name, goal or "minimize", unit=UNITS.get(unit, ""), is_cost=True)


@dataclass(frozen=True)
class CostScorer(Scorer):
    """All named costs of a genome, of which `objectives` are followed."""

    objectives: tuple[Objective, ...] = ()
    is_pure = True

    def score(self, subject: Subject, device: str) -> Mapping[str, float]:
        """`params`, `flops` (of one image), and what else the space counts."""
        return {name: float(amount) for name, amount in subject.space.cost(subject.genome).items()}


def cost_scorer(names: Sequence[str] = COSTS) -> CostScorer:
    """A scorer whose objectives are the costs of these names."""
    return CostScorer(tuple(cost_objective(name) for name in names))
