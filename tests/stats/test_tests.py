"""The numbers of a comparison, against hand-worked examples and brute force."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from uninas_evo.stats import tests as stats

NAN = float("nan")


def test_best_so_far_keeps_the_best_and_skips_failures():
    """A failed evaluation never changes the best; nothing is best before the first success."""
    values = np.array([NAN, 2.0, 1.0, NAN, 3.0])
    np.testing.assert_array_equal(stats.best_so_far(values, "maximize"), [NAN, 2, 2, 2, 3])
    np.testing.assert_array_equal(stats.best_so_far(values, "minimize"), [NAN, 2, 1, 1, 1])


def test_padding_holds_the_last_value_and_cuts():
    """A run that ended early keeps its best until the end; a longer one is cut."""
    np.testing.assert_array_equal(stats.padded(np.array([1.0, 2.0]), 4), [1, 2, 2, 2])
    np.testing.assert_array_equal(stats.padded(np.array([1.0, 2.0]), 1), [1])
    np.testing.assert_array_equal(stats.padded(np.array([]), 2), [NAN, NAN])


def test_anytime_gives_median_and_ninety_percent_band():
    """Of 1..20 the 5 %, 50 % and 95 % values are 1, 10.5 and 19; minimizing mirrors the band."""
    curves = np.arange(1.0, 21.0)[:, None]
    up = stats.anytime(curves)
    assert (up.low[0], up.median[0], up.high[0]) == (1, 10.5, 19)
    down = stats.anytime(curves, "minimize")
    assert (down.low[0], down.median[0], down.high[0]) == (2, 10.5, 20)


def test_anytime_counts_a_seed_without_a_value_as_the_worst():
    """Two of three seeds without a value: the median does not exist yet, the upper band does."""
    curve = stats.anytime(np.array([[NAN], [NAN], [5.0]]))
    assert np.isnan(curve.median[0])
    assert np.isnan(curve.low[0])
    assert curve.high[0] == 5


def test_evaluations_until_counts_from_one():
    """The evaluation that reaches the target counts; never is infinite."""
    curves = np.array([[1.0, 2.0, 2.0], [2.0, 2.0, 2.0], [0.0, 1.0, 1.0]])
    np.testing.assert_array_equal(stats.evaluations_until(curves, 2.0), [2, 1, np.inf])
    np.testing.assert_array_equal(stats.evaluations_until(-curves, -2.0, "minimize"), [2, 1, np.inf])


def test_mean_interval_is_reproducible_and_covers_its_mean():
    """The interval surrounds the mean, is the same every time, and needs two seeds."""
    values = np.random.default_rng(1).normal(10, 1, 50)
    mean, low, high = stats.mean_interval(values)
    assert stats.mean_interval(values) == (mean, low, high)
    assert mean == pytest.approx(values.mean())
    error = values.std(ddof=1) / np.sqrt(50)
    assert (low, high) == pytest.approx((mean - 1.96 * error, mean + 1.96 * error), abs=0.3 * error)
    assert stats.mean_interval(np.full(5, 3.0)) == (3.0, 3.0, 3.0)
    assert np.isnan(stats.mean_interval(np.array([3.0]))).tolist() == [False, True, True]
    assert np.isnan(stats.mean_interval(np.array([3.0, 3.0, NAN]))).all()


def test_ranks_average_over_seeds_and_failures_rank_last():
    """Ties share their ranks, rank 1 is best, NaN is worst."""
    finals = np.array([[3.0, 1.0, 1.0], [2.0, 1.0, 2.0], [1.0, 1.0, NAN]])
    np.testing.assert_allclose(stats.ranks(finals, "maximize"), [(1 + 2 + 2) / 3, (2 + 2 + 1) / 3, 8 / 3])
    np.testing.assert_allclose(stats.ranks(finals, "minimize"), [(3 + 2 + 1) / 3, (2 + 2 + 2) / 3, 2.0])


def test_a_failed_run_counts_as_the_worst():
    """Failing does not pay: leaving failed seeds out made the mean better and hid the losses from the test."""
    steady, risky = np.array([2.0, 2.0, 2.0, 2.0, 1.0, 2.0]), np.array([3.0, NAN, NAN, NAN, NAN, NAN])
    rows = {row.name: row for row in stats.summaries({"steady": steady, "risky": risky}, "maximize")}
    assert rows["risky"].mean == pytest.approx((3 + 5 * 1) / 6)
    assert rows["risky"].mean < rows["steady"].mean
    assert rows["risky"].median == 1.0
    (pair,) = stats.compare_pairs({"steady": steady, "risky": risky}, "maximize")
    assert (pair.better, pair.equal, pair.worse) == (5, 0, 1)
    assert pair.p == wilcoxon([9, 9, 9, 9, 9, -1]).pvalue
    minimized = {row.name: row for row in stats.summaries({"steady": steady, "risky": -risky}, "minimize")}
    assert minimized["risky"].median == 2.0
    assert np.isnan(stats.filled({"none": np.array([NAN])}, "maximize")["none"][0])


def test_wilcoxon_agrees_with_scipy_and_survives_ties():
    """The p is scipy's; identical runs give 1, and so do runs that failed together."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=20), rng.normal(0.5, size=20)
    assert stats.wilcoxon_p(a, b) == pytest.approx(wilcoxon(a, b).pvalue, rel=1e-12)
    assert stats.wilcoxon_p(a, a) == 1.0
    assert stats.wilcoxon_p(np.array([NAN, NAN]), np.array([NAN, NAN])) == 1.0
    assert stats.wilcoxon_p(np.arange(1.0, 6.0), np.zeros(5)) == 2 / 2**5


