"""Rank aggregation and the question whether a score is only size."""

from __future__ import annotations

import math

import numpy as np
import pytest

from uninas_evo.errors import ProxyError
from uninas_evo.proxies import AGGREGATES, PROXIES, aggregate, rank_aggregate, size_correlation
from uninas_evo.stats.fronts import IntArray
from uninas_evo.stats.ranks import (
    bootstrapped,
    kendall,
    kendall_within,
    ndcg,
    precision,
    rankdata,
    reachable,
    spearman,
)


@pytest.mark.parametrize("levels", [1, 3, 1000])
def test_ranks_are_scipys(levels: int) -> None:
    """With many ties, few and none; infinities are ranked too."""
    from scipy.stats import rankdata as known

    values = np.random.default_rng(levels).integers(levels, size=50).astype(float)
    values[3] = np.inf
    assert rankdata(values).tolist() == known(values).tolist()


def test_rank_aggregate_by_hand() -> None:
    """Σ log(rank / T), ties share their mean rank; scales of the scores do not matter."""
    total = rank_aggregate({"a": [1, 2, 3], "b": [1e9, 5, 5]})
    expected = [
        math.log(1 / 3) + math.log(3 / 3),
        math.log(2 / 3) + math.log(1.5 / 3),
        math.log(1) + math.log(1.5 / 3),
    ]
    assert total == pytest.approx(expected)


def test_rank_aggregate_refuses_what_it_cannot_rank() -> None:
    """Columns of different length and NaN raise."""
    with pytest.raises(ProxyError, match=r"one length, got \{'a': 1, 'b': 2\}"):
        rank_aggregate({"a": [1], "b": [1, 2]})
    with pytest.raises(ProxyError, match="cannot rank NaN, got one in 'b'"):
        rank_aggregate({"a": [1, 2], "b": [1, float("nan")]})


def test_aggregate_knows_goals_and_parts() -> None:
    """An aggregate ranks its parts, the minimized ones negated."""
    scores = {"te_regions": [1.0, 2.0, 3.0], "te_ntk": [30.0, 20.0, 10.0]}
    assert aggregate(["te"], scores) == pytest.approx([2 * math.log(k / 3) for k in (1, 2, 3)])
    with pytest.raises(ProxyError, match=r"scores of \['te_ntk'\] are missing"):
        aggregate(["te"], {"te_regions": [1.0]})


def test_aggregates_are_made_of_proxies() -> None:
    """Every part exists."""
    assert {part for parts in AGGREGATES.values() for part in parts} <= set(PROXIES)


def test_a_score_that_is_size_has_no_partial_correlation() -> None:
    """A monotone function of params and FLOPs is explained by them; an independent part is not."""
    rng = np.random.default_rng(0)
    params, shape = rng.normal(size=300), rng.normal(size=300)
    flops = params + 0.1 * rng.normal(size=300)
    accuracy = params + shape
    costs = {"params": params.tolist(), "flops": flops.tolist()}
    size = size_correlation(np.exp(params).tolist(), costs, accuracy.tolist())
    assert size["params"] == pytest.approx(1)
    assert size["unexplained"] == pytest.approx(0, abs=1e-9)
    assert size["partial"] == 0
    assert size["target"] > 0.6
    both = size_correlation((params + shape).tolist(), costs, accuracy.tolist())
    assert both["partial"] > 0.9
    assert 0.2 < both["unexplained"] < 0.8


def test_size_correlation_of_constants_and_few() -> None:
    """A constant score correlates with nothing; three networks are too few."""
    constant = size_correlation([1.0] * 5, {"params": list(range(5)), "latency_ms": list(range(5))})
    assert constant == {"params": 0, "latency_ms": 0, "unexplained": 0}
    with pytest.raises(ProxyError, match=r"at least 4 networks .* got \[3, 3, 3\]"):
        size_correlation([1, 2, 3], {"params": [1, 2, 3], "flops": [1, 2, 3]})


def test_agreement_of_perfect_and_reversed_scores() -> None:
    """The right order gives 1 for all measures, the reversed one −1; a constant gives 0."""
    truth = np.linspace(10, 95, 40)
    assert (kendall(truth, truth), ndcg(truth, truth)) == (1, 1)
    assert spearman(truth, truth) == pytest.approx(1)
    assert kendall(-truth, truth) == pytest.approx(-1)
    assert spearman(-truth, truth) == pytest.approx(-1)
    assert ndcg(-truth, truth) < 0.3
    assert kendall(truth * 0, truth) == spearman(truth * 0, truth) == 0


