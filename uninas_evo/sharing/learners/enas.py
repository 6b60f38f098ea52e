"""ENAS: phases of weights along sampled genomes, then of a policy by REINFORCE on validation accuracy.

Source: Pham et al., "ENAS", ICML 2018, arXiv 1802.03268, as NAS-Bench-201's authors run it (arXiv 2001.00326). The
policy here has independent logits for each decision, where the paper's is an LSTM.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from uninas_evo.sharing import estimators
from uninas_evo.sharing.learner import Batch, LearnerOptions, PolicyLearner, PolicyOptions
from uninas_evo.sharing.statistics import still_statistics


class EnasOptions(PolicyOptions):
    """The settings of ENAS."""

    policy_lr: float = Field(1e-3, gt=0, description="Adam's rate for the logits; the benchmark's 1e-3")
    policy_betas: tuple[float, float] = Field((0.0, 0.999), description="of Adam; the benchmark's 0 and 0.999")
    policy_decay: float = Field(0.0, ge=0, description="weight decay of the logits; the benchmark has none")
    samples: int = Field(20, ge=1, description="genomes an update; the benchmark's 20")
    every: int = Field(10, ge=1, description="weight steps for each update of the policy")
    entropy_weight: float = Field(1e-4, ge=0, description="of the entropy in the reward; the benchmark's 1e-4")
    baseline_decay: float = Field(0.99, ge=0, lt=1, description="of the moving baseline; the benchmark's 0.99")


class Enas(PolicyLearner):
    """Rewards are accuracies of single paths on a batch of the policy's images."""

    Options: ClassVar[type[LearnerOptions]] = EnasOptions

    def __init__(self, net: Any, space: Any, options: Any, seed: int, steps: int) -> None:
        super().__init__(net, space, options, seed, steps)
        self.baseline = 0.0

    def paths(self, step: int) -> Sequence[Any]:
        """One option a slot."""
        hard, _ = self._draw(step, 0)
        return [hard]

    def _draw(self, step: int, *purpose: int) -> tuple[Any, dict[str, Tensor]]:
        """A path that runs one option a slot, and its one-hot draw."""
        u = estimators.noise(self.logits, self.noise_generator(step, *purpose))
        hard = {name: estimators.relaxed(value.detach(), u[name], 1.0).hard for name, value in self.logits.items()}
        return self.single_path(hard), hard

    def update(self, train: Batch, policy: Batch, step: int, optimizer: torch.optim.Optimizer) -> dict[str, float]:
        """One REINFORCE step of the logits over some genomes."""
        if not self.is_warm(step) or (step + 1) % self.options.every:
            return {}
        surrogate, rewards = torch.zeros((), dtype=torch.float64), []
        for index in range(self.options.samples):
            path, hard = self._draw(step, 1, index)
            with torch.no_grad(), still_statistics(self.net):
                reward = float((self.net(policy[0], path).argmax(1) == policy[1]).double().mean())
            reward += self.options.entropy_weight * self._entropy()
            rewards.append(reward)
            decay = self.options.baseline_decay
            self.baseline = reward if step < self.options.every else decay * self.baseline + (1 - decay) * reward
            surrogate = surrogate - (reward - self.baseline) * estimators.log_prob(self.logits, hard)
        self.learn(surrogate / self.options.samples)
        return {"reward": sum(rewards) / len(rewards), **self.diagnostics()}

    def _entropy(self) -> float:
        return sum(float(entropy.detach()) for entropy in estimators.entropies(self.logits).values())

    def state(self) -> dict[str, Any]:
        """Logits, their optimizer and the baseline."""
        return {**super().state(), "baseline": self.baseline}

    def restore(self, state: Any) -> None:
        """Takes up what `state` returned."""
        super().restore(state)
        self.baseline = float(state["baseline"])
