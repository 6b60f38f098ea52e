"""A learner: which paths a training step of shared weights runs, and what is learned from them."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from uninas_evo.contracts import Chosen, Mixture, Space
from uninas_evo.errors import SpaceError
from uninas_evo.sharing.estimators import entropies
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
    policy_decay: float = Field(1e-3, ge=0, description="weight decay of the logits; DARTS' 1e-3")
    policy_betas: tuple[float, float] = Field((0.5, 0.999), description="of Adam; DARTS' 0.5 and 0.999")
    warmup: float = Field(0.0, ge=0, lt=1, description="share of the steps that train weights alone")
    init: float = Field(1e-3, ge=0, description="deviation of the first logits; DARTS' 1e-3, UNAS' 0")


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
        self.optimizer = torch.optim.Adam(
            list(self.logits.values()), options.policy_lr, options.policy_betas, weight_decay=options.policy_decay
        )

    def is_warm(self, step: int) -> bool:
        """Whether the policy learns already."""
        return bool(step >= self.options.warmup * self.steps)

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

    def learn(self, loss: Tensor) -> None:
        """One step of the logits down a loss; the weights' gradients are not touched."""
        gradients = torch.autograd.grad(loss, list(self.logits.values()), allow_unused=True)
        self.descend(dict(zip(self.logits, gradients, strict=True)))

    def descend(self, gradients: Mapping[str, Tensor | None]) -> None:
        """One step of the logits along given gradients; slots without one stay."""
        for name, value in self.logits.items():
            value.grad = gradients.get(name)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def diagnostics(self) -> dict[str, float]:
        """Mean and least entropy of the slots in nats."""
        found = [float(entropy.detach()) for entropy in entropies(self.logits).values()]
        return {"entropy": sum(found) / len(found), "least_entropy": min(found)}

    def derive(self) -> Any:
        """The genome that the probabilities favor, by the supernet's rule."""
        return self.net.derive({name: p.detach().double().cpu().numpy() for name, p in self.mixture().items()})

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
        return {"logits": {n: v.detach().clone() for n, v in self.logits.items()}, "adam": self.optimizer.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state` returned."""
        with torch.no_grad():
            for name, value in self.logits.items():
                value.copy_(state["logits"][name])
        self.optimizer.load_state_dict(state["adam"])
