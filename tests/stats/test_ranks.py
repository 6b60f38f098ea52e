"""Rank aggregation and the question whether a score is only size."""

from __future__ import annotations

import math

import numpy as np
import pytest

from uninas_evo.errors import ProxyError
from uninas_evo.proxies import AGGREGATES, PROXIES, aggregate, rank_aggregate, size_correlation


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
    size = size_correlation(np.exp(params).tolist(), params.tolist(), flops.tolist(), accuracy.tolist())
    assert size["params"] == pytest.approx(1)
    assert size["unexplained"] == pytest.approx(0, abs=1e-9)
    assert size["partial"] == 0
    assert size["target"] > 0.6
    both = size_correlation((params + shape).tolist(), params.tolist(), flops.tolist(), accuracy.tolist())
    assert both["partial"] > 0.9
    assert 0.2 < both["unexplained"] < 0.8


def test_size_correlation_of_constants_and_few() -> None:
    """A constant score correlates with nothing; three networks are too few."""
    constant = size_correlation([1.0] * 5, list(range(5)), list(range(5)))
    assert constant == {"params": 0, "flops": 0, "unexplained": 0}
    with pytest.raises(ProxyError, match=r"at least 4 networks .* got \[3, 3, 3\]"):
        size_correlation([1, 2, 3], [1, 2, 3], [1, 2, 3])
