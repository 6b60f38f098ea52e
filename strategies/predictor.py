"""Search guided by a predictor: many drafts are predicted, the most promising is scored.

Sources: White et al., "BANANAS", AAAI 2021, arXiv 1910.11858 (a predictor and mutants of the best); Wei et al.,
"NPENAS", arXiv 2003.12857 (the best of many mutants); Knowles, "ParEGO", IEEE TEC 2006 (several objectives).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pydantic

from uninas_evo.contracts import Draft, Objective, Result, Space
from uninas_evo.errors import PredictorError
from uninas_evo.strategies.acquisition import ACQUISITIONS, Name
from uninas_evo.strategies.base import MOST, Lag, SteadyState
from uninas_evo.strategies.past import past_results
from uninas_evo.strategies.warm_start import WarmStart

if TYPE_CHECKING:
    from uninas_evo.contracts.array import FloatArray

Scores = Callable[[Any], Mapping[str, float]]
"""Takes a genome, returns named training-free scores; more is better."""
LEAST = 4
"""Results with values that a predictor needs before it says anything."""
MOST_STEPS = 3
"""Search steps in a row from a member of the elite to a draft: each number is as likely."""
FAR = 2.0
"""Values further below the median than this many times its distance to the best tenth count as that far: on
NAS-Bench-201 cells that cannot learn, 80 points below the others, otherwise hide what tells good from best."""
DIGITS = 9
"""Of predictions that are compared: the last ones differ from machine to machine and shall choose nobody."""


class PredictorOptions(Lag, WarmStart):
    """Options of `predictor`."""

    predictor: Literal["ridge", "gp", "forest", "mlp"] = pydantic.Field(
        "gp", description="the model (see `uninas_evo.predictors`)"
    )
    acquisition: Name = pydantic.Field("ucb", description="what makes a draft worth scoring")
    startup: int = pydantic.Field(16, ge=1, le=MOST, description="first candidates, before anything is predicted")
    drafts: int = pydantic.Field(
        500, ge=1, le=MOST, description="genomes that are predicted after each fit; candidates are the best of them"
    )
    elite: int = pydantic.Field(10, ge=1, le=MOST, description="best genomes so far, whose mutants are drafts")
    sampled: float = pydantic.Field(0.2, ge=0, le=1, description="share of drafts that are samples of the space")
    refit: float = pydantic.Field(
        0.1,
        ge=0,
        le=1,
        description="model and drafts are made anew when results have grown by this share, so that both stay cheap; "
        "0: at each result",
    )
    start_from: list[Path] = pydantic.Field(
        [],
        description="run folders whose results are known from the start, named from the working folder; what is of "
        "another space or outside the budget is left out",
    )


class PredictorSearch(SteadyState):
    """Predicts many drafts from features and training-free scores, and asks for the most promising one.

    How it searches: after `startup` candidates (samples, or the best of many by a free measure) a predictor is fitted
    on all results, and `drafts` genomes are made, mutants of the `elite` and samples of the space; those of greatest
    acquisition are asked. Model and drafts are made anew when results have grown by a share, so that asking stays
    cheap. Several objectives are joined by weights that are drawn for each fit.

    When to use it: where a score is dear, as a training is, and a few hundred at most can be paid for; above all where
    older runs or good training-free scores exist to start from. Where scoring takes milliseconds, evolution is as good.

    A candidate that failed is taken for as bad as the worst so far.

    Args:
        space: its `features` are what the predictor sees.
        objectives: one or several.
        seed: of all draws.
        scores: training-free scores of a genome that the predictor sees as well, ranked. Where they are given, the
            first candidates are the best of `warm_samples` samples by the sum of their ranks.
        options: see `PredictorOptions`.

    Raises:
        StrategyError: a folder of `start_from` is none, or has nothing of this space.

    Example:
        ```python
        from uninas_evo import Objective
        from uninas_evo.spaces.nasbench201.space import NASBench201Space
        from uninas_evo.strategies.predictor import PredictorSearch

        objectives = [Objective("accuracy", "maximize")]
        strategy = PredictorSearch(NASBench201Space(), objectives, seed=0, startup=8, predictor="forest")
        print(len(strategy.ask()))  # 8
        ```
    """

    Options = PredictorOptions
    options: PredictorOptions
    objectives_allowed = "any"

    def __init__(
        self,
        space: Space[Any],
        objectives: Sequence[Objective],
        *,
        seed: int,
        scores: Scores | None = None,
        **options: Any,
    ) -> None:
        super().__init__(space, objectives, seed=seed, **options)
        self.seed = seed
        self.scores = scores
        self._seen: dict[Any, Mapping[str, float]] = {}
        self._genomes: list[Any] = []
        self._numbers: list[int | None] = []
        self._fitness: list[tuple[float, ...]] = []
        for genome, values in past_results(self.options.start_from, space, self.objectives):
            self._known.add(genome)
            self._keep(genome, None, tuple(one.sign * values[one.name] for one in self.objectives))
        self.free = 0 if len(self._genomes) >= LEAST else self.options.startup
        self._first: Iterator[Draft] | None = None
        self._elite: list[int] = []
        self._pool: _Pool | None = None
        self._fitted = 0

    def propose(self) -> Draft:
        """One of the first candidates, or the most promising draft that was not asked."""
        if self._asked < self.free:
            starts = self._first = self._first or self._starts()
            return self.novel(lambda: next(starts))
        self._fit()
        if self._pool is None:
            return self.novel(self._mutant)
        return self._pool.best(self.options.acquisition, self.asked, self.rng) or self.novel(self.sample)

    def learn(self, result: Result) -> None:
        """Keeps a result for the next fit."""
        self._keep(result.candidate.genome, result.candidate.number, self.fitness(result))

    def features(self, genome: Any) -> Mapping[str, float]:
        """What is known of a genome before it is scored; computed once."""
        if genome not in self._seen:
            scores = {} if self.scores is None else self.scores(genome)
            self._seen[genome] = {**self.space.features(genome), **scores}
        return self._seen[genome]

    def _keep(self, genome: Any, number: int | None, fitness: tuple[float, ...]) -> None:
        self._genomes.append(genome)
        self._numbers.append(number)
        self._fitness.append(fitness)

    def _starts(self) -> Iterator[Draft]:
        """Samples; where there is a free measure, the best of many first."""
        cost = self.options.warm_start
        if self.scores or cost:
            distinct = list({self.space.sample(self.rng): None for _ in range(self.options.warm_samples)})
            measure = self.scores or (lambda genome: {str(cost): self.space.cost(genome)[str(cost)]})
            total = _summed_ranks([measure(genome) for genome in distinct])
            yield from (Draft(distinct[index], origin="warm start") for index in np.argsort(-total, kind="stable"))
        while True:
            yield self.sample()

    def _fit(self) -> None:
        """Where results have grown enough: fits the model, and predicts drafts with it."""
        count = len(self._genomes)
        if count < max(self._fitted + 1, self._fitted * (1 + self.options.refit)):
            return
        values = self._joined()
        good = np.isfinite(values)
        if good.sum() < LEAST:
            return
        from uninas_evo.predictors import PREDICTORS, Features

        values = _tamed(np.where(good, values, values[good].min()))
        order = np.argsort(-values, kind="stable")
        self._elite = [int(index) for index in order if good[index]][: self.options.elite]
        known = [self.features(genome) for genome in self._genomes]
        ranked = () if self.scores is None else tuple(self.scores(self._genomes[0]))
        try:
            table = Features(known, ranked)
        except PredictorError:  # all alike so far
            return
        model = PREDICTORS[self.options.predictor]()
        model.fit(table.rows(known), values, seed=self.seed)
        self._fitted, drafts = count, self._drafts()
        if drafts:
            mean, deviation = model.predict(table.rows([self.features(draft.genome) for draft in drafts]))
            self._pool = _Pool(drafts, mean, deviation, float(values.max()))

    def _joined(self) -> FloatArray:
        """The fitness of all known genomes as one number (T,): its augmented Chebyshev norm under drawn weights.

        Source: Knowles, ParEGO, eq. 2, with ranks in the place of normalized values.
        """
        fitness = np.array(self._fitness, float).reshape(len(self._fitness), -1)
        if fitness.shape[1] == 1:
            return fitness[:, 0]
        from scipy.stats import rankdata

        weights = np.array([self.rng.expovariate(1.0) for _ in self.objectives])
        weights /= weights.sum()
        weighted = weights * (rankdata(fitness, axis=0) / len(fitness) - 1)
        joined: FloatArray = weighted.min(1) + 0.05 * weighted.sum(1)
        return np.where(np.isfinite(fitness).all(1), joined, -math.inf)

    def _drafts(self) -> list[Draft]:
        """Different genomes that were not asked, mutants of the elite and samples."""
        found: dict[Any, Draft] = {}
        for _ in range(self.options.drafts):
            draft = self.sample() if self.rng.random() < self.options.sampled else self._mutant()
            if draft is not None and not self.asked(draft.genome):
                found.setdefault(draft.genome, draft)
        return list(found.values())

    def _mutant(self) -> Draft | None:
        """A few steps from one of the elite; from any genome as long as there is none."""
        if not self._genomes:
            return self.sample()
        chosen = self.rng.choice(self._elite or range(len(self._genomes)))
        genome, number = self._genomes[chosen], self._numbers[chosen]
        for _ in range(self.rng.randint(1, MOST_STEPS)):
            genome = self.space.mutate(genome, self.rng) or genome
        return Draft(genome, () if number is None else (number,), "predicted" if self._elite else "mutate")


@dataclass
class _Pool:
    """Drafts with what a model says of them, and the best value that it was fitted on."""

    drafts: Sequence[Draft]
    mean: FloatArray
    deviation: FloatArray
    best_value: float

    def best(self, acquisition: Name, asked: Callable[[Any], bool], rng: random.Random) -> Draft | None:
        """The draft of greatest acquisition that was not asked, the first of equals; None where none is left."""
        worth = ACQUISITIONS[acquisition](self.mean, self.deviation, self.best_value, rng)
        scale = float(np.abs(worth).max()) or 1.0
        order = np.argsort(-np.round(worth / scale, DIGITS), kind="stable")
        return next((self.drafts[index] for index in order if not asked(self.drafts[index].genome)), None)


def _tamed(values: FloatArray) -> FloatArray:
    """Values (T,), those far below the median drawn near: broken networks do not set the scale of the good ones."""
    middle, high = np.quantile(values, [0.5, 0.9])
    tamed: FloatArray = np.maximum(values, middle - FAR * (high - middle))
    return tamed


def _summed_ranks(scored: Sequence[Mapping[str, float]]) -> FloatArray:
    """The sum over scores of each genome's rank among all, (N,); a missing score or NaN ranks lowest."""
    from scipy.stats import rankdata

    names = sorted({name for row in scored for name in row})
    columns = np.array([[row.get(name, math.nan) for row in scored] for name in names], float)
    ranks: FloatArray = rankdata(np.nan_to_num(columns, nan=-np.inf), axis=1).sum(0)
    return ranks
