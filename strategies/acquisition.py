"""How much it is worth to score a genome, from what a predictor says of it; values are maximized.

Source of the words: Shahriari et al., "Taking the Human Out of the Loop", Proceedings of the IEEE 2016.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from uninas_evo.contracts.array import FloatArray

Name = Literal["greedy", "ucb", "ei", "thompson"]
CONFIDENCE = 1.0
"""Deviations that `ucb` adds to the mean: predictors of networks are sure of too much rather than of too little, and
more of them only sampled what is unknown."""

Acquisition = Callable[["FloatArray", "FloatArray", float, random.Random], "FloatArray"]
"""Takes means (N,), deviations (N,), the best value so far and a generator; returns what to maximize, (N,)."""


def greedy(mean: FloatArray, deviation: FloatArray, best: float, rng: random.Random) -> FloatArray:
    """The mean alone."""
    return mean


def ucb(mean: FloatArray, deviation: FloatArray, best: float, rng: random.Random) -> FloatArray:
    """The upper confidence bound μ + σ."""
    return mean + CONFIDENCE * deviation


def ei(mean: FloatArray, deviation: FloatArray, best: float, rng: random.Random) -> FloatArray:
    """The expected improvement (μ − b) Φ(z) + σ φ(z) over the best b, z = (μ − b) / σ."""
    from scipy.special import ndtr

    sigma = np.maximum(deviation, 1e-12)
    z = (mean - best) / sigma
    improvement: FloatArray = (mean - best) * ndtr(z) + sigma * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    return improvement


def thompson(mean: FloatArray, deviation: FloatArray, best: float, rng: random.Random) -> FloatArray:
    """A draw of each value, independent of the others."""
    drawn: FloatArray = mean + deviation * np.array([rng.gauss(0.0, 1.0) for _ in mean])
    return drawn


ACQUISITIONS: dict[str, Acquisition] = {"greedy": greedy, "ucb": ucb, "ei": ei, "thompson": thompson}
