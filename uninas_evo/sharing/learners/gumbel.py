"""Gumbel-softmax and GDAS: draws of the distribution, relaxed, or one option a slot.

Sources: Xie et al., "SNAS", ICLR 2019, arXiv 1812.09926; Dong & Yang, "GDAS", CVPR 2019, arXiv 1910.04465.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch.nn import functional as F

from uninas_evo.contracts import Chosen, Mixture
from uninas_evo.sharing.estimators import gdas_choice, noise, relaxed
from uninas_evo.sharing.learner import Batch, LearnerOptions, PolicyLearner, PolicyOptions
from uninas_evo.sharing.statistics import still_statistics


class GumbelOptions(PolicyOptions):
    """The settings of both; the temperature falls linearly."""

    first_temperature: float = Field(10.0, gt=0, description="at the first step; GDAS' 10")
    last_temperature: float = Field(0.1, gt=0, description="at the last step; GDAS' 0.1")


class Gumbel(PolicyLearner):
    """SNAS: weights and logits learn along one relaxed draw a batch, which mixes all options."""

    Options: ClassVar[type[LearnerOptions]] = GumbelOptions

    def temperature(self, step: int) -> float:
        """The temperature of a step."""
        share = step / max(1, self.steps - 1)
        return float(self.options.first_temperature * (1 - share) + self.options.last_temperature * share)

    def draw(self, step: int, purpose: int) -> Mixture:
        """A relaxed draw with gradients by the logits."""
        u = noise(self.logits, self.noise_generator(step, purpose))
        temperature = self.temperature(step)
        return {n: relaxed(v, u[n], temperature).soft.to(v.dtype) for n, v in self.logits.items()}

    def paths(self, step: int) -> Sequence[Any]:
        """A draw of its own for the weights, its logits held."""
        return [
            {
                name: Chosen(w.option, w.weight.detach()) if isinstance(w, Chosen) else w.detach()  # type: ignore[union-attr]
                for name, w in self.draw(step, 0).items()
            }
        ]

    def update(self, train: Batch, policy: Batch, step: int, optimizer: torch.optim.Optimizer) -> dict[str, float]:
        """One step of the logits on the policy's batch."""
        if not self.is_warm(step):
            return {}
        with still_statistics(self.net):
            loss = F.cross_entropy(self.net(policy[0], self.draw(step, 1)), policy[1])
            self.learn(loss, step)
        return {"policy_loss": float(loss.detach()), "temperature": self.temperature(step), **self.diagnostics()}


class Gdas(Gumbel):
    """GDAS: only the drawn option of each slot runs, times a weight of 1 that carries the logits' derivative."""

    def draw(self, step: int, purpose: int) -> Mixture:
        """One option a slot."""
        u = noise(self.logits, self.noise_generator(step, purpose))
        temperature = self.temperature(step)
        return {name: gdas_choice(value, u[name], temperature) for name, value in self.logits.items()}
