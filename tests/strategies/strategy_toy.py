"""Strategies driven by hand over three small problems."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from uninas_evo.contracts import (
    Budget,
    Candidate,
    Choose,
    Cost,
    Decision,
    Objective,
    Result,
    Space,
    StopSearch,
    Strategy,
    numbered,
)

Bits = tuple[int, ...]
Score = Callable[[Space[Any], Any], dict[str, float]]
NAMES = (
    "random_walk", "random", "uninas", "evolution", "aging", "nsga2", "nsga3", "agemoea", "smsemoa", "bayesian",
    "ladder", "halving", "hyperband", "asha", "predictor", "walks", "ppo", "reinforce", "grid",
)  # fmt: skip
GAIN, COST = Objective("gain", "maximize"), Objective("cost", "minimize")


class BitSpace(Space[Bits]):
    """Tuples of bits; parameters are their sum. Genomes are tuples, which numpy and DEAP like to take apart."""

    def __init__(self, length: int = 16, budget: Budget | None = None) -> None:
        self.length, self.budget = length, budget or Budget()
        self.start = (0, 1) * (length // 2)
        self.decisions = tuple(Decision(f"bit {index}", ("0", "1")) for index in range(length))

    def with_budget(self, budget: Budget) -> BitSpace:
        return BitSpace(self.length, budget)

    def compose(self, choose: Choose) -> Bits:
        bits: Bits = ()
        for decision in self.decisions:
            bit = int(choose(decision))
            bits += (bit if sum(bits) + bit <= self.budget.max_params else 0,)
        return bits

    def mutate(self, genome: Bits, rng: random.Random) -> Bits | None:
        index = rng.randrange(self.length)
        return self._inside((*genome[:index], 1 - genome[index], *genome[index + 1 :]))

    def crossover(self, a: Bits, b: Bits, rng: random.Random) -> Bits | None:
        return self._inside(tuple(map(rng.choice, zip(a, b, strict=True))))

    def _inside(self, genome: Bits) -> Bits | None:
        return genome if self.budget.admits(self.cost(genome)) else None

    def cost(self, genome: Bits) -> Cost:
        return Cost(sum(genome), sum(genome))

    def build(self, genome: Bits) -> Any:
        raise AssertionError("a search builds nothing")

    def encode(self, genome: Bits) -> str:
        return "".join(map(str, genome))

    def decode(self, text: str) -> Bits:
        return tuple(map(int, text))


@cache
def spaces() -> dict[str, Space[Any]]:
    """A toy space, the cells of NAS-Bench-201, and a small UniNAS space inside a budget."""
    from uninas_evo.problems.nasbench201 import NASBench201Space
    from uninas_evo.spaces.uninas import Skeleton, UninasSpace, preset

    start = preset("coatnet", Skeleton(image_size=16, classes=10, stem=(8, 8), channels=(16, 32), depths=(1, 1)))
    uninas = UninasSpace(start, Budget(max_params=2 * start.params, max_flops=2 * start.flops))
    return {"bits": BitSpace(), "nasbench201": NASBench201Space(), "uninas": uninas}


def strategy_class(name: str) -> type[Strategy]:
    (entry,) = entry_points(group="uninas_evo.strategies", name=name)
    loaded: type[Strategy] = entry.load()
    return loaded


def make(name: str, space: Space[Any], seed: int = 0, **options: Any) -> Any:
    """A strategy with as many objectives as it likes most, small enough for tests."""
    cls = strategy_class(name)
    objectives = (GAIN, COST) if cls.objectives_allowed == "several" else (GAIN,)
    return cls(space, objectives, seed=seed, **(small(cls) | options))


def small(cls: type[Strategy]) -> dict[str, Any]:
    """Options that are small enough for tests."""
    options: dict[str, Any] = {
        "population": 8,
        "offspring": 4,
        "sample": 5,
        "startup": 6,
        "drafts": 40,
        "predictor": "ridge",
    }
    return {key: value for key, value in options.items() if key in cls.Options.model_fields}


def score(space: Space[Any], genome: Any) -> dict[str, float]:
    """A rugged gain that differs from genome to genome, and the cost."""
    noise = zlib.crc32(space.encode(genome).encode()) / 2**32
    return {"gain": noise + (sum(genome) if isinstance(genome, tuple) else 0), "cost": space.cost(genome).params}


def ask(strategy: Any) -> list[Candidate]:
    """What a strategy asks, numbered as the loop does."""
    first = strategy.next_number
    return [numbered(draft, first + place) for place, draft in enumerate(strategy.ask())]


def drive(
    strategy: Strategy,
    count: int,
    answer: Callable[[Candidate], Result] | None = None,
    cut: random.Random | None = None,
) -> Iterator[Candidate]:
    """Asks and tells until `count` candidates are asked; `cut` draws how many results are told at once."""
    waiting: list[Candidate] = []
    asked = 0
    while asked < count:
        try:
            candidates = [numbered(draft, asked + place) for place, draft in enumerate(strategy.ask())]
        except StopSearch:
            return
        asked += len(candidates)
        yield from candidates
        waiting += candidates
        assert waiting, "a strategy that has all results must ask or stop"
        size = 1 if cut is None else cut.randint(1, len(waiting))
        told, waiting = waiting[:size], waiting[size:]
        strategy.tell([(answer or good(strategy.space))(candidate) for candidate in told])


def good(space: Space[Any]) -> Callable[[Candidate], Result]:
    return lambda candidate: Result(candidate, score(space, candidate.genome))


def texts(space: Space[Any], candidates: Sequence[Candidate] | Iterator[Candidate], count: int) -> list[Any]:
    """Candidates as plain data."""
    found = [[c.number, space.encode(c.genome), list(c.parents), c.origin] for c in candidates]
    return found[:count]
