"""A search in a second: genomes are tuples of digits, the score is their sum, accidents happen where told."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Sequence
from typing import Any, Literal

import pydantic

from uninas_evo.contracts import (
    Budget,
    Choose,
    Cost,
    Decision,
    Draft,
    Objective,
    Problem,
    Result,
    Space,
    StopSearch,
)
from uninas_evo.errors import GenomeError
from uninas_evo.strategies.base import SearchStrategy, start_of

Digits = tuple[int, ...]


class ToySpace(Space[Digits]):
    """Tuples of eight digits; parameters are their sum."""

    def __init__(self, budget: Budget | None = None, base: int = 10) -> None:
        self.start: Digits = (1,) * 8
        self.budget = budget or Budget()
        self.base = base

    def with_budget(self, budget: Budget) -> ToySpace:
        return ToySpace(budget, self.base)

    def compose(self, choose: Choose) -> Digits:
        options = tuple(map(str, range(self.base)))
        digits = tuple(int(choose(Decision(f"digit {place}", options, ordered=True))) for place in range(8))
        return digits if self.budget.admits(self.cost(digits)) else self.start

    def mutate(self, genome: Digits, rng: random.Random) -> Digits | None:
        place, digit = rng.randrange(8), rng.randrange(self.base)
        child = (*genome[:place], digit, *genome[place + 1 :])
        return child if child != genome and self.budget.admits(self.cost(child)) else None

    def crossover(self, a: Digits, b: Digits, rng: random.Random) -> Digits | None:
        place = rng.randrange(1, 8)
        child = a[:place] + b[place:]
        return child if child not in (a, b) and self.budget.admits(self.cost(child)) else None

    def cost(self, genome: Digits) -> Cost:
        return Cost(sum(genome), 10 * sum(genome))

    def build(self, genome: Digits) -> Any:
        raise AssertionError("toy genomes have no network")

    def encode(self, genome: Digits) -> str:
        return "".join(map(str, genome))

    def decode(self, text: str) -> Digits:
        if len(text) != 8 or not text.isdigit():
            raise GenomeError(f"eight digits are needed, got {text!r}")
        return tuple(map(int, text))


class ToyOptions(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    base: int = pydantic.Field(10, description="digits run from 0 to base - 1", ge=2, le=10)
    objectives: int = pydantic.Field(1, description="how many objectives", ge=1, le=2)
    noise: float = pydantic.Field(0.0, description="deviation of the noise that the seed draws")
    accident: Literal["none", "raise", "nan", "type", "missing", "exit", "kill", "kill once", "hang", "memory"] = (
        pydantic.Field("none", description="what befalls genomes whose digits' sum is divisible by 5")
    )
    sleep_s: float = pydantic.Field(0.0, description="longest time that scoring takes")
    folder: str = pydantic.Field("", description="where accidents leave marks")


class ToyProblem(Problem):
    Options = ToyOptions

    def __init__(self, seed: int = 0, budget: Budget | None = None, **options: Any) -> None:
        self.options = ToyOptions(**options)
        self.space = ToySpace(budget, self.options.base)
        self.seed = seed
        self.objectives = (Objective("sum", "maximize"), Objective("first", "minimize"))[: self.options.objectives]

    @classmethod
    def from_options(cls, options: pydantic.BaseModel, seed: int) -> ToyProblem:
        return cls(seed, **options.model_dump())

    def evaluate(self, genome: Digits, device: str) -> dict[str, float]:
        text = self.space.encode(genome)
        if self.options.sleep_s:
            time.sleep(random.SystemRandom().random() * self.options.sleep_s)
        if sum(genome) % 5 == 0:
            accident(self.options.accident, text, self.options.folder)
            if self.options.accident in ("nan", "type", "missing"):
                return {"nan": {"sum": float("nan")}, "type": {"sum": "many"}, "missing": {"other": 1.0}}[
                    self.options.accident
                ]  # type: ignore[return-value]
        noise = random.Random(f"{self.seed} {text}").gauss(0, self.options.noise)
        return {"sum": sum(genome) + noise, "first": float(genome[0])}


def accident(kind: str, text: str, folder: str) -> None:
    """Does harm to the process that scores."""
    if kind == "raise":
        raise ValueError(f"no score for {text}")
    if kind == "exit":
        raise SystemExit(3)
    if kind == "hang":
        time.sleep(1000)
    if kind == "memory":
        _ = bytearray(10**9)
    if kind == "kill" or (kind == "kill once" and not os.path.exists(f"{folder}/{text}")):
        if kind == "kill once":
            open(f"{folder}/{text}", "w").close()
        os._exit(17)


class StrategyOptions(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    population: int = pydantic.Field(6, description="candidates of a generation", ge=1)


class ToyStrategy(SearchStrategy):
    """Generations of mutants of the best so far."""

    Options = StrategyOptions
    objectives_allowed = "any"

    def __init__(self, space: Space[Any], objectives: Sequence[Objective], *, seed: int, **options: Any) -> None:
        super().__init__(space, objectives, seed=seed, **options)
        self.waiting = 0
        self.best: tuple[float, Digits, tuple[int, ...]] = (float("-inf"), start_of(space), ())

    def ask(self) -> Sequence[Draft]:
        if self.waiting:
            return []
        self.waiting = self.options.population  # type: ignore[attr-defined]
        genomes = (self.space.mutate(self.best[1], self.rng) or start_of(self.space) for _ in range(self.waiting))
        return [Draft(genome, self.best[2], "mutate") for genome in genomes]

    def tell(self, results: Sequence[Result]) -> None:
        for result in results:
            self.waiting -= 1
            value = result.values.get(self.objectives[0].name, float("-inf"))
            if value > self.best[0]:
                self.best = (value, result.candidate.genome, (result.candidate.number,))


class Eager(ToyStrategy):
    """Never waits: asks a sample whenever it is asked."""

    def ask(self) -> Sequence[Draft]:
        self._asked += 1
        return [self.sample()]

    def tell(self, results: Sequence[Result]) -> None:
        pass


class Finite(Eager):
    """Asks twelve samples, then stops."""

    def ask(self) -> Sequence[Draft]:
        if self._asked >= 12:
            raise StopSearch("the twelve are asked")
        return super().ask()
