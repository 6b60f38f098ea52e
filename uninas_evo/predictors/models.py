"""The predictors: thin shells around scikit-learn's, each with a mean and a deviation."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from uninas_evo.contracts import Predictor
from uninas_evo.errors import PredictorError

if TYPE_CHECKING:
    from uninas_evo.contracts.array import FloatArray


LEARNED = 256
"""Rows that a Gaussian process learns its kernel's three numbers from: more rows tell them hardly better, at the cube
of the price. All rows are known to it then."""


class Standardized(Predictor):
    """Fits on features and values of mean 0 and deviation 1, and predicts in the values' own unit."""

    def fit(self, features: FloatArray, values: FloatArray, *, seed: int) -> None:
        """Learns from features (T, D) and values (T,), both finite.

        Raises:
            PredictorError: a number is not finite, the lengths differ, or there are fewer than two.
        """
        features, values = np.asarray(features, float), np.asarray(values, float)
        if len(features) != len(values) or len(values) < 2 or not (_finite(features) and _finite(values)):
            raise PredictorError(
                f"a predictor is fitted on at least two rows of finite features and as many finite values, got "
                f"{features.shape} and {values.shape}; leave failed genomes out"
            )
        self._center, self._scale = features.mean(0), _spread(features)
        self._mean, self._deviation = float(values.mean()), float(_spread(values[:, None])[0])
        self._learn((features - self._center) / self._scale, (values - self._mean) / self._deviation, seed)

    def predict(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean (N,) and standard deviation (N,) at features (N, D).

        Raises:
            PredictorError: it was not fitted.
        """
        if not hasattr(self, "_center"):
            raise PredictorError(f"{type(self).__name__} knows nothing yet; call fit(features, values, seed=...) first")
        mean, deviation = self._know((np.asarray(features, float) - self._center) / self._scale)
        return self._mean + self._deviation * mean, self._deviation * deviation

    @abstractmethod
    def _learn(self, features: FloatArray, values: FloatArray, seed: int) -> None:
        """Fits standardized values (N,) to standardized features (N, D)."""

    @abstractmethod
    def _know(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Standardized mean (N,) and standard deviation (N,)."""


class Ridge(Standardized):
    """Bayesian ridge regression: the strength of the penalty is learned (MacKay, Neural Computation 1992)."""

    def _learn(self, features: FloatArray, values: FloatArray, seed: int) -> None:
        from sklearn.linear_model import BayesianRidge

        self._model = BayesianRidge().fit(features, values)

    def _know(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        mean, deviation = self._model.predict(features, return_std=True)
        return mean, deviation


class GaussianProcess(Standardized):
    """Gaussian process with a Matérn 5/2 kernel and noise, by maximum likelihood (Rasmussen & Williams, 2006).

    One length scale serves all features: with more features than results, one each is not identified.
    """

    def _learn(self, features: FloatArray, values: FloatArray, seed: int) -> None:
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

        length = np.sqrt(features.shape[1])  # the typical distance of two standardized rows grows so
        kernel = ConstantKernel(1.0, (1e-2, 1e2)) * Matern(length, (length / 30, length * 30), nu=2.5)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a hyperparameter at its bound is as good as it gets
            model = GaussianProcessRegressor(kernel + WhiteKernel(0.1, (1e-5, 1.0)), random_state=seed)
            if len(values) <= LEARNED:
                self._model = model.fit(features, values)
                return
            chosen = np.random.default_rng(seed).choice(len(values), LEARNED, replace=False)
            learned = model.fit(features[chosen], values[chosen]).kernel_
            self._model = GaussianProcessRegressor(learned, optimizer=None).fit(features, values)

    def _know(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        mean, deviation = self._model.predict(features, return_std=True)
        return mean, deviation


class Forest(Standardized):
    """Forest of extremely randomized trees (Geurts et al., Machine Learning 2006); the deviation is over its trees.

    Args:
        trees: how many; from 100 on the order of predictions hardly changes.
    """

    def __init__(self, trees: int = 100) -> None:
        self.trees = trees

    def _learn(self, features: FloatArray, values: FloatArray, seed: int) -> None:
        from sklearn.ensemble import ExtraTreesRegressor

        model = ExtraTreesRegressor(self.trees, max_features=0.5, min_samples_leaf=1, random_state=seed, n_jobs=1)
        self._model = model.fit(features, values)

    def _know(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        rows = features.astype(np.float32)
        each = np.array([tree.predict(rows, check_input=False) for tree in self._model.estimators_])
        return each.mean(0), each.std(0)


class Perceptron(Standardized):
    """An ensemble of multi-layer perceptrons; the deviation is that of its members (Lakshminarayanan et al., 2017).

    Args:
        members: of the ensemble; five are what the paper uses.
        width: of both hidden layers.
    """

    def __init__(self, members: int = 5, width: int = 64) -> None:
        self.members, self.width = members, width

    def _learn(self, features: FloatArray, values: FloatArray, seed: int) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPRegressor

        self._models: list[Any] = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            for member in range(self.members):
                model = MLPRegressor(hidden_layer_sizes=(self.width,) * 2, solver="lbfgs", alpha=1.0, max_iter=200)
                model.set_params(random_state=np.random.RandomState([seed % 2**32, member]).randint(2**31))
                self._models.append(model.fit(features, values))

    def _know(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        each = np.array([model.predict(features) for model in self._models])
        return each.mean(0), each.std(0)


PREDICTORS: dict[str, type[Standardized]] = {
    "ridge": Ridge,
    "gp": GaussianProcess,
    "forest": Forest,
    "mlp": Perceptron,
}
"""The predictors by name."""


def _finite(values: FloatArray) -> bool:
    return bool(np.isfinite(values).all())


def _spread(columns: FloatArray) -> FloatArray:
    """The deviation of each column, 1 where it never varies."""
    spread = columns.std(0)
    return np.where(spread > 1e-12, spread, 1.0)
