"""Accuracy, latency and size as one number: what is lost of the accuracy, and by how much costs exceed their targets.

    w_acc (1 − accuracy) + Σ over costs of w max(0, cost / target − 1)

The weighted sum of hardware-aware searches, to be minimized; without the hinge (max) costs below their targets count
too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from uninas_evo.contracts import Objective, Scorer, Subject
from uninas_evo.errors import ObjectiveError

COMPOSITE = "composite"
"""The name of the objective."""
WEIGHTS = {"params": 0.01, "size_mb": 0.01}
"""Weights of costs that say how large a network is; a latency or energy twice its target weighs ten times as much."""
WEIGHT = 0.1
"""Weight of any other cost: twice the target costs as much as 10 points of accuracy."""


@dataclass(frozen=True)
class CompositeScorer(Scorer):
    """Weighs what another scorer gives against costs of the space and values that are measured.

    Attributes:
        scorer: whose value is weighed.
        of: the value's name.
        targets: the amount from which each cost counts, in the cost's own unit.
        weights: of `of` (1 where it is not given) and of the costs (`WEIGHTS`, `WEIGHT`).
        hinge: whether a cost below its target counts nothing.
        measured: scorers of the targets that are no costs, by name, such as that of a latency.
    """

    scorer: Scorer
    of: str
    targets: Mapping[str, float]
    weights: Mapping[str, float]
    hinge: bool = True
    measured: Mapping[str, Scorer] = field(default_factory=dict)

    @property
    def _weighed(self) -> Objective:
        return next(one for one in self.scorer.objectives if one.name == self.of)

    @property
    def objectives(self) -> tuple[Objective, ...]:  # type: ignore[override]
        """The sum; it repeats where all values in it do."""
        parts = [self._weighed, *(one for scorer in self.measured.values() for one in scorer.objectives)]
        return (Objective(COMPOSITE, "minimize", repeats=all(one.repeats for one in parts)),)

    @property
    def is_pure(self) -> bool:  # type: ignore[override]
        """Whether no value in it needs isolation."""
        return all(one.is_pure for one in (self.scorer, *self.measured.values()))

    def score(self, subject: Subject, device: str) -> Mapping[str, float]:
        """`composite`; a value in percent enters as a fraction.

        Raises:
            ObjectiveError: the value is no accuracy.
        """
        value = subject.scored(self.scorer, device)[self.of]
        accuracy = value / 100 if self._weighed.unit == "%" else value
        if not 0 <= accuracy <= 1:
            raise ObjectiveError(
                f"a composite weighs an accuracy, a fraction or in percent, and {self.of} is {value:g}: weigh another "
                "value, or follow it and the costs as several objectives"
            )
        total = self.weights.get(self.of, 1.0) * (1 - accuracy)
        amounts = dict(subject.space.cost(subject.genome))
        for name, scorer in self.measured.items():
            amounts[name] = subject.scored(scorer, device)[name]
        for name, target in self.targets.items():
            over = amounts[name] / target - 1
            total += self.weights.get(name, WEIGHTS.get(name, WEIGHT)) * (max(0.0, over) if self.hinge else over)
        return {COMPOSITE: total}
