"""Intervals that hold at their stated rate whatever the predictor is, as long as genomes come from one distribution."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from uninas_evo.contracts import Predictor
from uninas_evo.errors import PredictorError

if TYPE_CHECKING:
    from uninas_evo.contracts.array import FloatArray

FOLDS = 10
"""Of the cross-validation; leaving one out costs T fits for intervals that are hardly shorter."""


class Intervals(NamedTuple):
    """Means and bounds of predictions, each (N,)."""

    mean: FloatArray
    low: FloatArray
    high: FloatArray

    def coverage(self, values: FloatArray) -> float:
        """The share of true values (N,) inside their interval."""
        return float(np.mean((self.low <= values) & (values <= self.high)))

    @property
    def width(self) -> float:
        """The mean width."""
        return float(np.mean(self.high - self.low))


class Conformal:
    """CV+ intervals around a predictor's means.

    Each value is predicted by the fold that has not seen it; a bound is a quantile, over all known values, of the
    fold's prediction at the query plus or minus that residual. Coverage is at least 1 − 2α in theory and near 1 − α in
    practice. Source: Barber et al., "Predictive Inference with the Jackknife+", Annals of Statistics 2021, section 3.

    Args:
        make: gives a fresh predictor.
        coverage: 1 − α, how many true values shall lie inside.
        folds: of the cross-validation; T of them are the jackknife+.

    Raises:
        PredictorError: the coverage is no share between 0 and 1.
    """

    def __init__(self, make: Callable[[], Predictor], coverage: float = 0.9, folds: int = FOLDS) -> None:
        if not 0 < coverage < 1:
            raise PredictorError(f"coverage is a share between 0 and 1, got {coverage}; 0.9 is the usual one")
        self.make, self.coverage, self.folds = make, coverage, folds

    def fit(self, features: FloatArray, values: FloatArray, *, seed: int) -> None:
        """Learns from features (T, D) and values (T,).

        Raises:
            PredictorError: there are fewer than four values.
        """
        values = np.asarray(values, float)
        if len(values) < 4:
            raise PredictorError(f"intervals need at least four values to learn from, got {len(values)}; add some")
        order = np.random.default_rng(seed).permutation(len(values))
        self._parts = np.array_split(order, min(self.folds, len(values)))
        self._models = []
        self.residuals = np.empty(len(values))
        for part in self._parts:
            rest = np.setdiff1d(order, part)
            model = self.make()
            model.fit(features[rest], values[rest], seed=seed)
            self.residuals[part] = np.abs(values[part] - model.predict(features[part])[0])
            self._models.append(model)
        self._whole = self.make()
        self._whole.fit(features, values, seed=seed)

    def predict(self, features: FloatArray) -> Intervals:
        """Means and bounds at features (N, D)."""
        count = len(self.residuals)
        means = np.empty((count, len(features)))
        for part, model in zip(self._parts, self._models, strict=True):
            means[part] = model.predict(features)[0]
        rank = min(count, int(np.ceil(self.coverage * (count + 1))))
        low = -np.sort(-(means - self.residuals[:, None]), axis=0)[rank - 1]
        high = np.sort(means + self.residuals[:, None], axis=0)[rank - 1]
        return Intervals(self._whole.predict(features)[0], low, high)
