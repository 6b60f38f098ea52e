"""UNAS: unbiased low-variance gradients of the generalization gap; and REINFORCE with a moving baseline.

Source: Vahdat et al., "UNAS", CVPR 2020, arXiv 1912.07651, sections 3 and 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from uninas_evo.sharing import estimators
from uninas_evo.sharing.learner import Batch, LearnerOptions, PolicyLearner, PolicyOptions
from uninas_evo.sharing.statistics import still_statistics

BASELINE_DECAY = 0.9
"""Of REINFORCE's baseline: an average over about the last ten losses."""


class UnasOptions(PolicyOptions):
    """The settings of UNAS."""

    estimator: Literal["rebar", "gumbel", "reinforce"] = "rebar"
    objective: Literal["gap", "signed_gap", "val", "train"] = Field(
        "gap", description="L_train + λ|L_val − L_train|, the same without the absolute value, or one of the losses"
    )
    gap: Literal["image", "batch"] = Field(
        "image", description="where the absolute value is taken; the authors' code pairs the images of the two batches"
    )
    gap_weight: float = Field(0.5, ge=0, description="λ; the paper's 0.5")
    temperature: float = Field(0.4, gt=0, description="the paper's 0.4, where REBAR varies less than REINFORCE")
    weights_on: Literal["relaxed", "discrete"] = Field(
        "relaxed", description="what the weights train with: the relaxed draw as in the authors' code, or its argmax"
    )
    soften: float = Field(
        0.0,
        ge=0,
        description="added to each probability before draws, which keeps all alive; the paper's 0.08 on ImageNet",
    )
    every: int = Field(
        1, ge=1, description="weight steps for each step of the logits; more bring weights closer to their optimum"
    )
    coincidence: float = Field(
        0.2,
        ge=0,
        description="weight of both edges of a node being the same, in factorized cells; 0.2 in the authors' code",
    )
    per_image: bool = Field(True, description="an architecture for every image, as on CIFAR, or one a batch")
    policy_lr: float = Field(2e-3, gt=0, description="Adam's rate for the logits; the paper's 2e-3 at batch 128")
    policy_min_lr: float | None = Field(3e-4, ge=0, description="at the last step, by a cosine; the paper's 3e-4")
    policy_decay: float = Field(1e-6, ge=0, description="weight decay of the logits; the paper's 1e-6")
    init: float = Field(0.0, ge=0, description="deviation of the first logits; the paper's 0")


class Unas(PolicyLearner):
    """Weights along a draw, logits by an estimate of the gradient of the expected objective."""

    Options: ClassVar[type[LearnerOptions]] = UnasOptions
    policy_share = 0.1

    def __init__(self, net: Any, space: Any, options: Any, seed: int, steps: int) -> None:
        super().__init__(net, space, options, seed, steps)
        self.baseline: float | None = None

    def paths(self, step: int) -> Sequence[Any]:
        """The draw of the step, as it was before the logits moved."""
        drawn = self.drawn
        if self.options.weights_on == "discrete" or self.options.estimator == "reinforce":
            return [{name: d.hard.to(self.logits[name].dtype) for name, d in drawn.items()}]
        return [{name: d.soft.detach().to(self.logits[name].dtype) for name, d in drawn.items()}]

    def softened(self) -> dict[str, Tensor]:
        """The logits that draws are made with."""
        if not self.options.soften:
            return self.logits
        return {name: (value.softmax(-1) + self.options.soften).log() for name, value in self.logits.items()}

    def update(self, train: Batch, policy: Batch, step: int, optimizer: torch.optim.Optimizer) -> dict[str, float]:
        """One step of the logits."""
        options, seen, logits = self.options, list[Tensor](), self.softened()
        u = estimators.noise(logits, self.noise_generator(step, 0), len(train[1]) if options.per_image else 0)
        self.drawn = {n: estimators.relaxed(v.detach(), u[n], options.temperature) for n, v in logits.items()}
        if not self.is_warm(step) or step % options.every:
            return {}

        def loss(weights: estimators.Slots) -> Tensor:
            path = {name: value.to(self.logits[name].dtype) for name, value in weights.items()}
            value = self._objective(path, train, policy)
            seen.append(value.detach())
            return value.double()

        with still_statistics(self.net):
            if options.estimator == "rebar":
                surrogate = estimators.rebar(logits, u, loss, options.temperature)
            elif options.estimator == "gumbel":
                surrogate = estimators.gumbel_softmax(logits, u, loss, options.temperature)
            else:
                surrogate = estimators.reinforce(logits, u, loss, self.baseline or 0.0)
            self.learn(surrogate, step)
        mean = float(seen[-1].mean())
        self.baseline = mean if self.baseline is None else BASELINE_DECAY * self.baseline + (1 - BASELINE_DECAY) * mean
        return {"policy_loss": mean, **self.diagnostics()}

    def _objective(self, path: estimators.Slots, train: Batch, policy: Batch) -> Tensor:
        """The objective (N,) of each image, or () where one architecture serves the batch."""
        kind, weight = self.options.objective, self.options.gap_weight
        needed = {"val": (policy,), "train": (train,)}.get(kind, (train, policy))
        losses = [F.cross_entropy(self.net(x, path), y, reduction="none") for x, y in needed]
        if not self.options.per_image or self.options.gap == "batch":
            losses = [loss.mean() for loss in losses]
        if len(losses) == 1:
            value = losses[0]
        else:
            difference = losses[1] - losses[0]
            value = losses[0] + weight * (difference.abs() if kind == "gap" else difference)
        if self.net.joins_slots and self.options.coincidence:
            value = value + self.options.coincidence * self.net.coincidence(path)
        return value

    def state(self) -> dict[str, Any]:
        """Logits, their optimizer and the baseline."""
        return {**super().state(), "baseline": self.baseline}

    def restore(self, state: Any) -> None:
        """Takes up what `state` returned."""
        super().restore(state)
        self.baseline = state["baseline"]
