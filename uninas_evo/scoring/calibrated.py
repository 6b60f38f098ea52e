"""What networks of a bank reached when they were trained, predicted for networks that were not.

The prediction is calibrated twice: by the bank's accuracies, which say what a score is worth, and by intervals that
hold the true value at their stated rate (see `uninas_evo.predictors.Conformal`) for networks of the bank's kind. How
far that kind reaches is told by distance: a network beyond the bank's own scatter is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pydantic

from uninas_evo.contracts import Objective, Scorer, Space, Subject
from uninas_evo.errors import DataError, PredictorError, ProxyError
from uninas_evo.mistakes import nearest
from uninas_evo.predictors import PREDICTORS, Conformal, Features
from uninas_evo.predictors.bank import Bank, bank_file, load_bank
from uninas_evo.scoring.subject import GenomeSubject
from uninas_evo.spaces.load import load_space

if TYPE_CHECKING:
    from torch import nn

    from uninas_evo.contracts.array import FloatArray

CALIBRATED = "calibrated"
"""The name of the objective."""
BATCH, SEEDS = 64, 2
"""Images of noise, and draws of them and of the weights, of the scores that a bank holds and that predictions use."""
SCORES = (
    "zen", "zico", "az_expressivity", "az_progressivity", "az_trainability", "naswot", "synflow", "grad_norm", "snip",
    "jacov", "swap", "near",
)  # fmt: skip
"""Training-free scores that predictions use, where the bank has them: all that take one or two batches."""
NEIGHBORS = 3
"""A network is as far from a bank as from so many of its networks on average: one alone may be an outlier itself."""
WITHIN = 0.99
"""The share of a bank's own networks that count as known from the others."""
DIGITS = 9
"""Of predictions: the last ones differ between machines."""


def mean_scores(
    network: Callable[[], nn.Module],
    image: tuple[int, int, int],
    names: Sequence[str],
    device: str = "cpu",
    seeds: int = SEEDS,
) -> dict[str, float]:
    """Scores of a network as banks hold them: means over draws; those that refuse the network are NaN."""
    from uninas_evo.proxies import Inputs, score

    found = {}
    for name in names:
        try:
            draws = [
                score(network(), [name], Inputs(batch=BATCH, image=image, seed=seed, device=device))[name]
                for seed in range(seeds)
            ]
        except ProxyError:
            draws = [float("nan")]
        found[name] = float(f"{np.mean(draws):.6g}")
    return found


class Prediction(NamedTuple):
    """What a network will reach.

    Attributes:
        mean: the expected value, in the unit of the bank's column.
        low: where the interval begins.
        high: where it ends.
        known: whether the bank has networks like this one; where not, the numbers mean little.
    """

    mean: float
    low: float
    high: float
    known: bool


class Calibrated:
    """Predicts what networks reach from their features and training-free scores, as a bank's networks taught it.

    Args:
        bank: of one data set.
        column: what is predicted; by default the longest training that most networks had.
        model: one of `uninas_evo.predictors.PREDICTORS`.
        coverage: how many true values shall lie inside the interval.
        scores: columns of the bank that are computed for other networks too; those that it lacks are left out.

    Raises:
        DataError: the bank has no such column, or too few networks with a value.
    """

    def __init__(
        self,
        bank: Bank,
        column: str | None = None,
        *,
        model: str = "forest",
        coverage: float = 0.9,
        scores: Sequence[str] = SCORES,
    ) -> None:
        self.column = column or bank.trained or "train"
        if self.column not in bank.columns:
            raise DataError(
                f"the bank must have the column {self.column!r}, it has {', '.join(bank.columns)}"
                f"{nearest(self.column, bank.columns)}; name another"
            )
        values = bank.columns[self.column]
        chosen = np.flatnonzero(np.isfinite(values))
        self.scores = [name for name in scores if name in bank.columns]
        rows = []
        for index in chosen:
            space, genome = load_space(bank.genomes[index])
            known = {name: float(bank.columns[name][index]) for name in self.scores}
            rows.append({**space.features(genome), **known})
        if len(rows) < 2 * NEIGHBORS:
            raise DataError(
                f"a bank teaches by at least {2 * NEIGHBORS} networks with a value in {self.column!r}, got "
                f"{len(rows)}; train more"
            )
        self.table = Features(rows, ranked=self.scores)
        self._facts = [name for name in rows[0] if name not in self.scores]
        self._fixed = {name: rows[0][name] for name in self._facts if name not in self.table.names}
        features = self.table.rows(rows)
        self.model = Conformal(PREDICTORS[model], coverage)
        self.model.fit(features, values[chosen], seed=0)
        self._near = _Near(features)

    def predict(self, rows: Sequence[Mapping[str, float]]) -> list[Prediction]:
        """Predictions for networks, by their features and scores.

        Args:
            rows: `Space.features` of each, and its `scores` (see `mean_scores`); without them it gets the bank's
                median, and is known no less.
        """
        features = self.table.rows(rows)
        found = self.model.predict(features)
        alike = self._near.knows(features)
        numbers = np.round([found.mean, found.low, found.high], DIGITS).T.tolist()
        return [
            Prediction(mean, low, high, bool(near) and self.is_of_the_kind(row))
            for (mean, low, high), near, row in zip(numbers, alike, rows, strict=True)
        ]

    def is_of_the_kind(self, row: Mapping[str, float]) -> bool:
        """Whether features that are the same in all of the bank, such as the image size, are the same here."""
        facts = {name for name in row if name not in self.scores}
        same = all(abs(row.get(name, 0.0) - value) < 1e-9 for name, value in self._fixed.items())
        return same and facts <= set(self._facts)


