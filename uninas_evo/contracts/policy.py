"""A policy: a distribution over decisions that learns; strategies and learners of shared weights use the same ones."""

from __future__ import annotations

import itertools
import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from uninas_evo.contracts.decision import Choose, Decision

_DIGITS = 12
"""Cumulated probabilities are rounded before a draw, so that the last bit of an exponential never decides."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer of a composition: the option's place, and how probable it was when it was drawn."""

    decision: Decision
    index: int
    probability: float


Episode = Sequence[Choice]
"""The choices of one composition, in the order they were asked; compositions may differ in length."""


class Policy(ABC):
    """Probabilities of each decision's options, given what was chosen before it in the same genome.

    Decisions are met as `compose` asks them; those never met before begin uniform.
    """

    @abstractmethod
    def begin(self) -> None:
        """Starts a new composition: nothing was chosen yet."""

    @abstractmethod
    def probabilities(self, decision: Decision) -> Sequence[float]:
        """(options,) probabilities of the next decision, summing to 1."""

    def chose(self, decision: Decision, index: int) -> None:  # noqa: B027 - a policy without memory needs not know
        """Is told which option of the decision was taken."""

    @abstractmethod
    def update(self, episodes: Sequence[Episode], advantages: Sequence[float]) -> None:
        """Learns from compositions: what has a positive advantage becomes more probable.

        Args:
            episodes: n compositions.
            advantages: (n,) how much better each was than expected.
        """

    def sample(self, rng: random.Random) -> tuple[Choose, list[Choice]]:
        """Answers for one composition, drawn by one `rng.random()` a decision, and the record that they fill."""
        self.begin()
        episode: list[Choice] = []

        def choose(decision: Decision) -> str:
            chances = self.probabilities(decision)
            draw, limits = rng.random(), itertools.accumulate(chances[:-1])
            index = next((i for i, limit in enumerate(limits) if draw < round(limit, _DIGITS)), len(chances) - 1)
            episode.append(Choice(decision, index, chances[index]))
            self.chose(decision, index)
            return decision.options[index]

        return choose, episode

    def derive(self) -> Choose:
        """Answers for one composition: always the most probable option, of equals the first."""
        self.begin()

        def choose(decision: Decision) -> str:
            chances = self.probabilities(decision)
            index = max(range(len(chances)), key=chances.__getitem__)
            self.chose(decision, index)
            return decision.options[index]

        return choose
