"""Rank statistics over a population: aggregates, "is it only size?", and how well one order agrees with another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from uninas_evo.errors import ProxyError
from uninas_evo.stats.fronts import FloatArray, IntArray


def rankdata(values: FloatArray) -> FloatArray:
    """Ranks (T,) from 1 (least) to T, ties averaged; scipy has the same, whose import costs every report 0.6 s."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[place], float)


def rank_aggregate(scores: Mapping[str, Sequence[float]]) -> list[float]:
    """Σ over proxies of log(rank / T), ranks from 1 (worst) to T, ties averaged; larger is better.

    Source: Lee & Ham, "AZ-NAS", CVPR 2024, eq. 9; also VKDNW_agg of Tybl & Neumann, CVPR 2025.

    Args:
        scores: for each proxy the scores of the same T networks, larger is better: negate the others.

    Raises:
        ProxyError: no proxy, columns of different length, or a score that is NaN.
    """
    columns = {name: np.asarray(column, dtype=float) for name, column in scores.items()}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) != 1:
        raise ProxyError(
            f"rank aggregation needs columns of one length, got {lengths}: score all networks by all proxies"
        )
    for name, column in columns.items():
        if np.isnan(column).any():
            raise ProxyError(f"rank aggregation cannot rank NaN, got one in {name!r}: leave failed networks out")
    total: list[float] = np.sum([np.log(rankdata(one) / len(one)) for one in columns.values()], axis=0).tolist()
    return total


def size_correlation(
    scores: Sequence[float], costs: Mapping[str, Sequence[float]], target: Sequence[float] | None = None
) -> dict[str, float]:
    """How much of a score is size: Spearman correlations over T networks, plain and with size held fixed.

    With a `target` (an accuracy, a position in the run), "partial" is the rank correlation of score and target after
    both ranks were freed from a linear part in the ranks of the costs: near 0 means that the score says nothing about
    the target that size does not say.

    Args:
        scores: of the networks, (T,).
        costs: what size is: each named cost of the networks, (T,), such as "params" and "flops".
        target: what the score should tell, (T,).

    Returns:
        By the name of each cost the Spearman correlation of the score with it; "unexplained": the share of the
        score's rank variance that the costs do not explain; with a target also "target" and "partial". A correlation
        with a constant is 0.

    Raises:
        ProxyError: fewer than four networks, or columns of different length.
    """
    columns = [np.asarray(c, dtype=float) for c in (scores, *costs.values(), *([target] if target is not None else []))]
    lengths = [len(column) for column in columns]
    if len(set(lengths)) != 1 or lengths[0] < 4:
        raise ProxyError(f"a partial correlation needs at least 4 networks in columns of one length, got {lengths}")
    score, *further = (rankdata(column) for column in columns)
    size = np.column_stack([np.ones(lengths[0]), *further[: len(costs)]])

    def freed(rank: FloatArray) -> FloatArray:
        rest = np.asarray(rank - size @ np.linalg.lstsq(size, rank, rcond=None)[0], float)
        return rest if np.linalg.norm(rest) > 1e-9 * np.linalg.norm(rank) else np.zeros_like(rest)

    variance = float(np.var(score))
    result = {name: correlation(score, rank) for name, rank in zip(costs, further, strict=False)}
    result["unexplained"] = float(np.var(freed(score))) / variance if variance > 0 else 0.0
    if target is not None:
        result["target"] = correlation(score, further[-1])
        result["partial"] = correlation(freed(score), freed(further[-1]))
    return result


def correlation(a: FloatArray, b: FloatArray) -> float:
    """Pearson's correlation of (T,) and (T,); 0 where either is constant."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / scale if scale > 1e-9 else 0.0


def kendall(predicted: FloatArray, truth: FloatArray) -> float:
    """Kendall's τ-b; 0 for a constant."""
    from scipy.stats import kendalltau

    value = float(kendalltau(predicted, truth).statistic)
    return value if np.isfinite(value) else 0.0


