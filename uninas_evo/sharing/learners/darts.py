"""DARTS: the mixture of all options, its logits by the loss of held-out images, first or second order.

Source: Liu et al., "DARTS", ICLR 2019, arXiv 1806.09055, section 2.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from uninas_evo.contracts import Mixture
from uninas_evo.errors import RunFileError
from uninas_evo.sharing import remedies
from uninas_evo.sharing.curvature import dominant_eigenvalue
from uninas_evo.sharing.learner import Batch, LearnerOptions, PolicyLearner, PolicyOptions
from uninas_evo.sharing.statistics import still_statistics

Tensors = dict[str, Tensor]
BACK = 4
"""Eigenvalues between the two whose means are compared; RobustDARTS' 4."""
MEAN_OF = 5
"""Eigenvalues of which each is the mean; RobustDARTS' 5."""


class DartsOptions(PolicyOptions):
    """The settings of DARTS."""

    order: Literal[1, 2] = Field(1, description="1: at the present weights; 2: at those one weight step ahead")
    hessian: Literal["exact", "difference"] = Field(
        "exact",
        description="how order 2 differentiates through that step; the paper's difference is mostly noise with ReLU, "
        "whose kinks its step crosses",
    )
    eigen_every: int = Field(
        0,
        ge=0,
        description="steps of the policy between two dominant eigenvalues of its Hessian; RobustDARTS "
        "takes one in 2 epochs; 0: none",
    )
    eigen_growth: float = Field(
        1.3, gt=1, description="the policy stops, and goes back, where their mean grew so much; RobustDARTS' 1.3"
    )
    selection: Literal["probability", "accuracy"] = Field(
        "probability",
        description="what derives: the greatest probability, or the most accuracy lost without an option",
    )
    keep: list[Annotated[int, Field(ge=2)]] = Field(
        default_factory=list,
        description="most options of a slot in each stage of the training, the most probable ones; P-DARTS' [8, 5, 3]",
    )
    difference: float = Field(0.01, gt=0, description="the difference's step, divided by the gradient's norm")


