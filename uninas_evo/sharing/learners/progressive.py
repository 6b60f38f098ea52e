"""Progressive shrinking: the largest network first, then smaller kernels, depths and expansions, taught by it.

Source: Cai et al., "Once-for-All", ICLR 2020, arXiv 1908.09791, section 3.3.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from uninas_evo.contracts import Decision, Space
from uninas_evo.errors import SpaceError
from uninas_evo.sharing.learner import LearnerOptions
from uninas_evo.sharing.learners.uniform import Sandwich


class Phase(NamedTuple):
    """How many of the largest options of each kind may be drawn, and how many genomes a step trains."""

    kernel: int
    depth: int
    expansion: int
    paths: int


PHASES = (
    Phase(1, 1, 1, 1),
    Phase(3, 1, 1, 1),
    Phase(3, 2, 1, 2),
    Phase(3, 3, 1, 2),
    Phase(3, 3, 2, 4),
    Phase(3, 3, 3, 4),
)
"""The paper's: largest network; kernels; depths down to 3, to 2; expansions down to 4, to 3."""


class ProgressiveOptions(LearnerOptions):
    """The settings of progressive shrinking."""

    lengths: tuple[float, ...] = Field(
        (180, 125, 25, 125, 25, 125), description="of the six phases, to one another; by default the paper's epochs"
    )
    distillation: float = Field(1.0, ge=0, description="weight of the largest network's probabilities; the paper's 1")

    @field_validator("lengths")
    @classmethod
    def _six(cls, lengths: tuple[float, ...]) -> tuple[float, ...]:
        if len(lengths) != len(PHASES) or min(lengths) < 0 or not sum(lengths):
            raise ValueError(f"lengths are {len(PHASES)} numbers from 0, not all 0, got {lengths}")
        return lengths


class Progressive(Sandwich):
    """Each phase goes on from the last one's weights; the network at the end of the first one teaches all others.

    The teacher runs in training mode, with the statistics of the batch, as in the authors' code. One cosine of the
    rate goes over all phases, where the paper begins one in each.

    Raises:
        SpaceError: the space has no elastic kernels, depths and expansions.
    """

    Options: ClassVar[type[LearnerOptions]] = ProgressiveOptions

    def __init__(self, net: Any, space: Space[Any], options: Any, seed: int, steps: int) -> None:
        if not hasattr(net, "sort_channels"):
            raise SpaceError(
                f"the learner progressive shrinks kernels, depths and expansions, which {type(space).__name__} has "
                "not; use uniform or fair"
            )
        super().__init__(net, space, options, seed, steps)
        total, done = sum(options.lengths), 0.0
        self.ends: list[int] = []
        for length in options.lengths:
            done += length
            self.ends.append(round(steps * done / total))
        self.teacher: nn.Module | None = None

    def paths(self, step: int) -> Sequence[Any]:
        """Random genomes of the phase; at its beginning the teacher is kept, or channels are sorted."""
        place = next(index for index, end in enumerate(self.ends) if step < end)
        if self.ends[0] == step:
            self.teacher = copy.deepcopy(self.net)
        if step and self.ends[place - 1] == step and PHASES[place].expansion > PHASES[place - 1].expansion:
            self.net.sort_channels()
        return [self._drawn(PHASES[place], step, index) for index in range(PHASES[place].paths)]

    def _drawn(self, phase: Phase, step: int, index: int) -> Any:
        rng, allowed = self.rng(step, index), phase._asdict()

        def choose(decision: Decision) -> str:
            return rng.choice(decision.options[-allowed.get(decision.name.split()[-1], len(decision.options)) :])

        return self.space.compose(choose)

    def teach(self, images: Tensor) -> None:
        """Keeps the teacher's probabilities of a batch."""
        if self.teacher is not None and self.options.distillation:
            self.teacher.train()
            with torch.no_grad():
                self.taught = self.teacher(images, self.largest).softmax(-1)

    def loss(self, logits: Tensor, labels: Tensor, place: int) -> Tensor:
        """Labels, and behind the first phase the teacher's probabilities."""
        loss = nn.functional.cross_entropy(logits, labels)
        if self.teacher is None or not self.options.distillation:
            return loss
        return loss + float(self.options.distillation) * nn.functional.cross_entropy(logits, self.taught)

    def state(self) -> dict[str, Any]:
        """The teacher's weights, once there are some."""
        return {"teacher": {} if self.teacher is None else self.teacher.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state` returned."""
        if state["teacher"]:
            self.teacher = copy.deepcopy(self.net)
            self.teacher.load_state_dict(state["teacher"])
