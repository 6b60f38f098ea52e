"""Numbers of a comparison, as pure functions: S seeds, T evaluations; nothing is drawn or read here.

Fixed resampling seeds make every table reproducible from its journals. A value that is missing (NaN: nothing
succeeded) is the worst everywhere: below all others in curves, ranks and tests, and the worst that any run reached in
means. Leaving it out would favor strategies that fail.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from uninas_evo.contracts import Goal
from uninas_evo.stats.fronts import FloatArray, IntArray

_ROUNDING = 8 * float(np.finfo(float).eps)
"""Relative differences up to this are rounding: a few operations more or less in another order."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Quantiles over seeds after each evaluation, (T,) each: the median and a band of 90 %."""

    median: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True, slots=True)
class Summary:
    """What a strategy reached: mean of its finals, that mean's 95 % interval, their median, mean rank."""

    name: str
    mean: float
    low: float
    high: float
    median: float
    rank: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two strategies on the same seeds.

    Attributes:
        a: the first strategy.
        b: the second strategy.
        better: seeds on which `a` beat `b`.
        equal: seeds on which they tied.
        worse: seeds on which `b` beat `a`.
        p: the two-sided Wilcoxon signed-rank test's p.
        p_holm: the same after Holm's correction over all pairs that were tested together.
        a12: the probability that a random run of `a` beats one of `b`, ties counting half.
    """

    a: str
    b: str
    better: int
    equal: int
    worse: int
    p: float
    p_holm: float
    a12: float


def upward(values: FloatArray, goal: Goal) -> FloatArray:
    """Values with the sign turned where less is better, and −inf for NaN: more is better from here on."""
    signed = values if goal == "maximize" else -values
    return np.where(np.isnan(signed), -np.inf, signed)


def best_so_far(values: FloatArray, goal: Goal) -> FloatArray:
    """The best value up to each evaluation, along the last axis of (..., T); NaN until one succeeded."""
    best = np.fmax if goal == "maximize" else np.fmin
    return np.asarray(best.accumulate(values, axis=-1), float)


def padded(curve: FloatArray, evaluations: int) -> FloatArray:
    """A curve held at its last value until it is `evaluations` long, or cut there: runs may end early."""
    last = curve[-1] if len(curve) else np.nan
    return np.append(curve[:evaluations], np.full(max(evaluations - len(curve), 0), last))


def anytime(curves: FloatArray, goal: Goal = "maximize") -> Curve:
    """Median and 5 % to 95 % band of (S, T) curves.

    The band's ends are values that some seed reached (no interpolation), and the median is the mean of at most two,
    so that a seed without a value yet can count as the worst.
    """
    ordered = upward(curves, goal)
    sign = 1.0 if goal == "maximize" else -1.0
    band = np.quantile(ordered, [0.05, 0.95], axis=0, method="inverted_cdf")
    lines = np.stack([np.median(ordered, axis=0), *band]) * sign
    middle, worse, better = np.where(np.isinf(lines), np.nan, lines)
    return Curve(middle, worse, better) if goal == "maximize" else Curve(middle, better, worse)


def evaluations_until(curves: FloatArray, target: float, goal: Goal = "maximize") -> FloatArray:
    """How many evaluations each of (S, T) best-so-far curves took to reach the target, (S,); inf: never."""
    reached = upward(curves, goal) >= (target if goal == "maximize" else -target)
    return np.where(reached.any(axis=1), reached.argmax(axis=1) + 1.0, np.inf)


def mean_interval(values: FloatArray, confidence: float = 0.95) -> tuple[float, float, float]:
    """The mean of (S,) values and its bootstrap interval (BCa, 9,999 resamples, fixed seed); NaN where one is NaN."""
    from scipy.stats import bootstrap

    mean = float(values.mean())
    if np.isnan(mean):
        return (np.nan, np.nan, np.nan)
    if np.ptp(values) == 0:
        return (mean, mean, mean) if len(values) > 1 else (mean, np.nan, np.nan)
    rng = np.random.default_rng(0)
    interval = bootstrap((values,), np.mean, confidence_level=confidence, rng=rng).confidence_interval
    return (mean, float(interval.low), float(interval.high))


def proportions_interval(p: float, q: float, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of p − q, two shares of `count` independent trials each.

    Newcombe's hybrid score interval (Statistics in Medicine 17, 1998, method 10): it is no point where nothing, or
    everything, succeeded.
    """
    from scipy.stats import norm

    z = float(norm.ppf((1 + confidence) / 2))
    (p_low, p_high), (q_low, q_high) = (_score_interval(share, count, z) for share in (p, q))
    return (
        p - q - ((p - p_low) ** 2 + (q_high - q) ** 2) ** 0.5,
        p - q + ((p_high - p) ** 2 + (q - q_low) ** 2) ** 0.5,
    )


