"""A learner: which paths a training step of shared weights runs, and what is learned from them."""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from uninas_evo.contracts import Chosen, Mixture, Space
from uninas_evo.errors import SpaceError
from uninas_evo.sharing import remedies
from uninas_evo.sharing.costs import CostTerm
from uninas_evo.sharing.estimators import entropies, noise
from uninas_evo.sharing.statistics import still_statistics
from uninas_evo.training.randomness import seed_of

Batch = tuple[Tensor, Tensor]
"""Images (N, 3, H, W) and labels (N,)."""


class LearnerOptions(BaseModel):
    """The settings of a learner."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Learner(ABC):
    """Serves a supernet during its training; every draw is a function of seed and step.

    Args:
        net: the shared weights.
        space: whose genomes they serve.
        options: an instance of `Options`.
        seed: of every draw.
        steps: how many the training has.

    Attributes:
        policy_share: of the training images, for `update`; 0 for learners without a policy.

    Raises:
        SpaceError: the learner cannot serve the space.
    """

    Options: ClassVar[type[LearnerOptions]] = LearnerOptions
    policy_share: float = 0.0

    def __init__(self, net: Any, space: Space[Any], options: Any, seed: int, steps: int) -> None:
        self.net, self.space, self.options, self.seed, self.steps = net, space, options, seed, steps

    @abstractmethod
    def paths(self, step: int) -> Sequence[Any]:
        """The genomes or mixtures of a weight step; the gradients of all are added, then one update follows."""

    def teach(self, images: Tensor) -> None:  # noqa: B027 - most have no teacher
        """Is shown the images of a weight step, after `paths` and before `loss`."""

    def enter(self, net: Any, stage: int) -> None:
        """Goes on with other shared weights, in the training's next stage."""
        self.net = net

    def loss(self, logits: Tensor, labels: Tensor, place: int) -> Tensor:
        """The loss () of the path at a place of `paths`; they are called in order."""
        return nn.functional.cross_entropy(logits, labels)

    def update(self, train: Batch, policy: Batch, step: int, optimizer: torch.optim.Optimizer) -> dict[str, float]:
        """Learns the policy, before the weight step; nothing where there is none.

        Args:
            train: the batch of the weight step.
            policy: a batch of the policy's images.
            step: counted from 0.
            optimizer: of the weights, whose momentum and rate second-order methods look ahead with.
        """
        return {}

    @abstractmethod
    def derive(self) -> Any:
        """The genome that was learned."""

    def conclude(self, batch_of: Callable[[int], Batch]) -> None:  # noqa: B027 - most have nothing to conclude
        """Called once behind the last step: chooses what `derive` gives, where that needs images.

        Args:
            batch_of: gives the policy's batch of a number from 0 up.
        """

    def sample(self, rng: random.Random) -> Any:
        """A genome of the policy; of the whole space where there is none."""
        return self.space.sample(rng)

    def state(self) -> dict[str, Any]:
        """Everything that was learned, as tensors and numbers."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: B027 - samplers have nothing to restore
        """Takes up what `state` returned."""

    def rng(self, step: int, *purpose: int) -> random.Random:
        """A generator of this step's draws."""
        return random.Random(seed_of(self.seed, 10, step, *purpose))

    def noise_generator(self, step: int, *purpose: int) -> torch.Generator:
        """A torch generator of this step's draws."""
        return torch.Generator().manual_seed(seed_of(self.seed, 11, step, *purpose) % 2**63)


