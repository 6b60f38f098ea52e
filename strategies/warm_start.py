"""Where a population comes from: samples of the space, or the best of many samples by a measure that costs nothing."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import pydantic

from uninas_evo.contracts import Draft, Space
from uninas_evo.strategies.base import MOST, StrategyOptions

Proxy = Callable[[Any], float]
"""Takes a genome, returns a score that needs no evaluation; more is better."""


class WarmStart(StrategyOptions):
    """The options of strategies whose first candidates need not be random."""

    warm_start: Literal["params", "flops"] | None = pydantic.Field(
        None,
        description="first candidates: those of most params or FLOPs among many samples, for problems where larger "
        "is better; unset: plain samples, which assume nothing",
    )
    warm_samples: int = pydantic.Field(
        1000, ge=1, le=MOST, description="how many samples; a thousand take under a second, and nothing is scored"
    )


class FirstDrafts:
    """Draws the first candidates.

    Args:
        space: is sampled.
        rng: all draws come from it.
        options: whether the start is warm.
        proxy: ranks the samples in the place of params or FLOPs.
    """

    def __init__(self, space: Space[Any], rng: random.Random, options: WarmStart, proxy: Proxy | None = None) -> None:
        self.space, self.rng, self.samples = space, rng, options.warm_samples
        cost = options.warm_start
        self.proxy = proxy if proxy or not cost else lambda genome: space.cost(genome)[cost]
        self._ranked: deque[Any] | None = None

    def __call__(self) -> Draft:
        """The next sample, the best one that is left where the start is warm."""
        if self.proxy is None:
            return Draft(self.space.sample(self.rng))
        if self._ranked is None:
            distinct = {self.space.sample(self.rng): None for _ in range(self.samples)}
            self._ranked = deque(sorted(distinct, key=self.proxy, reverse=True))
        return Draft(self._ranked.popleft() if self._ranked else self.space.sample(self.rng), origin="warm start")
