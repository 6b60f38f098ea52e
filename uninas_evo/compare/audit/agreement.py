"""How scores rank networks whose accuracy is known, and how well any score could."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from uninas_evo.compare.audit.known import Known
from uninas_evo.compare.audit.scores import Scores
from uninas_evo.contracts import Goal
from uninas_evo.errors import ProxyError
from uninas_evo.mistakes import nearest
from uninas_evo.proxies import registry as proxies_by_name
from uninas_evo.proxies.registry import AGGREGATES, find, parts_of
from uninas_evo.stats.fronts import FloatArray, IntArray
from uninas_evo.stats.ranks import (
    Interval,
    bootstrapped,
    kendall,
    kendall_within,
    ndcg,
    precision,
    rank_aggregate,
    reachable,
    size_correlation,
    spearman,
)

BAND = 0.1
"""Networks within a tenth of each other's parameters are of one size."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a score ranks T networks against their accuracy.

    Attributes:
        proxy: its name.
        networks: T.
        failures: how many it could not score.
        kendall: τ-b.
        spearman: ρ.
        ndcg: see `stats.ranks.ndcg`.
        precision: which part of the tenth ranked best is among the best tenth.
        within: τ-b over pairs of networks whose parameters differ by a tenth at most.
        partial: ρ with parameters and FLOPs held fixed.
        seconds: a network, where that is known.
    """

    proxy: str
    networks: int
    failures: int
    kendall: Interval
    spearman: Interval
    ndcg: Interval
    precision: Interval
    within: Interval
    partial: Interval
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What the noise of one training lets a score reach.

    Attributes:
        networks: those that were trained several times.
        deviation: of one training, in percent points, pooled over them.
        kendall: τ-b between two trainings.
        reachable: τ of a score that knew what each network reaches in the mean (see `stats.ranks.reachable`).
    """

    networks: int
    deviation: float
    kendall: Interval
    reachable: Interval


def scored(known: Known, names: Sequence[str], compute: Callable[[Sequence[str]], Scores]) -> Scores:
    """The scores of networks: what their table holds is taken from there, the rest is computed.

    Args:
        known: the networks.
        names: of proxies, aggregates and columns.
        compute: gives the scores of proxies.

    Raises:
        ProxyError: a name is neither a proxy nor a column.
    """
    parts = _parts(names, known.bank.columns)
    missing = [part for part in parts if part not in known.bank.columns]
    scores = compute(missing) if missing else {text: {} for text in known.bank.genomes}
    for part in parts:
        if part not in missing:
            for text, value in zip(known.bank.genomes, known.bank.columns[part].tolist(), strict=True):
                scores[text][part] = value if np.isfinite(value) else None
    return scores


def agreements(
    scores: Mapping[str, Mapping[str, float | None]],
    known: Known,
    names: Sequence[str],
    *,
    seconds: Mapping[str, float] | None = None,
    seed: int = 0,
    draws: int = 1000,
) -> list[Agreement]:
    """How each score agrees with the accuracies, with bootstrap intervals over networks.

    A failed network gets the worst rank. Aggregates are ranked anew among the networks of each bootstrap sample.

    Args:
        scores: for each network its values, as `scored` gave them.
        known: the networks.
        names: of proxies, aggregates and columns.
        seconds: that a network's score took, by name.
        seed: of the bootstrap.
        draws: bootstrap samples.
    """
    truth, params, flops = known.accuracy, known.cost("params"), known.cost("flops")

    def freed(predicted: FloatArray, truth: FloatArray, params: FloatArray, flops: FloatArray) -> float:
        costs = {"params": params.tolist(), "flops": flops.tolist()}
        return size_correlation(predicted.tolist(), costs, truth.tolist())["partial"]

    measures: list[tuple[Callable[..., float], tuple[FloatArray, ...]]] = [
        (kendall, (truth,)),
        (spearman, (truth,)),
        (ndcg, (truth,)),
        (precision, (truth,)),
        (partial(kendall_within, share=BAND), (truth, params)),
        (freed, (truth, params, flops)),
    ]
    result = []
    for name in names:
        columns = _columns(scores, name)
        tau, rho, gain, tenth, within, freed_of_size = (
            bootstrapped(partial(_agreement, measure, columns, others), len(truth), draws=draws, seed=seed)
            for measure, others in measures
        )
        took = [(seconds or {}).get(part) for part in columns]
        spent = sum(one for one in took if one is not None) if any(one is not None for one in took) else None
        failures = ranking(scores, name)[1]
        result.append(Agreement(name, len(truth), failures, tau, rho, gain, tenth, within, freed_of_size, spent))
    return result