class PolicyOptions(LearnerOptions):
    """The settings that all learners with logits share."""

    policy_lr: float = Field(3e-4, gt=0, description="Adam's rate for the logits; DARTS' 3e-4")
    policy_min_lr: float | None = Field(
        None, ge=0, description="at the last step, to which policy_lr falls by a cosine; unset: it stays"
    )
    policy_decay: float = Field(1e-3, ge=0, description="weight decay of the logits; DARTS' 1e-3")
    policy_betas: tuple[float, float] = Field((0.5, 0.999), description="of Adam; DARTS' 0.5 and 0.999")
    warmup: float = Field(0.0, ge=0, lt=1, description="share of the steps that train weights alone")
    init: float = Field(1e-3, ge=0, description="deviation of the first logits; DARTS' 1e-3, UNAS' 0")
    entropy_penalty: float = Field(
        0.0, ge=0, description="weight of the slots' mean entropy in the policy's loss: closes the discretization gap"
    )
    cost: str = Field("", description="a cost of the space that the policy shall heed, such as flops or a table's")
    cost_target: float = Field(1.0, gt=0, description="from which the cost counts: max(0, cost / target - 1)")
    cost_weight: float = Field(0.1, ge=0, description="of the cost in the policy's loss; UNAS' 0.1")
    cost_ramp: int = Field(0, ge=0, description="steps in which that weight grows linearly from 0; UNAS' 30,000")
    cost_hinge: bool = Field(
        True,
        description="whether costs below the target count alike, as in UNAS' code, or ever smaller ones still less",
    )
    cost_estimator: Literal["exact", "relax", "reinforce"] = Field(
        "exact",
        description="of the cost's gradient: by a linear surrogate's exact expectation, by UNAS' relaxed "
        "surrogate, or by REINFORCE; all are unbiased",
    )
    stop_skips: int = Field(
        0, ge=0, description="the policy stops where the derived normal cell has so many skips; DARTS+ has 2; 0: never"
    )
    stop_still: int = Field(
        0,
        ge=0,
        description="the policy stops where the order of all logits stood still for so many of its steps; "
        "DARTS+ has 10 epochs; 0: never",
    )
    max_skips: int | None = Field(
        None, ge=0, description="most skips of the derived normal cell, as in P-DARTS, which has 2; unset: any number"
    )
    decide_every: int = Field(
        0, ge=0, description="steps of the policy after which the surest slot is decided for good, as in SGAS; 0: never"
    )
    decide_by: Literal["certainty", "stability"] = Field(
        "certainty",
        description="by importance and certainty, or also by how alike a slot was at the last four decisions",
    )


