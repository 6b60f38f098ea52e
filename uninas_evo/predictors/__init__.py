"""Predictors of what networks reach, from numbers that are known before training.

| name | model | when |
|---|---|---|
| `ridge` | ridge regression on standardized features | the floor: any other must beat it |
| `gp` | Gaussian process, Matérn 5/2 plus noise | up to some hundred results |
| `forest` | extremely randomized trees; the deviation is that over its trees | mixed features, many results |
| `mlp` | five small multi-layer perceptrons; the deviation is that over them | a thousand results and more |

`Features` turns what spaces and proxies say of genomes into rows; `Conformal` adds intervals that hold whatever the
model is. scikit-learn is imported when a predictor is fitted.
"""

from uninas_evo.predictors.conformal import Conformal, Intervals
from uninas_evo.predictors.features import Features
from uninas_evo.predictors.models import PREDICTORS, Forest, GaussianProcess, Perceptron, Ridge

__all__ = ["PREDICTORS", "Conformal", "Features", "Forest", "GaussianProcess", "Intervals", "Perceptron", "Ridge"]
