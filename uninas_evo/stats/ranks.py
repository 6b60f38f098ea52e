"""Rank statistics over a population: aggregation of several proxies, and "is it only size?"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import rankdata

from uninas_evo.errors import ProxyError


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
    total: list[float] = sum(np.log(rankdata(column) / len(column)) for column in columns.values()).tolist()
    return total


def size_correlation(
    scores: Sequence[float], params: Sequence[float], flops: Sequence[float], target: Sequence[float] | None = None
) -> dict[str, float]:
    """How much of a score is size: Spearman correlations over T networks, plain and with size held fixed.

    With a `target` (an accuracy, a position in the run), "partial" is the rank correlation of score and target after
    both ranks were freed from a linear part in the ranks of params and FLOPs: near 0 means that the score says
    nothing about the target that size does not say.

    Returns:
        "params" and "flops": Spearman correlation of the score with each; "unexplained": the share of the score's
        rank variance that the two do not explain; with a target also "target" and "partial". A correlation with a
        constant is 0.

    Raises:
        ProxyError: fewer than four networks, or columns of different length.
    """
    columns = [np.asarray(c, dtype=float) for c in (scores, params, flops, *([target] if target is not None else []))]
    lengths = [len(column) for column in columns]
    if len(set(lengths)) != 1 or lengths[0] < 4:
        raise ProxyError(f"a partial correlation needs at least 4 networks in columns of one length, got {lengths}")
    ranks = [rankdata(column) for column in columns]
    size = np.column_stack([np.ones(lengths[0]), ranks[1], ranks[2]])
    residual = [rank - size @ np.linalg.lstsq(size, rank, rcond=None)[0] for rank in ranks]
    variance = float(np.var(ranks[0]))
    result = {
        "params": _correlation(ranks[0], ranks[1]),
        "flops": _correlation(ranks[0], ranks[2]),
        "unexplained": float(np.var(residual[0])) / variance if variance > 0 else 0.0,
    }
    if target is not None:
        result["target"] = _correlation(ranks[0], ranks[3])
        result["partial"] = _correlation(residual[0], residual[3])
    return result


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson correlation; 0 where either is constant."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / scale if scale > 1e-9 else 0.0