class PolicyLearner(Learner):
    """A learner with logits for each slot of the supernet."""

    Options: ClassVar[type[LearnerOptions]] = PolicyOptions
    policy_share = 0.5

    def __init__(self, net: Any, space: Space[Any], options: Any, seed: int, steps: int) -> None:
        super().__init__(net, space, options, seed, steps)
        if not net.slots:
            raise SpaceError(
                f"{type(self).__name__} mixes options, which the shared weights of {type(space).__name__} cannot; "
                "use the learner uniform, fair or sandwich"
            )
        generator, device = self.noise_generator(0, 99), next(net.parameters()).device
        self.logits = {
            slot.name: (options.init * torch.randn(len(slot.options), generator=generator)).to(device).requires_grad_()
            for slot in net.slots
        }
        self.optimizer = self._adam()
        self.watch = remedies.Watch()
        self.cost_term = (
            CostTerm(net, space, options.cost, options.cost_target, seed, hinge=options.cost_hinge)
            if options.cost
            else None
        )

    def _adam(self) -> torch.optim.Adam:
        o = self.options
        return torch.optim.Adam(list(self.logits.values()), o.policy_lr, o.policy_betas, weight_decay=o.policy_decay)

    @property
    def costs_in_loss(self) -> bool:
        """Whether a cost is a term of the policy's loss; rewards hold it otherwise."""
        return True

    def is_warm(self, step: int) -> bool:
        """Whether the policy learns already, and was not stopped."""
        return bool(step >= self.options.warmup * self.steps) and not self.watch.stopped

    def mixture(self) -> dict[str, Tensor]:
        """The probabilities of all options, with gradients by the logits."""
        return {name: value.softmax(-1) for name, value in self.logits.items()}

    def single_path(self, hard: Mapping[str, Tensor]) -> Mixture:
        """The path that runs the option of each one-hot draw (options,) alone; all options where slots are joined."""
        if self.net.joins_slots:
            return {name: value.to(self.logits[name].dtype) for name, value in hard.items()}
        return {
            name: Chosen(int(value.argmax()), value.new_ones((), dtype=torch.float32)) for name, value in hard.items()
        }

    def learn(self, loss: Tensor, step: int) -> None:
        """One step of the logits down a loss; the weights' gradients are not touched."""
        gradients = torch.autograd.grad(loss, list(self.logits.values()), allow_unused=True)
        self.descend(dict(zip(self.logits, gradients, strict=True)), step)

    def descend(self, gradients: Mapping[str, Tensor | None], step: int) -> None:
        """One step of the logits along given gradients and those of entropy and cost; decided slots stay."""
        further = self._further(step)
        for name, value in self.logits.items():
            parts = [part for part in (gradients.get(name), further.get(name)) if part is not None]
            value.grad = None if name in self.watch.decided or not parts else torch.stack(parts).sum(0).to(value.dtype)
        self._set_rate(step)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        remedies.look(self)

    def _set_rate(self, step: int) -> None:
        o = self.options
        if o.policy_min_lr is not None:
            rate = o.policy_min_lr + (o.policy_lr - o.policy_min_lr) * 0.5 * (1 + math.cos(math.pi * step / self.steps))
            for group in self.optimizer.param_groups:
                group["lr"] = rate

    def _further(self, step: int) -> dict[str, Tensor]:
        """The gradients of the terms that all learners share."""
        total = torch.zeros((), dtype=torch.float64)
        if self.options.entropy_penalty:
            found = [entropy.double().cpu() for entropy in entropies(self.logits).values()]
            total = total + self.options.entropy_penalty * torch.stack(found).mean()
        if self.cost_term is not None and self.costs_in_loss:
            u = noise(self.logits, self.noise_generator(step, 97))
            term = self.cost_term.surrogate(self.logits, u, self.options.cost_estimator)
            grown = min(1.0, step / self.options.cost_ramp) if self.options.cost_ramp else 1.0
            total = total + grown * self.options.cost_weight * term.cpu()
        if not total.requires_grad:
            return {}
        gradients = torch.autograd.grad(total, list(self.logits.values()), allow_unused=True)
        return {name: part for name, part in zip(self.logits, gradients, strict=True) if part is not None}

    def diagnostics(self) -> dict[str, float]:
        """Mean and least entropy of the slots in nats."""
        found = [float(entropy.detach()) for entropy in entropies(self.logits).values()]
        told = {"entropy": sum(found) / len(found), "least_entropy": min(found)}
        if (count := remedies.skips(self.net, self.derive())) is not None:
            told["skips"] = float(count)
        return told

    @torch.no_grad()
    def gap(self, batch: Batch) -> dict[str, float]:
        """Accuracy of the mixture and of the path that is derived from it, at the same weights and images."""
        mixture = {name: value.detach() for name, value in self.mixture().items()}
        with still_statistics(self.net):
            hits = [self.net(batch[0], path).argmax(1) == batch[1] for path in (mixture, self.derive())]
        return dict(
            zip(("mixture_accuracy", "path_accuracy"), (float(hit.double().mean()) for hit in hits), strict=True)
        )

    def derive(self) -> Any:
        """The genome that the probabilities favor, by the supernet's rule."""
        return remedies.derived(self)

    def sample(self, rng: random.Random) -> Any:
        """A draw: the supernet's derivation from logits with Gumbel noise, which is exact for single decisions."""
        generator = torch.Generator().manual_seed(rng.getrandbits(62))
        drawn = {}
        for name, value in self.logits.items():
            u = torch.rand(value.shape, generator=generator, dtype=torch.float64).clamp_(1e-12)
            drawn[name] = (value.detach().double().cpu() - (-u.log()).log()).softmax(-1).numpy()
        return self.net.derive(drawn)

    def state(self) -> dict[str, Any]:
        """Logits and their optimizer."""
        logits = {name: value.detach().clone() for name, value in self.logits.items()}
        return {"logits": logits, "adam": self.optimizer.state_dict(), "watch": self.watch.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state` returned."""
        with torch.no_grad():
            for name, value in self.logits.items():
                value.copy_(state["logits"][name])
        self.optimizer.load_state_dict(state["adam"])
        self.watch.restore(state["watch"])
