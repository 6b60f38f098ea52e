"""A predictor: learns values from features, and says how sure it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uninas_evo.contracts.array import FloatArray


class Predictor(ABC):
    """Regression with uncertainty. T evaluations, D features, N queries."""

    @abstractmethod
    def fit(self, features: FloatArray, values: FloatArray, *, seed: int) -> None:
        """Learns from features (T, D) and values (T,); the seed fixes every random draw."""

    @abstractmethod
    def predict(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean (N,) and standard deviation (N,) at features (N, D)."""