def test_ndcg_by_hand() -> None:
    """Gains 2^accuracy − 1, discounted by log2 of the place plus one, over the best order; equals share their gains."""
    gains = [2**0.5 - 1, 2**1.0 - 1]
    best = gains[1] + gains[0] / np.log2(3)
    expected = (gains[0] + gains[1] / np.log2(3)) / best
    truth = np.array([50.0, 100.0])
    assert ndcg(np.array([2.0, 1.0]), truth, share=1) == pytest.approx(expected)
    tied = sum(gains) / 2 * (1 + 1 / np.log2(3)) / best
    assert ndcg(np.zeros(2), truth, share=1) == pytest.approx(tied) == ndcg(np.zeros(2), truth[::-1], share=1)


def test_a_bootstrap_measures_each_sample_anew() -> None:
    """The measure gets the sample's own networks, repeated ones included; equal seeds draw equal samples."""
    seen = []

    def measure(pick: np.ndarray) -> float:
        seen.append(pick.tolist())
        return float(np.mean(pick))

    found = bootstrapped(measure, 6, draws=3, seed=1)
    assert found.value == 2.5
    assert [len(pick) for pick in seen] == [6] * 4
    assert any(len(set(pick)) < 6 for pick in seen[:3])
    assert bootstrapped(measure, 6, draws=3, seed=1) == found


def test_precision_by_hand() -> None:
    """Of the best-ranked networks the share that is best; a constant score expects what chance has."""
    truth = np.arange(20.0)
    assert precision(truth, truth, share=0.1) == 1
    assert precision(np.where(truth == 19, -1.0, truth), truth, share=0.1) == 0.5
    assert precision(np.zeros(20), truth, share=0.1) == pytest.approx(0.1)


def test_tau_of_one_size_by_hand() -> None:
    """Only pairs of nearly one size count: all of them make τ, and none makes 0."""
    rng = np.random.default_rng(0)
    score, truth, size = rng.integers(8, size=40).astype(float), rng.normal(size=40), rng.uniform(1, 3, 40)
    signs = [
        (np.sign(score[i] - score[j]), np.sign(truth[i] - truth[j]))
        for i in range(40)
        for j in range(i)
        if max(size[i], size[j]) <= 1.1 * min(size[i], size[j])
    ]
    a, b = np.array(signs).T
    assert kendall_within(score, truth, size, 0.1) == pytest.approx(a @ b / np.sqrt((a != 0).sum() * (b != 0).sum()))
    assert kendall_within(score, truth, size, 9) == pytest.approx(kendall(score, truth))
    assert kendall_within(score, truth, 2.0 ** np.arange(40), 0.1) == 0


def test_sizes_that_differ_by_just_the_share_are_of_one_size() -> None:
    """The bound belongs to the band."""
    assert kendall_within(np.array([1.0, 2.0]), np.array([1.0, 2.0]), np.array([100.0, 150.0]), 0.5) == 1


def test_bootstrapped_intervals_hold_95_percent() -> None:
    """Of the draws, in the middle."""
    drawn: list[float] = []

    def measure(pick: IntArray) -> float:
        drawn.append(float(pick.sum()))
        return drawn[-1]

    found = bootstrapped(measure, 50, draws=999)
    outside = sum(value < found.low for value in drawn[:-1]), sum(value > found.high for value in drawn[:-1])
    assert all(20 <= count <= 25 for count in outside)


def test_size_leaves_nothing_of_itself() -> None:
    """A cost's own rank, freed of it, is nothing, and no rounding error stands for knowledge."""
    rng = np.random.default_rng(0)
    params, target = rng.normal(size=300).tolist(), rng.normal(size=300).tolist()
    assert size_correlation(params, {"params": params}, target)["partial"] == 0


def test_what_noise_lets_a_score_reach() -> None:
    """As simulated for normal values; trainings that do not agree let nothing be known."""
    rng = np.random.default_rng(0)
    mean = rng.normal(size=4000)
    first, second = mean + rng.normal(size=4000), mean + rng.normal(size=4000)
    assert reachable(kendall(first, second)) == pytest.approx(kendall(mean, first), abs=0.02)
    assert (reachable(1.0), reachable(-0.2)) == (1.0, 0.0)