def ceiling(known: Known, *, seed: int = 0, draws: int = 1000) -> Ceiling | None:
    """What the noise of training lets a score reach; None where fewer than four networks were trained twice."""
    trained = known.trainings
    twice = np.flatnonzero(np.isfinite(trained).sum(0) > 1)
    if len(twice) < 4:
        return None
    trained = trained[:, twice]

    def between(pick: IntArray) -> float:
        """The mean τ of two trainings."""
        both = [trained[:, pick][:, np.isfinite(trained[[a, b]][:, pick]).all(0)][[a, b]] for a, b in pairs]
        return float(np.mean([kendall(first, second) for first, second in both if len(first) > 1] or [0.0]))

    pairs = list(itertools.combinations(range(len(trained)), 2))
    measured = [column[np.isfinite(column)] for column in trained.T]
    variance = sum(float(np.var(one)) * len(one) for one in measured) / sum(len(one) - 1 for one in measured)
    agree = bootstrapped(between, len(twice), draws=draws, seed=seed)
    bounds = Interval(*(reachable(value) for value in (agree.value, agree.low, agree.high)))
    return Ceiling(len(twice), variance**0.5, agree, bounds)


def ranking(scores: Mapping[str, Mapping[str, float | None]], name: str) -> tuple[FloatArray, int]:
    """A score's or aggregate's values over networks, larger is better, failures below all; and their count."""
    columns = _columns(scores, name)
    failed = sum(any(values[part] is None for part in columns) for values in scores.values())
    return _predicted(columns, np.arange(len(scores))), failed


def _agreement(
    measure: Callable[..., float], columns: Mapping[str, FloatArray], others: Sequence[FloatArray], pick: IntArray
) -> float:
    """A measure of agreement over some networks."""
    return measure(_predicted(columns, pick), *(other[pick] for other in others))


def _parts(names: Sequence[str], columns: Mapping[str, Any]) -> list[str]:
    """The columns and proxies behind names, each once; an aggregate stands for its parts."""
    known = {*columns, *proxies_by_name.names(), *AGGREGATES}
    for name in names:
        if name not in known:
            raise ProxyError(
                f"there is no score {name!r}: it must be a proxy, an aggregate, or a column of the bank; choose among "
                f"{', '.join(sorted(known))}{nearest(name, sorted(known))}"
            )
    return list(dict.fromkeys(part for name in names for part in ([name] if name in columns else parts_of([name]))))


def _goal(name: str) -> Goal:
    """Which way a score is better; of a column that is no proxy's, as its scorer has it, else larger."""
    if name in proxies_by_name.names():
        return find(name).goal
    if name.startswith("early_loss"):
        return "minimize"
    return "maximize"


def _columns(scores: Mapping[str, Mapping[str, float | None]], name: str) -> dict[str, FloatArray]:
    """The values of a score, or of each part of an aggregate: larger is better, failures are the worst."""
    columns = {}
    for part in _parts([name], next(iter(scores.values()))):
        sign = 1.0 if _goal(part) == "maximize" else -1.0
        raw = [values[part] for values in scores.values()]
        signed = np.array([np.nan if value is None else sign * value for value in raw])
        worst = -1.0 if np.isnan(signed).all() else float(np.nanmin(signed)) - 1
        columns[part] = np.where(np.isnan(signed), worst, signed)
    return columns


def _predicted(columns: Mapping[str, FloatArray], pick: IntArray) -> FloatArray:
    """The values of some networks; parts of an aggregate are ranked among just these."""
    if len(columns) == 1:
        values: FloatArray = next(iter(columns.values()))[pick]
        return values
    return np.array(rank_aggregate({part: column[pick].tolist() for part, column in columns.items()}))
