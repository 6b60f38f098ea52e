"""How well proxies rank networks whose accuracy is known: scores of a table's networks, and their agreement."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from torch import nn

from uninas_evo.errors import ProxyError
from uninas_evo.proxies._module import Inputs
from uninas_evo.proxies.registry import AGGREGATES, aggregate, find, parts_of, score

Build = Callable[[str], nn.Module]
"""Builds the network of an architecture's text; sent to other processes, so a module's function."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with a 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a proxy ranks T networks against their accuracy."""

    proxy: str
    networks: int
    failures: int
    kendall: Interval
    spearman: Interval
    ndcg: Interval


def score_networks(
    architectures: Sequence[str],
    build: Build,
    proxies: Sequence[str],
    inputs: Inputs,
    journal: Path,
    workers: int = 1,
) -> dict[str, dict[str, float | None]]:
    """Scores networks by proxies, writing each score down as it comes; called again, it goes on where it was.

    Args:
        architectures: the texts of the networks.
        build: makes a network of a text.
        proxies: names of proxies or aggregates.
        inputs: what they are scored on.
        journal: a JSON Lines file, made or continued: the inputs, then {"architecture", "proxy", "value", "seconds"}.
        workers: processes.

    Returns:
        For each architecture the value of each proxy; None where it failed with a ProxyError.

    Raises:
        ProxyError: the journal was written with other inputs.
    """
    parts = parts_of(proxies)
    values = _read(journal, inputs)
    unscored = [(text, [p for p in parts if p not in values.get(text, {})]) for text in architectures]
    unscored = [(text, missing) for text, missing in unscored if missing]
    with journal.open("a") as file:
        for text, scored in _run(unscored, build, inputs, workers):
            for proxy, (value, seconds) in scored.items():
                line = {"architecture": text, "proxy": proxy, "value": value, "seconds": round(seconds, 4)}
                file.write(json.dumps(line) + "\n")
                values.setdefault(text, {})[proxy] = value
            file.flush()
    return {text: {part: values[text][part] for part in parts} for text in architectures}


def _read(journal: Path, inputs: Inputs) -> dict[str, dict[str, float | None]]:
    """The scores of a journal; writes the head line of a new one. A torn last line is dropped."""
    head = json.dumps({"inputs": asdict(inputs)})
    if not journal.exists() or not journal.read_text():
        journal.parent.mkdir(parents=True, exist_ok=True)
        journal.write_text(head + "\n")
        return {}
    text = journal.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        journal.write_text(whole)
    first, *lines = whole.splitlines()
    if first != head:
        raise ProxyError(
            f"{journal} holds scores of other inputs, and scores are only compared with equal ones: it has {first}, "
            f"asked for {head}; name another folder, or the same inputs"
        )
    values: dict[str, dict[str, float | None]] = {}
    for line in map(json.loads, lines):
        values.setdefault(line["architecture"], {})[line["proxy"]] = line["value"]
    return values


Scored = tuple[str, dict[str, tuple[float | None, float]]]


def _run(unscored: Sequence[tuple[str, Sequence[str]]], build: Build, inputs: Inputs, workers: int) -> Iterator[Scored]:
    if workers == 1 or not unscored:
        yield from (_score_one(text, names, build, inputs) for text, names in unscored)
        return
    from joblib import Parallel, delayed

    with Parallel(workers, return_as="generator_unordered", pre_dispatch="2*n_jobs") as pool:
        yield from pool(delayed(_score_one)(text, names, build, inputs) for text, names in unscored)


def _score_one(text: str, names: Sequence[str], build: Build, inputs: Inputs) -> Scored:
    """The scores and seconds of one network; proxies that share a function share one call."""
    module = build(text)
    scored: dict[str, tuple[float | None, float]] = {}
    for function in dict.fromkeys(find(name).function for name in names):
        together = [name for name in names if find(name).function is function]
        start = time.perf_counter()
        try:
            values: Mapping[str, float | None] = score(module, together, inputs)
        except ProxyError:
            values = dict.fromkeys(together)
        seconds = (time.perf_counter() - start) / len(together)
        scored |= {name: (values[name], seconds) for name in together}
    return text, scored


