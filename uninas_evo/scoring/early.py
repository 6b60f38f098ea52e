"""The objective "early_loss": how fast a network learns at first, for seconds in the place of minutes."""

from __future__ import annotations

import math
from collections.abc import Mapping

from uninas_evo.contracts import Objective, Subject
from uninas_evo.errors import TrainingError
from uninas_evo.scoring.training import TrainScorer


class EarlyLossScorer(TrainScorer):
    """Mean training loss over the first 50 steps of a training (fewer where the epoch is shorter), in nats.

    It is the sum of training losses of Ru et al., "Speedy Performance Estimation for Neural Architecture Search",
    NeurIPS 2021, divided by the steps. The training ends there, so that it costs 50 steps and one evaluation. Give it
    a schedule of few epochs: its learning rates are those of the schedule's beginning.

    Args:
        settings: those of `train`.
    """

    objectives = (Objective("early_loss", "minimize", unit="nats"),)

    def score(self, subject: Subject, device: str) -> Mapping[str, float]:
        """`early_loss`.

        Raises:
            TrainingError: the training broke before anything was seen.
        """
        curve, _ = self._train(subject, 0, device, (), -math.inf)
        if not math.isfinite(curve.loss):
            raise TrainingError(
                "early_loss needs the loss of the first steps, and none was told; give data of at least one batch"
            )
        return {"early_loss": curve.loss}