class _Near:
    """Which rows of features lie as near to known ones as these do to one another."""

    def __init__(self, known: FloatArray) -> None:
        from sklearn.neighbors import NearestNeighbors

        self._center, spread = known.mean(0), known.std(0)
        self._scale = np.where(spread > 0, spread, 1.0)
        self._model = NearestNeighbors(n_neighbors=NEIGHBORS).fit(self._standard(known))
        own, _ = self._model.kneighbors(n_neighbors=NEIGHBORS)  # of each known row from the others
        self._reach = float(np.quantile(own.mean(1), WITHIN))

    def knows(self, rows: FloatArray) -> FloatArray:
        """Whether each of the rows (N, D) is within reach, (N,)."""
        distances, _ = self._model.kneighbors(self._standard(rows))
        return np.asarray(distances.mean(1) <= self._reach + 1e-9)

    def _standard(self, rows: FloatArray) -> FloatArray:
        return np.asarray((rows - self._center) / self._scale)


class CalibratedOptions(pydantic.BaseModel):
    """Settings of `calibrated`."""

    model_config = pydantic.ConfigDict(extra="forbid")

    bank: str = pydantic.Field("uninas-mini", description="the bank: a name that comes with the package, or a path")
    data: str | None = pydantic.Field(
        None, description="the data set, where the bank knows several; unset: its first, fashion-mnist of uninas-mini"
    )
    column: str | None = pydantic.Field(
        None, description="what is predicted; unset: the longest training that most networks had"
    )
    predictor: Literal["ridge", "gp", "forest", "mlp"] = pydantic.Field(
        "forest", description="the model (see `uninas_evo.predictors`)"
    )
    coverage: float = pydantic.Field(0.9, gt=0, lt=1, description="of the interval")
    scores: list[str] = pydantic.Field(
        list(SCORES), description="training-free scores that it sees, where the bank has them; [] for features alone"
    )


class CalibratedScorer(Scorer):
    """Predicts what a genome would reach in the training that a bank's networks had.

    A genome that the bank has nothing like fails as "not known": a search must not end where nobody has been.

    Args:
        options: see `CalibratedOptions`.
    """

    Options = CalibratedOptions
    objectives = (Objective(CALIBRATED, "maximize"),)

    def __init__(self, **options: Any) -> None:
        self.options = CalibratedOptions(**options)
        self.sources = (bank_file(self.options.bank),)

    def prepare(self, space: Space[Any], device: str) -> None:
        """Fits the model."""
        self._model()

    def score(self, subject: Subject, device: str) -> Mapping[str, float]:
        """`calibrated`, and the ends of its interval, `calibrated_low` and `calibrated_high`.

        Raises:
            PredictorError: the bank has no network like this one.
        """
        found = _predict(self._model(), subject, device)
        if not found.known:
            raise PredictorError(
                f"not known: the bank {self.options.bank!r} has no network like this one, so that its accuracy cannot "
                "be told; search in the bank's skeleton and sizes, or add trained networks to a bank of your own"
            )
        return {CALIBRATED: found.mean, f"{CALIBRATED}_low": found.low, f"{CALIBRATED}_high": found.high}

    def _model(self) -> Calibrated:
        one = self.options
        return _fitted(one.bank, one.data, one.column, one.predictor, one.coverage, tuple(one.scores))


def predict(
    genome: Any,
    bank: str | Path = "uninas-mini",
    data: str | None = None,
    *,
    column: str | None = None,
    model: str = "forest",
    coverage: float = 0.9,
) -> Prediction:
    """What a network would reach if it were trained as a bank's networks were.

        found = uninas_evo.predict("resnet.txt", data="cifar10")
        print(f"{found.mean:.3f}, {found.low:.3f} to {found.high:.3f}" if found.known else "not known")

    Args:
        genome: a genome, its text, its file, or a preset's name.
        bank: "uninas-mini", which comes with the package, or a path.
        data: the data set, where the bank knows several; by default its first.
        column: what is predicted; by default the longest training that most networks had.
        model: one of `uninas_evo.predictors.PREDICTORS`.
        coverage: of the interval.

    Raises:
        GenomeError: it is no genome.
        DataError: there is no such bank, data set or column.
    """
    space, known = load_space(genome if isinstance(genome, str | Path) else str(genome.text))
    return _predict(_fitted(str(bank), data, column, model, coverage, SCORES), GenomeSubject(known, space), "cpu")


def _predict(model: Calibrated, subject: Subject, device: str) -> Prediction:
    facts = dict(subject.space.features(subject.genome))
    if model.is_of_the_kind(facts):  # to score another would take long, for numbers that mean little
        facts |= mean_scores(subject.network, subject.image, model.scores, device)
    (found,) = model.predict([facts])
    return found


@lru_cache(maxsize=4)
def _fitted(
    bank: str, data: str | None, column: str | None, model: str, coverage: float, scores: tuple[str, ...]
) -> Calibrated:
    known = load_bank(bank)
    data = data or (known.data[0] if known.data else None)
    return Calibrated(known if data is None else known.of(data), column, model=model, coverage=coverage, scores=scores)
