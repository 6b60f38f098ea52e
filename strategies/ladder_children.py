"""Kinds of children, whose shares follow their success, and a model that chooses among many."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from uninas_evo.contracts import Space, Varied
from uninas_evo.strategies.ladder_estimate import Member

if TYPE_CHECKING:
    from uninas_evo.contracts.array import FloatArray

MODEL = "model"
STEPS = (1, 2, 3)
"""Search steps of a child in a row; each number does alike."""
CHOSEN_FROM = 16
"""Children of which the model takes the best."""
MODEL_NEEDS = 20
"""Results from which on a model says anything."""
PENALTY = 10.0
"""Of the ridge regression on standardized features: with some hundred results it explains most and repeats few."""
LEAST_SHARE = 0.1
"""Success rate that every kind is taken to have at least: what wins now and then comes from wide kinds as well."""

Child = tuple[Any, tuple[Member, ...]]
Pick = Callable[[], Member]


class Breeder:
    """Makes children by several kinds of operators.

    Kinds are the space's own step (one to three in a row), its further operators, crossover (half of the children
    mutated), and "model": the best of many such children by a ridge regression on the space's features.

    Args:
        space: whose operators are drawn among.
        rng: all draws come from it.
    """

    def __init__(self, space: Space[Any], rng: random.Random) -> None:
        self.space, self.rng = space, rng
        self._make: dict[str, Callable[[Pick], Child | None]] = {"step": self._steps}
        if isinstance(space, Varied):
            for name, operator in space.variations().items():
                self._make[name] = self._varied(operator)
        self._make["crossover"] = self._crossed
        self.won: dict[str, deque[bool]] = {kind: deque(maxlen=100) for kind in (*self._make, MODEL)}

    def child(self, pick: Pick, model: Callable[[Sequence[Any]], Sequence[float]] | None) -> tuple[str, Child] | None:
        """A child and its kind, or None where the drawn operator found none.

        Args:
            pick: draws a parent.
            model: predicts how good genomes are; None where it knows too little.
        """
        kinds = list(self.won) if model else list(self._make)
        kind = self.rng.choices(kinds, [self.share(one) for one in kinds])[0]
        if kind != MODEL or model is None:
            made = self._make[kind](pick)
            return None if made is None else (kind, made)
        names = list(self._make)
        drawn = [self._make[self.rng.choice(names)](pick) for _ in range(CHOSEN_FROM)]
        found = [one for one in drawn if one is not None]
        if not found:
            return None
        values = model([genome for genome, _ in found])
        return MODEL, found[max(range(len(found)), key=lambda index: values[index])]

    def share(self, kind: str) -> float:
        """How much a kind is drawn: its latest rate of success, two of eight where nothing is known."""
        won = self.won[kind]
        return max((sum(won) + 2) / (len(won) + 8), LEAST_SHARE)

    def learn(self, kind: str, success: bool) -> None:
        """Takes whether a child of a kind was a good one."""
        if kind in self.won:
            self.won[kind].append(success)

    def _steps(self, pick: Pick) -> Child | None:
        parent = pick()
        genome = parent.genome
        for _ in range(self.rng.choice(STEPS)):
            genome = self.space.mutate(genome, self.rng)
            if genome is None:
                return None
        return genome, (parent,)

    def _varied(self, operator: Callable[[Any, random.Random], Any]) -> Callable[[Pick], Child | None]:
        def make(pick: Pick) -> Child | None:
            parent = pick()
            genome = operator(parent.genome, self.rng)
            return None if genome is None else (genome, (parent,))

        return make

    def _crossed(self, pick: Pick) -> Child | None:
        first, second = pick(), pick()
        if first is second:
            return None
        genome = self.space.crossover(first.genome, second.genome, self.rng)
        if genome is not None and self.rng.random() < 0.5:
            genome = self.space.mutate(genome, self.rng) or genome
        return None if genome is None else (genome, (first, second))


class RidgeModel:
    """Ridge regression of estimates on the features of a space (Hoerl & Kennard, Technometrics 1970).

    Predictions are rounded to six digits, so that the last ones, which differ from machine to machine, choose nobody.

    Args:
        features: of the genomes that have estimates.
        values: these estimates.
        of: the features of any genome.
    """

    def __init__(
        self, features: Sequence[Mapping[str, float]], values: Sequence[float], of: Callable[[Any], Mapping[str, float]]
    ) -> None:
        import numpy as np

        self.of = of
        self.names = sorted({name for row in features for name in row})
        x = self._rows(features)
        self.mean, self.deviation = x.mean(0), x.std(0)
        self.deviation[self.deviation == 0] = 1
        x = (x - self.mean) / self.deviation
        y = np.array(values, float)
        self.center = float(y.mean())
        self.weights = np.linalg.solve(x.T @ x + PENALTY * np.eye(x.shape[1]), x.T @ (y - self.center))

    def __call__(self, genomes: Sequence[Any]) -> list[float]:
        """A value for each genome."""
        x = (self._rows([self.of(genome) for genome in genomes]) - self.mean) / self.deviation
        return [float(f"{value:.6g}") for value in self.center + x @ self.weights]

    def _rows(self, features: Sequence[Mapping[str, float]]) -> FloatArray:
        import numpy as np

        return np.array([[row.get(name, 0.0) for name in self.names] for row in features], float)