class Darts(PolicyLearner):
    """Weights and logits in turn, each by its own half of the training images."""

    Options: ClassVar[type[LearnerOptions]] = DartsOptions

    def enter(self, net: Any, stage: int) -> None:
        """Slots lose their least probable options, where `keep` asks for it."""
        super().enter(net, stage)
        if stage < len(self.options.keep):
            remedies.narrow(self, self.options.keep[stage], stage)
            self.optimizer = self._adam()

    def paths(self, step: int) -> Sequence[Any]:
        """The mixture, its logits held."""
        return [{name: value.detach() for name, value in self.mixture().items()}]

    def update(self, train: Batch, policy: Batch, step: int, optimizer: torch.optim.Optimizer) -> dict[str, float]:
        """One step of the logits on the policy's batch."""
        if not self.is_warm(step):
            return {}
        with still_statistics(self.net):
            if self.options.order == 1:
                loss = F.cross_entropy(self.net(policy[0], self.mixture()), policy[1])
                self.learn(loss, step)
            else:
                loss, gradients = self.second_order(train, policy, optimizer)
                self.descend(dict(zip(self.logits, gradients, strict=True)), step)
        return {"policy_loss": float(loss.detach()), **self._sharpness(policy, step), **self.diagnostics()}

    def _sharpness(self, policy: Batch, step: int) -> dict[str, float]:
        """The dominant eigenvalue of the loss's Hessian by the logits, where it is due; the policy stops as it grows.

        As in RobustDARTS the mean of the last five is compared with that of four values before, and the logits go back
        to those of that moment (arXiv 1909.09656, section 4.3).
        """
        every, watch = self.options.eigen_every, self.watch
        if not every or watch.updates % every:
            return {}
        with still_statistics(self.net):
            loss = F.cross_entropy(self.net(policy[0], self.mixture()), policy[1])
            value = dominant_eigenvalue(loss, list(self.logits.values()), self.noise_generator(step, 95))
        watch.sharpness.append(value)
        watch.kept = [*watch.kept, {name: logits.detach().clone() for name, logits in self.logits.items()}][-1 - BACK :]
        ends = range(1, len(watch.sharpness) + 1)
        means = [fmean(watch.sharpness[max(0, end - MEAN_OF) : end]) for end in ends]
        if len(means) > BACK and means[-1] > self.options.eigen_growth * means[-1 - BACK] > 0:
            watch.stopped = True
            with torch.no_grad():
                for name, logits in self.logits.items():
                    logits.copy_(watch.kept[0][name])
        return {"eigenvalue": value}

    def conclude(self, batch_of: Callable[[int], Batch]) -> None:
        """Where accuracy selects: each slot keeps the option that the mixture misses most (arXiv 2108.04392)."""
        if self.options.selection != "accuracy":
            return
        batch = batch_of(0)
        mixture = {name: value.detach() for name, value in self.mixture().items()}
        for slot in self.net.slots:
            without = [self._accuracy(batch, mixture, slot.name, option) for option in range(len(slot.options))]
            lost = -torch.tensor(without, dtype=torch.float64)
            with torch.no_grad():  # equals are told apart by their probability
                self.logits[slot.name].copy_(100 * lost.to(self.logits[slot.name]) + 1e-3 * mixture[slot.name])

    @torch.no_grad()
    def _accuracy(self, batch: Batch, mixture: Mixture, name: str, option: int) -> float:
        """Of the mixture without an option of one slot."""
        kept = torch.as_tensor(mixture[name]).clone()
        kept[option] = 0
        with still_statistics(self.net):
            logits = self.net(batch[0], {**mixture, name: kept / kept.sum()})
        return float((logits.argmax(1) == batch[1]).double().mean())

    def second_order(
        self, train: Batch, policy: Batch, optimizer: torch.optim.Optimizer
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """The policy's loss one weight step ahead and its gradient by each slot's logits."""
        weights = {name: value for name, value in self.net.named_parameters() if value.requires_grad}
        alphas = list(self.logits.values())
        if self.options.hessian == "exact":
            ahead = self._ahead(weights, self._gradient(weights, train, create_graph=True), optimizer)
            loss = self._loss(ahead, policy, self.mixture())
            return loss, torch.autograd.grad(loss, alphas)
        ahead = self._ahead(weights, self._gradient(weights, train), optimizer)
        ahead = {name: value.detach().requires_grad_() for name, value in ahead.items()}
        loss = self._loss(ahead, policy, self.mixture())
        direct = list(torch.autograd.grad(loss, [*alphas, *ahead.values()], allow_unused=True))
        slopes = dict(zip(ahead, direct[len(alphas) :], strict=True))
        return loss.detach(), self._difference(weights, slopes, direct[: len(alphas)], train, optimizer)

    def _loss(self, weights: Tensors, batch: Batch, mixture: Mixture) -> Tensor:
        return F.cross_entropy(functional_call(self.net, weights, (batch[0], mixture)), batch[1])

    def _gradient(self, weights: Tensors, batch: Batch, create_graph: bool = False) -> Tensors:
        loss = self._loss(weights, batch, self.mixture())
        found = torch.autograd.grad(loss, list(weights.values()), create_graph=create_graph, allow_unused=True)
        return {
            name: torch.zeros_like(weights[name]) if gradient is None else gradient
            for name, gradient in zip(weights, found, strict=True)
        }

    def _ahead(self, weights: Tensors, gradient: Tensors, optimizer: torch.optim.Optimizer) -> Tensors:
        """W' = w − ξ(μ·m + ∇w L_train + λw), with the buffer m, momentum μ, decay λ and rate ξ of the optimizer."""
        if not isinstance(optimizer, torch.optim.SGD):
            raise RunFileError(
                "DARTS' order 2 looks one step of SGD ahead, but problem.supernet.optimizer is adam; use sgd or order 1"
            )
        group = optimizer.param_groups[0]
        rate, momentum, decay = group["lr"], group.get("momentum", 0.0), group["weight_decay"]
        ahead = {}
        for name, value in weights.items():
            buffer = optimizer.state[value].get("momentum_buffer") if value in optimizer.state else None
            carried = 0.0 if buffer is None else momentum * buffer
            ahead[name] = value - rate * (carried + gradient[name] + decay * value.detach())
        return ahead

    def _difference(
        self,
        weights: Tensors,
        slopes: Mapping[str, Tensor | None],
        direct: Sequence[Tensor | None],
        train: Batch,
        optimizer: torch.optim.Optimizer,
    ) -> list[Tensor]:
        """∇α L_val − ξ[∇α L_train(w+) − ∇α L_train(w−)] / 2ε (equation 8)."""
        known = {name: slope for name, slope in slopes.items() if slope is not None}
        norm = torch.stack([slope.norm() for slope in known.values()]).norm()
        epsilon = self.options.difference / float(norm)
        sides = []
        for sign in (1, -1):
            moved = {
                name: value.detach() + sign * epsilon * known[name] if name in known else value.detach()
                for name, value in weights.items()
            }
            sides.append(torch.autograd.grad(self._loss(moved, train, self.mixture()), list(self.logits.values())))
        rate = optimizer.param_groups[0]["lr"]
        return [
            (torch.zeros_like(plus) if first is None else first) - rate * (plus - minus) / (2 * epsilon)
            for first, plus, minus in zip(direct, *sides, strict=True)
        ]