def _score_interval(share: float, count: int, z: float) -> tuple[float, float]:
    """Wilson's score interval of a share."""
    center = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * (share * (1 - share) / count + (z / (2 * count)) ** 2) ** 0.5 / (1 + z**2 / count)
    return max(0.0, center - half), min(1.0, center + half)


def filled(finals: Mapping[str, FloatArray], goal: Goal) -> dict[str, FloatArray]:
    """Finals (S,) of each strategy with the worst value that any run reached in place of NaN; NaN where all are."""
    known = np.concatenate(list(finals.values()))
    known = known[~np.isnan(known)]
    worst = np.nan if len(known) == 0 else known.min() if goal == "maximize" else known.max()
    return {name: np.where(np.isnan(values), worst, values) for name, values in finals.items()}


def ranks(finals: FloatArray, goal: Goal) -> FloatArray:
    """The mean rank over seeds of each strategy, (strategies,), from finals (strategies, S); 1 is best."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(-upward(finals, goal), axis=0).mean(axis=1), float)


def summaries(finals: Mapping[str, FloatArray], goal: Goal) -> list[Summary]:
    """One summary for each strategy's finals (S,), the best mean rank first."""
    table = ranks(np.stack(list(finals.values())), goal)
    rows = [
        Summary(name, *mean_interval(values), float(np.median(values)), float(rank))
        for (name, values), rank in zip(filled(finals, goal).items(), table, strict=True)
    ]
    return sorted(rows, key=lambda row: row.rank)


def differences(a: FloatArray, b: FloatArray, goal: Goal = "maximize") -> IntArray:
    """By how much `a` beats `b` pair by pair (S,), as signed ranks of size; 0 where they are equal.

    Sizes that rounding alone can tell apart get one rank, so that 0.8 - 0.7 and 0.2 - 0.1 are as large. A pair with
    one missing value has the largest difference, with two missing ones none.
    """
    x, y = upward(a, goal), upward(b, goal)
    scale = np.maximum(np.abs(x), np.abs(y))
    noise = np.where(np.isfinite(scale), _ROUNDING * scale, 0.0)
    with np.errstate(invalid="ignore"):  # two missing values
        gap = np.where(x == y, 0.0, x - y)
        size = np.where(np.abs(gap) <= noise, 0.0, np.abs(gap))
        order = np.argsort(size, kind="stable")
        steps = np.diff(size[order], prepend=0.0) > noise[order]
    rank = np.empty(len(size), np.int64)
    rank[order] = np.cumsum(steps)
    return np.asarray(np.sign(gap) * rank, np.int64)


def wilcoxon_p(a: FloatArray, b: FloatArray, goal: Goal = "maximize") -> float:
    """The two-sided Wilcoxon signed-rank p of paired values (S,); 1 where all pairs tie (Wilcoxon 1945)."""
    from scipy.stats import wilcoxon

    signed = differences(a, b, goal)
    return float(wilcoxon(signed).pvalue) if signed.any() else 1.0


def least_p(seeds: int, tested: int = 1) -> float:
    """The least p that the signed-rank test can reach with so many seeds, after Holm's correction of `tested` pairs."""
    return min(1.0, tested * 2.0 ** (1 - seeds))


def a12(a: FloatArray, b: FloatArray, goal: Goal = "maximize") -> float:
    """The probability that a value of `a` beats one of `b`, ties counting half (Vargha & Delaney 2000)."""
    x, y = upward(a, goal)[:, None], upward(b, goal)
    equal = np.isclose(x, y, rtol=_ROUNDING, atol=0)
    return float(np.mean(np.where(equal, 0.5, x > y)))


def holm(p: Sequence[float]) -> FloatArray:
    """Holm's step-down correction of several p values, in their own order (Holm 1979)."""
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(np.asarray(p, float)[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def compare_pairs(
    finals: Mapping[str, FloatArray], goal: Goal, pairs: Iterable[tuple[str, str]] | None = None
) -> list[Pair]:
    """Tests pairs of strategies on the same seeds; Holm's correction covers exactly these pairs.

    Args:
        finals: strategy -> (S,), the seeds in the same order for all.
        goal: which values are better.
        pairs: which to test; all unordered pairs where it is None.
    """
    tested = list(itertools.combinations(finals, 2) if pairs is None else pairs)
    signed = [differences(finals[a], finals[b], goal) for a, b in tested]
    raw = [wilcoxon_p(finals[a], finals[b], goal) for a, b in tested]
    result = []
    for (a, b), signs, p, corrected in zip(tested, signed, raw, holm(raw), strict=True):
        wins, ties, losses = (int((np.sign(signs) == sign).sum()) for sign in (1, 0, -1))
        result.append(Pair(a, b, wins, ties, losses, p, float(corrected), a12(finals[a], finals[b], goal)))
    return result
