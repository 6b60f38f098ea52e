"""A cost in a policy's loss: unbiased whatever the cost is, of low variance as far as a linear surrogate explains it.

Source: Vahdat et al., "UNAS", CVPR 2020, arXiv 1912.07651, section 3.3. Its relaxed surrogate is `relax`; the default
here takes the surrogate's exact expectation instead.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from uninas_evo.contracts import Space
from uninas_evo.errors import SpaceError
from uninas_evo.sharing import estimators

GENOMES = 10_000
"""Random genomes that the surrogate is fitted to; the paper's number."""
HELD = 0.2
"""Share of them that its error is measured on; the paper's."""
RIDGE = 1.0
"""Weight of the penalty; the paper's λ."""

Estimator = Literal["exact", "relax", "reinforce"]


class CostTerm:
    """max(0, cost / target − 1) of a draw, or without the hinge cost / target − 1, and its surrogate.

    Args:
        net: the supernet, whose slots are the space's decisions.
        space: knows the cost.
        name: of the cost: params, flops, a table's column.
        target: from which on it counts.
        seed: of the random genomes.
        count: how many are drawn.
        hinge: whether costs below the target count 0.

    Attributes:
        coefficients: (options,) of the linear surrogate for each slot.
        r2: how much of the variance on held-out genomes it explains.

    Raises:
        SpaceError: the space has no such cost, or the slots are not its decisions.
    """

    def __init__(
        self,
        net: Any,
        space: Space[Any],
        name: str,
        target: float,
        seed: int,
        count: int = GENOMES,
        *,
        hinge: bool = True,
    ) -> None:
        self.net, self.space, self.name, self.target, self.hinge = net, space, name, target, hinge
        rng = random.Random(seed)
        genomes = [space.sample(rng) for _ in range(count)]
        known = space.cost(genomes[0])
        if name not in known:
            raise SpaceError(
                f"options.cost of a learner must be a cost of the space, one of {', '.join(known)}, got {name!r}; "
                "add it under [problem.costs], or name one of these"
            )
        if tuple(net.slots) != tuple(getattr(space, "decisions", ())):
            raise SpaceError(
                f"options.cost needs slots that are the space's decisions, and those of {type(net).__name__} are a "
                'relaxation of its own; use network = { relaxation = "factorized" } or another space'
            )
        sizes = [len(slot.options) for slot in net.slots]
        indices = np.array([space.indices(genome) for genome in genomes])  # type: ignore[attr-defined]
        hot = np.concatenate([np.eye(size)[indices[:, slot]] for slot, size in enumerate(sizes)], 1)
        values = np.array([self.value(genome) for genome in genomes])
        self.coefficients, self.r2 = self._fitted(hot, values, sizes)

    def value(self, genome: Any) -> float:
        """What the loss gains by a genome."""
        excess = float(self.space.cost(genome)[self.name]) / self.target - 1
        return max(0.0, excess) if self.hinge else excess

    def _fitted(
        self, hot: np.ndarray[Any, Any], values: np.ndarray[Any, Any], sizes: list[int]
    ) -> tuple[dict[str, Tensor], float]:
        train = len(values) - int(HELD * len(values))
        x = np.concatenate([hot, np.ones((len(hot), 1))], 1)
        normal = x[:train].T @ x[:train] + RIDGE * np.eye(x.shape[1])
        found = np.linalg.solve(normal, x[:train].T @ values[:train])
        residual, spread = values[train:] - x[train:] @ found, values[train:] - values[train:].mean()
        r2 = 1 - float(residual @ residual) / float(spread @ spread) if spread.any() else 1.0
        parts = np.split(found[:-1], np.cumsum(sizes)[:-1])
        return {slot.name: torch.from_numpy(part) for slot, part in zip(self.net.slots, parts, strict=True)}, r2

    def surrogate(self, logits: estimators.Slots, noise: estimators.Slots, estimator: Estimator) -> Tensor:
        """A loss () whose gradient by the logits is an unbiased estimate of that of the expected cost."""

        def loss(hard: Mapping[str, Tensor]) -> Tensor:
            genome = self.net.derive({name: value.detach().cpu().numpy() for name, value in hard.items()})
            return next(iter(hard.values())).new_tensor(self.value(genome))

        coefficients = {name: value.to(logits[name].device) for name, value in self.coefficients.items()}
        if estimator == "exact":
            return estimators.exact_linear(logits, noise, loss, coefficients)
        if estimator == "reinforce":
            return estimators.reinforce(logits, noise, loss)
        return estimators.relax(logits, noise, loss, lambda weights: estimators.linear(coefficients, weights))
