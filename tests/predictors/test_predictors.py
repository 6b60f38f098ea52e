"""Predictors: what they learn, what they refuse, and that their intervals hold."""

from __future__ import annotations

import numpy as np
import pytest

from uninas_evo.errors import PredictorError
from uninas_evo.predictors import PREDICTORS, Conformal, Features, GaussianProcess, Ridge, models

every = pytest.mark.parametrize("name", PREDICTORS)


def table(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Six features, of which three matter, one through a product; values around 90 with noise."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, 6)) * [1, 100, 0.01, 1, 1, 0] + 5
    x = (features - 5) / [1, 100, 0.01, 1, 1, 1]
    return features, 90 + 2 * x[:, 0] + x[:, 1] - x[:, 2] + 0.5 * x[:, 0] * x[:, 1] + 0.1 * rng.normal(size=count)


@every
def test_it_ranks_what_it_has_not_seen(name: str) -> None:
    """Unseen values are ranked well, in their own unit, with a deviation that is positive somewhere."""
    features, values = table(120)
    unseen, truth = table(60, seed=1)
    model = PREDICTORS[name]()
    model.fit(features, values, seed=0)
    mean, deviation = model.predict(unseen)
    assert np.corrcoef(mean, truth)[0, 1] > 0.8
    assert abs(float(np.mean(mean)) - 90) < 2
    assert mean.shape == deviation.shape == (60,)
    assert (deviation >= 0).all()
    assert deviation.max() > 0


@every
def test_the_seed_fixes_it(name: str) -> None:
    """Fitted twice, it says the same; global generators are left alone."""
    features, values = table(30)
    before = np.random.get_state()[1].copy()
    models = [PREDICTORS[name](), PREDICTORS[name]()]
    for model in models:
        model.fit(features, values, seed=3)
    assert np.array_equal(*[model.predict(features)[0] for model in models])
    assert np.array_equal(before, np.random.get_state()[1])


def test_what_cannot_be_learned_is_refused() -> None:
    """NaN, lengths that differ, one row, and predictions before a fit."""
    features, values = table(10)
    for wrong in ((features, values[:-1]), (features * np.nan, values), (features[:1], values[:1])):
        with pytest.raises(PredictorError, match="leave failed genomes out"):
            Ridge().fit(*wrong, seed=0)
    with pytest.raises(PredictorError, match=r"call fit\(features, values, seed=...\) first"):
        Ridge().predict(features)


def test_features_are_columns_in_one_order() -> None:
    """Counts that are missing are 0, scores become ranks, and what never varies is left out."""
    known = [{"gelu": 2, "score": 1e9, "same": 1}, {"score": -3.0, "same": 1}, {"gelu": 1, "score": 5.0, "same": 1}]
    features = Features(known, ranked=["score"])
    assert features.names == ["gelu", "score"]
    assert features.rows(known).tolist() == [[2, 5 / 6], [0, 1 / 6], [1, 0.5]]
    new = features.rows([{"gelu": 7, "score": 1e12, "unknown": 4}, {"score": float("nan")}])
    assert new.tolist() == [[7, 1], [0, 0.5]]
    with pytest.raises(PredictorError, match="2 genomes with 1 features that are all the same"):
        Features([{"a": 1.0}, {"a": 1.0}])


def test_conformal_is_cv_plus() -> None:
    """Its bounds are the order statistics of out-of-fold predictions plus and minus residuals, restated one by one."""
    features, values = table(12)
    one = Conformal(Ridge, coverage=0.8, folds=12)
    one.fit(features, values, seed=0)
    query = features[:1] + 0.1
    low, high = [], []
    for left_out in range(12):
        rest = np.arange(12) != left_out
        model = Ridge()
        model.fit(features[rest], values[rest], seed=0)
        residual = abs(values[left_out] - model.predict(features[left_out : left_out + 1])[0][0])
        mean = model.predict(query)[0][0]
        low.append(mean - residual)
        high.append(mean + residual)
    rank = int(np.ceil(0.8 * 13))
    found = one.predict(query)
    assert found.high[0] == pytest.approx(sorted(high)[rank - 1], rel=1e-6)
    assert found.low[0] == pytest.approx(sorted(low, reverse=True)[rank - 1], rel=1e-6)


def test_intervals_cover_at_their_rate() -> None:
    """Over 20 draws of 60 known and 200 unseen values, 90 % intervals hold 90 % ± 3 of the truth."""
    covered = []
    for seed in range(20):
        one = Conformal(Ridge)
        one.fit(*table(60, seed), seed=seed)
        unseen, truth = table(200, 1000 + seed)
        intervals = one.predict(unseen)
        covered.append(intervals.coverage(truth))
        assert intervals.width > 0
    assert abs(float(np.mean(covered)) - 0.9) < 0.03


def test_intervals_need_something_to_learn_from() -> None:
    """Too few values, and a coverage that is no share."""
    with pytest.raises(PredictorError, match="at least four values to learn from, got 3"):
        Conformal(Ridge).fit(*table(3), seed=0)
    with pytest.raises(PredictorError, match="a share between 0 and 1, got 90"):
        Conformal(Ridge, coverage=90)


def test_a_gaussian_process_knows_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond what its kernel is learned from, rows are conditioned on: it predicts better than from those alone."""
    features, values = table(200)
    unseen, truth = table(100, seed=1)
    errors = []
    for count, learned in ((200, 40), (40, 40)):
        monkeypatch.setattr(models, "LEARNED", learned)
        model = GaussianProcess()
        model.fit(features[:count], values[:count], seed=0)
        errors.append(float(np.abs(model.predict(unseen)[0] - truth).mean()))
    assert errors[0] < 0.7 * errors[1]
