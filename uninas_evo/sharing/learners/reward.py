"""What learners by reward share: genomes are drawn, scored with the shared weights, and made more or less probable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from uninas_evo.contracts import Mixture
from uninas_evo.sharing import estimators
from uninas_evo.sharing.learner import Batch, PolicyLearner, PolicyOptions
from uninas_evo.sharing.statistics import still_statistics


class RewardOptions(PolicyOptions):
    """The settings of a policy that learns by reward."""

    cost_power: float = Field(
        0.1, ge=0, description="the reward is accuracy · (cost_target / cost) ^ this where a cost is named; the paper's"
    )


class Drawn(NamedTuple):
    """A draw: its path, its one-hot options for each slot, and the log-probability () and entropy () of it."""

    path: Mixture
    hard: Mapping[str, Tensor]
    log_prob: Tensor
    entropy: Tensor


class RewardLearner(PolicyLearner):
    """A policy whose gradient is (reward − b)·∂ log p, b a moving baseline (REINFORCE)."""

    def __init__(self, net: Any, space: Any, options: Any, seed: int, steps: int) -> None:
        super().__init__(net, space, options, seed, steps)
        self.baseline: float | None = None

    @property
    def costs_in_loss(self) -> bool:
        """They are part of the reward."""
        return False

    def draw(self, step: int, *purpose: int) -> Drawn:
        """A path that runs one option a slot; uniform while the policy does not learn yet."""
        warm = self.is_warm(step) or self.watch.stopped
        logits = self.logits if warm else {name: torch.zeros_like(v) for name, v in self.logits.items()}
        u = estimators.noise(logits, self.noise_generator(step, *purpose))
        hard = {name: estimators.relaxed(value.detach(), u[name], 1.0).hard for name, value in logits.items()}
        entropy = torch.stack([one.double().cpu() for one in estimators.entropies(logits).values()]).sum()
        return Drawn(self.single_path(hard), hard, estimators.log_prob(logits, hard), entropy)

    @torch.no_grad()
    def reward(self, drawn: Drawn, batch: Batch) -> float:
        """Accuracy of the path on a batch of the policy's images, times what its cost leaves of it."""
        with still_statistics(self.net):
            accuracy = float((self.net(batch[0], drawn.path).argmax(1) == batch[1]).double().mean())
        if self.cost_term is None:
            return accuracy
        genome = self.net.derive({name: value.cpu().numpy() for name, value in drawn.hard.items()})
        cost = float(self.space.cost(genome)[self.options.cost])
        return accuracy * float((self.options.cost_target / cost) ** self.options.cost_power) if cost else accuracy

    def state(self) -> dict[str, Any]:
        """Logits, their optimizer and the baseline."""
        return {**super().state(), "baseline": self.baseline}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state` returned."""
        super().restore(state)
        self.baseline = state["baseline"]
