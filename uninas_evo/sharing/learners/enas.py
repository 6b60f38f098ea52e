"""ENAS: weights along sampled genomes, and a policy by REINFORCE on validation accuracy.

Source: Pham et al., "ENAS", ICML 2018, arXiv 1802.03268, as NAS-Bench-201's authors run it (arXiv 2001.00326).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from uninas_evo.sharing import estimators
from uninas_evo.sharing.controller import Controller
from uninas_evo.sharing.learner import Batch, LearnerOptions
from uninas_evo.sharing.learners.reward import Drawn, RewardLearner, RewardOptions

EPSILON = 1e-3
"""Of Adam, as in the benchmark's program."""
CLIP = 5.0
"""Greatest norm of the controller's gradient, as there."""


class EnasOptions(RewardOptions):
    """The settings of ENAS."""

    policy: Literal["lstm", "logits"] = Field("lstm", description="the paper's LSTM, or independent logits")
    policy_lr: float = Field(1e-3, gt=0, description="Adam's rate for the policy; the benchmark's 1e-3")
    policy_betas: tuple[float, float] = Field((0.0, 0.999), description="of Adam; the benchmark's 0 and 0.999")
    policy_decay: float = Field(0.0, ge=0, description="weight decay of the policy; the benchmark has none")
    samples: int = Field(20, ge=1, description="genomes an update; the benchmark's 20")
    every: int = Field(10, ge=1, description="weight steps for each update of the policy")
    entropy_weight: float = Field(1e-4, ge=0, description="of the entropy in the reward; the benchmark's 1e-4")
    baseline_decay: float = Field(0.99, ge=0, lt=1, description="of the moving baseline; the benchmark's 0.99")
    final: int = Field(100, ge=1, description="last draws, of which the best on a batch wins; the benchmark's 100")


class Enas(RewardLearner):
    """Rewards are accuracies of single paths on a batch of the policy's images."""

    Options: ClassVar[type[LearnerOptions]] = EnasOptions

    def __init__(self, net: Any, space: Any, options: Any, seed: int, steps: int) -> None:
        super().__init__(net, space, options, seed, steps)
        self.best: torch.Tensor | None = None
        self.controller: Controller | None = None
        if options.policy == "lstm":
            self.controller = Controller(net.slots, self.noise_generator(0, 96))
            self.optimizer = torch.optim.Adam(
                self.controller.parameters(), options.policy_lr, options.policy_betas, EPSILON, options.policy_decay
            )

    def draw(self, step: int, *purpose: int) -> Drawn:
        """A draw of the controller, or of the logits."""
        if self.controller is None:
            return super().draw(step, *purpose)
        drawn = self.controller(estimators.noise(self.logits, self.noise_generator(step, *purpose)))
        return Drawn(self.single_path(drawn.hard), drawn.hard, drawn.log_prob, drawn.entropy)

    def paths(self, step: int) -> Sequence[Any]:
        """One option a slot."""
        return [self.draw(step, 0).path]

    def update(self, train: Batch, policy: Batch, step: int, optimizer: torch.optim.Optimizer) -> dict[str, float]:
        """One REINFORCE step of the policy over some genomes."""
        if not self.is_warm(step) or (step + 1) % self.options.every:
            return {}
        surrogate, rewards = torch.zeros((), dtype=torch.float64), []
        for index in range(self.options.samples):
            drawn = self.draw(step, 1, index)
            reward = self.reward(drawn, policy) + self.options.entropy_weight * float(drawn.entropy.detach())
            rewards.append(reward)
            decay = self.options.baseline_decay
            self.baseline = reward if self.baseline is None else decay * self.baseline + (1 - decay) * reward
            surrogate = surrogate - (reward - self.baseline) * drawn.log_prob
        if self.controller is None:
            self.learn(surrogate / self.options.samples, step)
            return {"reward": sum(rewards) / len(rewards), **self.diagnostics()}
        self.optimizer.zero_grad(set_to_none=True)
        gradients = torch.autograd.grad(surrogate / self.options.samples, list(self.controller.parameters()))
        for value, gradient in zip(self.controller.parameters(), gradients, strict=True):
            value.grad = gradient
        nn.utils.clip_grad_norm_(self.controller.parameters(), CLIP)
        self.optimizer.step()
        return {"reward": sum(rewards) / len(rewards), "entropy": float(drawn.entropy.detach()) / len(self.logits)}

    def conclude(self, batch_of: Callable[[int], Batch]) -> None:
        """Draws some genomes, scores each on a batch, and keeps the best."""
        with torch.no_grad():
            draws = [self.draw(self.steps, 2, index) for index in range(self.options.final)]
            rewards = [self.reward(drawn, batch_of(index)) for index, drawn in enumerate(draws)]
        best = draws[max(range(len(draws)), key=rewards.__getitem__)]
        self.best = torch.tensor([int(value.argmax()) for value in best.hard.values()])

    def gap(self, batch: Batch) -> dict[str, float]:
        """Of independent logits; the LSTM's draws have no mixture."""
        return super().gap(batch) if self.controller is None else {}

    def derive(self) -> Any:
        """The best of the last draws; before the end the most probable option of each slot in turn."""
        if self.best is not None:
            return self._genome(
                {
                    name: torch.nn.functional.one_hot(index, len(value))
                    for (name, value), index in zip(self.logits.items(), self.best, strict=True)
                }
            )
        if self.controller is None:
            return super().derive()
        with torch.no_grad():
            return self._genome(self.controller(None).hard)

    def sample(self, rng: random.Random) -> Any:
        """A draw of the policy."""
        if self.controller is None:
            return super().sample(rng)
        generator = torch.Generator().manual_seed(rng.getrandbits(62))
        with torch.no_grad():
            return self._genome(self.controller(estimators.noise(self.logits, generator)).hard)

    def _genome(self, hard: Mapping[str, torch.Tensor]) -> Any:
        return self.net.derive({name: value.double().cpu().numpy() for name, value in hard.items()})

    def state(self) -> dict[str, Any]:
        """Policy, optimizer, baseline, and at the end the best draw."""
        controller = {} if self.controller is None else self.controller.state_dict()
        return {**super().state(), "controller": controller, "best": self.best}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state` returned."""
        if self.controller is not None:
            self.controller.load_state_dict(state["controller"])
        super().restore(state)
        self.best = state["best"]
