"""ProxylessNAS: one path in memory, logits by the gradients of binary gates.

Source: Cai et al., "ProxylessNAS", ICLR 2019, arXiv 1812.00332, section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from uninas_evo.contracts import Gated
from uninas_evo.sharing.estimators import gate_gradient
from uninas_evo.sharing.learner import Batch, LearnerOptions
from uninas_evo.sharing.learners.reward import RewardLearner, RewardOptions
from uninas_evo.sharing.statistics import still_statistics


class ProxylessOptions(RewardOptions):
    """The settings of ProxylessNAS."""

    mode: Literal["gates", "two", "reinforce"] = Field(
        "gates",
        description="all gates of a slot; two drawn without replacement, whose logits alone move; or rewards of draws",
    )
    policy_lr: float = Field(1e-3, gt=0, description="Adam's rate for the logits; the paper's 1e-3")
    policy_betas: tuple[float, float] = Field((0.0, 0.999), description="of Adam; the paper's 0 and 0.999")
    policy_decay: float = Field(0.0, ge=0, description="weight decay of the logits; the paper has none")
    every: int = Field(5, ge=1, description="weight steps for each step of the logits; 5 in the authors' code")
    samples: int = Field(10, ge=1, description="genomes an update by reinforce; the paper's 10")
    baseline_weight: float = Field(
        0.99, gt=0, le=1, description="of an update's mean reward in the baseline; 0.99 in the authors' code"
    )


class Proxyless(RewardLearner):
    """Weights learn along sampled paths; every few steps the logits learn by what each gate would change."""

    Options: ClassVar[type[LearnerOptions]] = ProxylessOptions

    @property
    def costs_in_loss(self) -> bool:
        """A cost is a term of the loss of gates, and part of the reward."""
        return bool(self.options.mode != "reinforce")

    def paths(self, step: int) -> Sequence[Any]:
        """One option a slot, drawn by the probabilities; uniformly in the warm-up."""
        return [self.draw(step, 0).path]

    def update(self, train: Batch, policy: Batch, step: int, optimizer: torch.optim.Optimizer) -> dict[str, float]:
        """One step of the logits on the policy's batch."""
        if not self.is_warm(step) or step % self.options.every:
            return {}
        if self.options.mode == "reinforce":
            return self._reinforce(policy, step)
        gates = {name: self._gate(name, value.detach(), step) for name, value in self.logits.items()}
        with still_statistics(self.net):
            loss = F.cross_entropy(self.net(policy[0], gates), policy[1])
            weights = [value for value in self.net.parameters() if value.requires_grad]
            torch.autograd.grad(loss, weights, allow_unused=True)  # the gates measure on its way
        before = {name: value.detach().clone() for name, value in self.logits.items()}
        self.descend({name: self._gradient(self.logits[name].detach(), gate) for name, gate in gates.items()}, step)
        if self.options.mode == "two":
            self._keep_mass(before, gates)
        return {"policy_loss": float(loss.detach()), **self.diagnostics()}

    def _reinforce(self, policy: Batch, step: int) -> dict[str, float]:
        """One step by the rewards of some draws (section 3.3.2)."""
        draws = [self.draw(step, 2, index) for index in range(self.options.samples)]
        rewards = [self.reward(drawn, policy) for drawn in draws]
        mean = sum(rewards) / len(rewards)
        before = mean if self.baseline is None else self.baseline
        self.baseline = before + self.options.baseline_weight * (mean - before)
        parts = [(before - reward) * drawn.log_prob for reward, drawn in zip(rewards, draws, strict=True)]
        self.learn(torch.stack(parts).mean(), step)
        return {"reward": mean, **self.diagnostics()}

    def _gate(self, name: str, logits: Tensor, step: int) -> Gated:
        """The open gate of a slot and those that are measured."""
        slot = list(self.logits).index(name)
        generator = self.noise_generator(step, 1, slot)
        chances = logits.softmax(-1).double().cpu()
        count = 2 if self.options.mode == "two" else 1
        drawn = torch.multinomial(chances, count, generator=generator).tolist()
        if count == 1:
            return Gated(drawn[0], torch.zeros_like(logits), tuple(range(len(logits))))
        pair = chances[drawn]
        first = drawn[int(torch.multinomial(pair / pair.sum(), 1, generator=generator))]
        return Gated(first, torch.zeros_like(logits), tuple(drawn))

    def _gradient(self, logits: Tensor, gate: Gated) -> Tensor:
        gradient, among = torch.zeros_like(logits), list(gate.among)
        gradient[among] = gate_gradient(logits[among], gate.gradient[among])
        return gradient

    @torch.no_grad()
    def _keep_mass(self, before: dict[str, Tensor], gates: dict[str, Gated]) -> None:
        """Only the two drawn logits move, and both are shifted so that the sum of their exp is what it was."""
        for name, gate in gates.items():
            two, old, new = list(gate.among), before[name], self.logits[name]
            shift = old[two].logsumexp(0) - new[two].logsumexp(0)
            moved = new[two] + shift
            new.copy_(old)
            new[two] = moved