def spearman(predicted: FloatArray, truth: FloatArray) -> float:
    """Spearman's ρ; 0 for a constant."""
    return correlation(rankdata(predicted), rankdata(truth))


def ndcg(predicted: FloatArray, truth: FloatArray, share: float = 1000 / 9445) -> float:
    """Normalized discounted cumulative gain of the best-ranked share of networks, gain 2^accuracy − 1.

    Source: Tybl & Neumann, CVPR 2025, who take the best 1,000 of 9,445, which is the default share. Networks that
    are predicted equal share the mean of their gains, so that their order in a file says nothing (McSherry & Najork,
    "Computing information retrieval performance measures efficiently in the presence of tied scores", ECIR 2008).

    Args:
        predicted: scores (T,), larger is better.
        truth: accuracies (T,) in percent.
        share: of the networks that count, at least one.
    """
    top = max(1, round(share * len(truth)))
    gain = 2 ** (truth / 100) - 1
    discount = 1 / np.log2(np.arange(2, top + 2))
    best = np.sort(gain)[::-1][:top]
    return float(_best_first(predicted, gain)[:top] @ discount / (best @ discount))


def precision(predicted: FloatArray, truth: FloatArray, share: float = 0.1) -> float:
    """Which part of the share of networks that is ranked best is among the truly best share; ties as in `ndcg`."""
    top = max(1, round(share * len(truth)))
    good = (truth >= np.sort(truth)[-top]).astype(float)
    return float(_best_first(predicted, good)[:top].mean())


def _best_first(predicted: FloatArray, gain: FloatArray) -> FloatArray:
    """Gains (T,) in the order of predictions, the best first; what is predicted equal shares the mean."""
    _, place, count = np.unique(-predicted, return_inverse=True, return_counts=True)
    ordered: FloatArray = np.repeat(np.bincount(place, gain) / count, count)
    return ordered


def kendall_within(predicted: FloatArray, truth: FloatArray, size: FloatArray, share: float = 0.1) -> float:
    """Kendall's τ-b over the pairs of networks whose sizes differ by at most a share; 0 where there is no such pair.

    Args:
        predicted: scores (T,), larger is better.
        truth: accuracies (T,).
        size: of the networks (T,), such as parameters.
        share: of the smaller of two sizes.
    """
    order = np.argsort(size, kind="stable")
    predicted, truth, size = predicted[order], truth[order], size[order]
    places = np.arange(len(size))
    partners = np.searchsorted(size, size * (1 + share), "right") - places - 1
    first = np.repeat(places, partners)
    second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(partners) - partners, partners)
    a, b = np.sign(predicted[first] - predicted[second]), np.sign(truth[first] - truth[second])
    untied = np.sqrt(np.abs(a).sum() * np.abs(b).sum())
    return float(a @ b / untied) if untied else 0.0


def reachable(agreement: float) -> float:
    """The τ of a perfect score with one noisy measurement, where two measurements agree with τ; 0 where that is less.

    For normal values τ = 2/π asin ρ (Greiner, 1909), and the correlation with the truth is the root of the reliability
    (Spearman, American Journal of Psychology 1904).
    """
    return float(2 / np.pi * np.arcsin(np.sqrt(max(0.0, np.sin(np.pi / 2 * agreement)))))


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with a 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def bootstrapped(measure: Callable[[IntArray], float], count: int, *, draws: int = 1000, seed: int = 0) -> Interval:
    """A measure of T networks, and its 95 % percentile interval over resampled ones.

    Args:
        measure: of networks by their indices, some of them several times; everything that depends on the sample, such
            as ranks within it, is computed inside.
        count: T.
        draws: bootstrap samples.
        seed: of the samples; equal seeds give equal samples, so that two measures are compared on the same ones.
    """
    picks = np.random.default_rng(seed).integers(count, size=(draws, count))
    drawn = [measure(pick) for pick in picks]
    low, high = np.percentile(drawn, [2.5, 97.5]) if draws else (np.nan, np.nan)
    return Interval(measure(np.arange(count)), float(low), float(high))
