"""Samplers without a policy: uniform paths, fair paths, the sandwich of largest, smallest and random ones.

Sources: single path one-shot (arXiv 1904.00420), FairNAS (1907.01845), universally slimmable networks (1903.05134).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from uninas_evo.contracts import Decision, Space
from uninas_evo.errors import SpaceError
from uninas_evo.sharing.learner import Learner, LearnerOptions


class Uniform(Learner):
    """Each step trains one random genome (single path one-shot, section 3.2)."""

    def paths(self, step: int) -> Sequence[Any]:
        """One genome of the space."""
        return [self.space.sample(self.rng(step))]

    def derive(self) -> Any:
        """Samplers prefer no genome: a search over the objective `supernet` finds the best.

        Raises:
            SpaceError: always.
        """
        raise SpaceError(
            f"the learner {type(self).__name__.lower()} derives no genome; search with the objective 'supernet', or "
            "name a learner with a policy"
        )


class Fair(Uniform):
    """A step trains every option of every decision exactly once, in as many genomes as a decision has options.

    Genome m takes the m-th option of a random permutation for each decision (FairNAS, algorithm 1). A decision with
    fewer options begins its permutation again, so that its options are trained once or twice.
    """

    def paths(self, step: int) -> Sequence[Any]:
        """Genomes whose gradients are added."""
        rng, orders = self.rng(step), dict[str, list[str]]()

        def order_of(decision: Decision) -> list[str]:
            if decision.name not in orders:
                orders[decision.name] = rng.sample(decision.options, len(decision.options))
            return orders[decision.name]

        first = self.space.compose(lambda decision: order_of(decision)[0])
        count = max(map(len, orders.values()))
        return [first] + [
            self.space.compose(lambda decision, m=m: order_of(decision)[m % len(decision.options)])  # type: ignore[misc]
            for m in range(1, count)
        ]


class SandwichOptions(LearnerOptions):
    """The settings of the sandwich rule."""

    random_paths: int = Field(2, ge=0, description="random genomes beside the largest and the smallest; 2 in the paper")


class Sandwich(Uniform):
    """A step trains the largest, the smallest and some random genomes, the largest teaching the others.

    Raises:
        SpaceError: some decisions have no order, so that there is no largest genome.
    """

    Options: ClassVar[type[LearnerOptions]] = SandwichOptions

    def __init__(self, net: Any, space: Space[Any], options: Any, seed: int, steps: int) -> None:
        super().__init__(net, space, options, seed, steps)
        unordered: list[str] = []

        def last(decision: Decision) -> str:
            unordered.extend([] if decision.ordered else [decision.name])
            return decision.options[-1]

        self.largest = space.compose(last)
        self.smallest = space.compose(lambda decision: decision.options[0])
        if unordered:
            raise SpaceError(
                f"the learner sandwich needs a largest and a smallest genome, but the options of {unordered[0]!r} have "
                "no order; use uniform or fair"
            )

    def paths(self, step: int) -> Sequence[Any]:
        """The largest first, which teaches."""
        rng = self.rng(step)
        drawn = [self.space.sample(rng) for _ in range(self.options.random_paths)]
        return [self.largest, self.smallest, *drawn]

    def loss(self, logits: Tensor, labels: Tensor, place: int) -> Tensor:
        """Labels for the largest; its probabilities for the others."""
        if place == 0:
            self.taught = logits.detach().softmax(-1)
            return nn.functional.cross_entropy(logits, labels)
        return nn.functional.cross_entropy(logits, self.taught.to(torch.float32))
