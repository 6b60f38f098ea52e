"""A strategy from outside, in one file: mutates the best so far, one candidate at a time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pydantic

from uninas_evo.contracts import Draft, Objective, Result, Space, Strategy


class ClimberOptions(pydantic.BaseModel, extra="forbid"):
    restart: float = pydantic.Field(0.1, description="probability of a sample instead of a mutant")


class Climber(Strategy):
    """Hill climbing with restarts."""

    Options = ClimberOptions
    objectives_allowed = "one"

    def __init__(self, space: Space[Any], objectives: Sequence[Objective], *, seed: int, **options: Any) -> None:
        self.space, self.objective, self.rng = space, objectives[0], random.Random(seed)
        self.options = ClimberOptions(**options)
        self.best: Result | None = None
        self.waits = False

    def ask(self) -> Sequence[Draft]:
        if self.waits:
            return []
        self.waits = True
        if self.best is not None and self.rng.random() >= self.options.restart:
            parent = self.best.candidate
            child = self.space.mutate(parent.genome, self.rng)
            if child is not None:
                return [Draft(child, (parent.number,), "mutate")]
        return [Draft(self.space.sample(self.rng))]

    def tell(self, results: Sequence[Result]) -> None:
        for result in results:
            self.waits = False
            if result.ok and (self.best is None or self._value(result) >= self._value(self.best)):
                self.best = result

    def _value(self, result: Result) -> float:
        return self.objective.sign * result.values[self.objective.name]