@pytest.mark.parametrize("count", [15, 25])
def test_rounding_does_not_decide_a_test(count):
    """0.8 - 0.7 and 0.2 - 0.1 are one size, and 0.3 is 0.1 + 0.2: the last digit of a float is no evidence."""
    a, b = np.repeat([0.8, 0.1], count), np.repeat([0.7, 0.2], count)
    assert stats.wilcoxon_p(a, b) == 1.0
    x, y = np.full(10, 0.3), np.full(10, 0.1 + 0.2)
    (pair,) = stats.compare_pairs({"x": x, "y": y}, "maximize")
    assert (pair.better, pair.equal, pair.worse, pair.p, pair.a12) == (0, 10, 0, 1.0, 0.5)


def test_the_least_p_is_what_winning_every_seed_gives():
    """With S seeds nothing can lie below 2 / 2^S, times the pairs that are tested together."""
    assert stats.least_p(5) == stats.wilcoxon_p(np.arange(1.0, 6.0), np.zeros(5))
    assert stats.least_p(5, 4) == 0.25
    assert stats.least_p(1, 3) == 1.0


def test_holm_matches_a_worked_example():
    """0.01, 0.04, 0.03, 0.005 become 0.03, 0.06, 0.06, 0.02 (factors 4, 3, 2, 1, made monotone)."""
    np.testing.assert_allclose(stats.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(stats.holm([0.9, 0.8]), [1.0, 1.0])
    assert len(stats.holm([])) == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_raw_and_bonferroni_and_keeps_the_order(p):
    """Corrected p values are never below the raw ones, never above Bonferroni's, and order-preserving."""
    corrected = stats.holm(p)
    assert all(raw <= c + 1e-12 and c <= min(1, len(p) * raw) + 1e-12 for raw, c in zip(p, corrected, strict=True))
    for i, j in itertools.combinations(range(len(p)), 2):
        if p[i] < p[j]:
            assert corrected[i] <= corrected[j]


def test_a12_counts_wins_and_half_ties():
    """Of 2 x 2 comparisons of (1, 2) with (1, 0), three are won and one is a tie: 3.5 / 4."""
    assert stats.a12(np.array([1.0, 2.0]), np.array([1.0, 0.0])) == 3.5 / 4
    assert stats.a12(np.array([1.0, 2.0]), np.array([1.0, 0.0]), "minimize") == 0.5 / 4
    assert stats.a12(np.array([NAN]), np.array([-9.0])) == 0.0


@given(st.lists(st.integers(0, 5), min_size=1, max_size=9), st.lists(st.integers(0, 5), min_size=1, max_size=9))
def test_a12_is_symmetric(a, b):
    """a12(a, b) + a12(b, a) = 1."""
    x, y = np.array(a, float), np.array(b, float)
    assert stats.a12(x, y) + stats.a12(y, x) == pytest.approx(1)


def test_pairs_count_seeds_and_correct_only_what_was_tested():
    """Wins, ties and losses are per seed; Holm's family is the list of pairs."""
    finals = {
        "good": np.array([3.0, 3.0, 3.0, 0.0, 2.0]),
        "base": np.array([1.0, 1.0, 2.0, 1.0, 2.0]),
        "other": np.array([1.0, 1.0, 2.0, 1.0, 2.0]),
    }
    (pair,) = stats.compare_pairs(finals, "maximize", [("good", "base")])
    assert (pair.better, pair.equal, pair.worse) == (3, 1, 1)
    assert pair.p == pair.p_holm
    turned = stats.compare_pairs(finals, "minimize", [("good", "base")])[0]
    assert (turned.better, turned.worse, turned.a12) == (1, 3, pytest.approx(1 - pair.a12))
    everything = stats.compare_pairs(finals, "maximize")
    assert [(p.a, p.b) for p in everything] == [("good", "base"), ("good", "other"), ("base", "other")]
    assert everything[0].p_holm == pytest.approx(min(1, 3 * everything[0].p))


def test_summaries_put_the_best_rank_first():
    """Rows are sorted by mean rank, and hold the mean and median of their finals."""
    rows = stats.summaries({"low": np.array([1.0, 2.0]), "high": np.array([3.0, 6.0])}, "maximize")
    assert [(r.name, r.mean, r.median, r.rank) for r in rows] == [("high", 4.5, 4.5, 1), ("low", 1.5, 1.5, 2)]


def test_the_interval_of_two_shares_is_newcombes() -> None:
    """Contrast (c) of his paper by method 10, and no point where everything and nothing succeeded."""
    assert stats.proportions_interval(0.9, 0.3, 10) == pytest.approx((0.1705, 0.8090), abs=5e-5)
    low, high = stats.proportions_interval(1.0, 0.0, 10)
    assert 0.5 < low < 0.7
    assert high == 1
