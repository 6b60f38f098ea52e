"""A policy: a distribution over decisions that learns; strategies and learners of shared weights use the same ones."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from uninas_evo.contracts.decision import Decision

if TYPE_CHECKING:
    from uninas_evo.contracts.array import Array, FloatArray


class Policy(ABC):
    """Probabilities of each decision's options, given what was chosen before it in the same genome."""

    @abstractmethod
    def begin(self) -> None:
        """Starts a new genome: nothing was chosen yet."""

    @abstractmethod
    def probabilities(self, decision: Decision) -> FloatArray:
        """(options,) probabilities of a decision, summing to 1."""

    @abstractmethod
    def chose(self, decision: Decision, index: int) -> None:
        """Is told which option of a decision was taken."""

    @abstractmethod
    def update(self, episodes: Sequence[Sequence[tuple[Decision, int]]], advantages: Sequence[float]) -> None:
        """One learning step from whole genomes, as sequences of choices, and their advantages."""

    def choose(self, rng: random.Random) -> tuple[list[tuple[Decision, int]], object]:
        """A record of choices and a `Choose` that draws from the policy and fills it."""
        self.begin()
        taken: list[tuple[Decision, int]] = []

        def draw(decision: Decision) -> str:
            chances = self.probabilities(decision)
            index = rng.choices(range(len(chances)), chances.tolist())[0]
            self.chose(decision, index)
            taken.append((decision, index))
            return decision.options[index]

        return taken, draw

    @abstractmethod
    def state(self) -> Mapping[str, Array]:
        """Everything that was learned, as arrays."""

    @abstractmethod
    def load_state(self, state: Mapping[str, Array]) -> None:
        """Takes up what `state` returned."""
