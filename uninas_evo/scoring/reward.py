"""A value weighed against a cost: value · (target / cost)^exponent, the reward of mobile searches and of UniNet.

Source: Tan et al., "MnasNet", CVPR 2019, as UniNet takes it (Liu et al., ECCV 2022, arXiv 2207.05420): accuracy, FLOPs,
target 550 M, exponent 0.07.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from uninas_evo.contracts import Objective, Scorer, Subject
from uninas_evo.errors import ObjectiveError

EXPONENT = 0.07
"""MnasNet's and UniNet's: a network of twice the cost must be 5 percent better."""
REWARD = "reward"
"""The name of the objective."""


@dataclass(frozen=True)
class RewardScorer(Scorer):
    """Weighs what another scorer gives; the value must be positive, a product with another would reward cost.

    Attributes:
        scorer: whose value is weighed.
        of: the value's name.
        cost: the name of a cost of the space.
        target: where the factor is 1, in the cost's unit.
        exponent: how much a costlier network loses: twice the target costs a share of 1 − 2^−exponent.
    """

    scorer: Scorer
    of: str
    cost: str
    target: float
    exponent: float

    @property
    def objectives(self) -> tuple[Objective, ...]:  # type: ignore[override]
        """The reward; it repeats where the weighed value does."""
        inner = next(one for one in self.scorer.objectives if one.name == self.of)
        return (Objective(REWARD, "maximize", repeats=inner.repeats),)

    def score(self, subject: Subject, device: str) -> Mapping[str, float]:
        """`reward`.

        Raises:
            ObjectiveError: the value is not positive.
        """
        value = subject.scored(self.scorer, device)[self.of]
        return {REWARD: reward(value, subject.space.cost(subject.genome)[self.cost], self.target, self.exponent)}


def reward(value: float, cost: float, target: float, exponent: float) -> float:
    """Value · (target / cost)^exponent.

    Raises:
        ObjectiveError: the value is not positive.
    """
    if not value > 0:
        raise ObjectiveError(
            f"a reward weighs positive values, got {value:g}: a product with another would reward cost; "
            "weigh an accuracy, or follow the value and the cost as two objectives"
        )
    return value * float((target / cost) ** exponent)