def agreements(
    scores: Mapping[str, Mapping[str, float | None]],
    accuracies: Mapping[str, float],
    proxies: Sequence[str],
    *,
    seed: int = 0,
    draws: int = 1000,
) -> list[Agreement]:
    """Kendall's τ (b), Spearman's ρ and nDCG of each proxy, with bootstrap intervals over networks.

    A failed network gets the worst rank. Aggregates are ranked within each bootstrap sample's networks once.

    Args:
        scores: for each architecture its values, as `score_networks` gave them.
        accuracies: for each architecture its accuracy in percent.
        proxies: names of proxies or aggregates.
        seed: of the bootstrap.
        draws: bootstrap samples.
    """
    architectures = list(scores)
    truth = np.array([accuracies[text] for text in architectures])
    picks = np.random.default_rng(seed).integers(len(truth), size=(draws, len(truth)))
    result = []
    for name in proxies:
        predicted, failures = ranking(scores, name)
        intervals = []
        for measure in (kendall, spearman, ndcg):
            drawn = [measure(predicted[pick], truth[pick]) for pick in picks]
            low, high = np.nanpercentile(drawn, [2.5, 97.5]) if draws else (np.nan, np.nan)
            intervals.append(Interval(measure(predicted, truth), float(low), float(high)))
        result.append(Agreement(name, len(truth), failures, *intervals))
    return result


def ranking(scores: Mapping[str, Mapping[str, float | None]], name: str) -> tuple[np.ndarray, int]:
    """A proxy's or aggregate's values over networks, larger is better, failures below all; and their count."""
    columns: dict[str, list[float]] = {}
    failed: set[str] = set()
    for part in parts_of([name]):
        sign = 1 if find(part).goal == "maximize" else -1
        raw = {text: values[part] for text, values in scores.items()}
        worst = min((sign * v for v in raw.values() if v is not None), default=0.0) - 1
        failed |= {text for text, value in raw.items() if value is None}
        columns[part] = [sign * (worst if v is None else sign * v) for v in raw.values()]
    values = aggregate([name], columns) if name in AGGREGATES else columns[name]
    sign = 1 if name in AGGREGATES or find(name).goal == "maximize" else -1
    return sign * np.array(values), len(failed)


def kendall(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Kendall's τ-b; 0 for a constant."""
    from scipy.stats import kendalltau

    return _or_zero(kendalltau(predicted, truth).statistic)


def spearman(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Spearman's ρ; 0 for a constant."""
    from scipy.stats import rankdata

    a, b = rankdata(predicted), rankdata(truth)
    a, b = a - a.mean(), b - b.mean()
    return _or_zero(a @ b / np.sqrt((a @ a) * (b @ b) or np.nan))


def ndcg(predicted: np.ndarray, truth: np.ndarray, share: float = 1000 / 9445) -> float:
    """Normalized discounted cumulative gain of the best-ranked share of networks, gain 2^accuracy − 1.

    Source: Tybl & Neumann, CVPR 2025, who take the best 1,000 of 9,445, which is the default share.

    Args:
        predicted: scores (T,), larger is better.
        truth: accuracies (T,) in percent.
        share: of the networks that count, at least one.
    """
    top = max(1, round(share * len(truth)))
    gain = 2 ** (truth / 100) - 1
    discount = 1 / np.log2(np.arange(2, top + 2))
    chosen = gain[np.argsort(-predicted, kind="stable")[:top]]
    best = np.sort(gain)[::-1][:top]
    return float(chosen @ discount / (best @ discount))


def _or_zero(value: float) -> float:
    return float(value) if np.isfinite(value) else 0.0
