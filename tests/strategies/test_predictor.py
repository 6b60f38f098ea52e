"""The strategy `predictor`: what it starts from, when it fits, what it follows."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from strategy_toy import COST, GAIN, BitSpace, drive, good, score

from uninas_evo.contracts import Objective, Result
from uninas_evo.errors import StrategyError
from uninas_evo.spaces.nasbench201.space import OPERATIONS, NASBench201Space
from uninas_evo.strategies.acquisition import ACQUISITIONS
from uninas_evo.strategies.predictor import PredictorSearch


def made(space: Any = None, objectives: Any = (GAIN,), **options: Any) -> PredictorSearch:
    return PredictorSearch(
        space or BitSpace(), objectives, seed=0, **({"predictor": "ridge", "startup": 6, "drafts": 40} | options)
    )


def run_folder(folder: Path, count: int) -> list[str]:
    """A run folder as the engine writes it, with one failure, one cheap result, one repeat and a torn line."""
    space, rng = BitSpace(), random.Random(5)
    folder.mkdir()
    lines, texts = [], []
    for number in range(count):
        genome = space.sample(rng)
        texts.append(space.encode(genome))
        lines.append({"event": "ask", "number": number, "genome": texts[-1]})
        lines.append({"event": "result", "number": number, "values": score(space, genome)})
    lines += [
        {"event": "ask", "number": count, "genome": "0" * 16},
        {"event": "result", "number": count, "failure": "broke"},
        {"event": "ask", "number": count + 1, "genome": "1" * 16, "fidelity": 0},
        {"event": "result", "number": count + 1, "values": {"gain": 99.0}},
        {"event": "ask", "number": count + 2, "same_as": 0},
    ]
    written = "\n".join(json.dumps(line) for line in lines)
    (folder / "journal.jsonl").write_text(written + '\n{"event": "as')
    return texts


def test_it_starts_from_old_runs(tmp_path: Path) -> None:
    """What old runs scored is known: it is not asked again, and the first draft is predicted already."""
    texts = run_folder(tmp_path / "old", 20)
    strategy = made(start_from=[tmp_path / "old"])
    asked = list(drive(strategy, 10))
    assert asked[0].origin in ("predicted", "sample")
    assert any(one.origin == "predicted" for one in asked)
    assert not {BitSpace().encode(one.genome) for one in asked} & set(texts)
    assert max(sum(one.genome) for one in asked) > max(text.count("1") for text in texts) - 1


def test_folders_that_hold_nothing_are_refused(tmp_path: Path) -> None:
    """No folder, and a folder of other objectives."""
    with pytest.raises(StrategyError, match="must name run folders"):
        made(start_from=[tmp_path / "none"])
    run_folder(tmp_path / "old", 5)
    with pytest.raises(StrategyError, match=r"for accuracy inside the budget, got .*which has none"):
        made(objectives=(Objective("accuracy", "maximize"),), start_from=[tmp_path / "old"])


def test_it_starts_from_the_best_by_a_measure() -> None:
    """The first candidates are those of most params, or of the best scores, among many samples."""
    by_size = made(warm_start="params", warm_samples=300)
    first = by_size.ask()
    assert {draft.origin for draft in first} == {"warm start"}
    assert min(sum(draft.genome) for draft in first) >= 11
    by_scores = made(scores=lambda genome: {"zeros": float(-sum(genome))}, warm_samples=300)
    assert max(sum(draft.genome) for draft in by_scores.ask()) <= 5


def test_scores_are_features_once_each() -> None:
    """The predictor sees the scores, ranked; each genome is scored once."""
    met: list[Any] = []

    def scores(genome: Any) -> dict[str, float]:
        met.append(genome)
        return {"swap": float(sum(genome))}

    strategy = made(scores=scores, warm_samples=50)
    list(drive(strategy, 30))
    assert len(met) < len(set(met)) + 60  # those of the start are ranked before they are features
    assert "swap" in strategy.features(met[0])


def test_fits_come_at_fixed_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `refit` 0.5 a model is made at counts that grow by half, whatever workers do."""
    from uninas_evo.predictors import PREDICTORS

    counts: list[int] = []
    fit = PREDICTORS["ridge"].fit
    monkeypatch.setattr(
        PREDICTORS["ridge"], "fit", lambda self, x, y, seed: (counts.append(len(y)), fit(self, x, y, seed=seed))[1]
    )
    list(drive(made(refit=0.5), 60))
    assert all(b >= 1.5 * a for a, b in itertools.pairwise(counts))
    assert 4 <= len(counts) <= 7
    once = list(counts)
    counts.clear()
    list(drive(made(refit=0.5), 60, cut=random.Random(1)))
    assert counts == once


@pytest.mark.parametrize("acquisition", ACQUISITIONS)
def test_every_acquisition_finds_the_better(acquisition: str) -> None:
    """On counting ones each beats the best of its random start clearly."""
    space = BitSpace(24)
    ones = [sum(one.genome) for one in drive(made(space, acquisition=acquisition, startup=12), 60, good(space))]
    assert max(ones) >= max(ones[:12]) + 3


def test_acquisitions_are_their_formulas() -> None:
    """Expected improvement against a mean over draws; the others by hand."""
    mean, deviation = np.array([1.0, 2.0, -1.0]), np.array([0.5, 0.1, 2.0])
    draws = np.random.default_rng(0).normal(mean, deviation, (400_000, 3))
    expected = np.maximum(draws - 1.5, 0).mean(0)
    assert ACQUISITIONS["ei"](mean, deviation, 1.5, random.Random(0)) == pytest.approx(expected, abs=0.01)
    assert ACQUISITIONS["ucb"](mean, deviation, 1.5, random.Random(0)).tolist() == [1.5, 2.1, 1.0]
    assert ACQUISITIONS["greedy"](mean, deviation, 1.5, random.Random(0)) is mean
    drawn = [ACQUISITIONS["thompson"](mean, deviation, 1.5, random.Random(seed)) for seed in range(2000)]
    assert np.mean(drawn, 0) == pytest.approx(mean, abs=0.15)
    assert np.std(drawn, 0) == pytest.approx(deviation, rel=0.1)


def test_several_objectives_spread_along_the_front() -> None:
    """With gain against cost, both ends of the front are asked for, and nothing fails."""
    space = BitSpace(16)
    asked = list(drive(made(space, (GAIN, COST)), 80, good(space)))
    later = [sum(one.genome) for one in asked[20:]]
    assert max(later) >= 12
    assert min(later) <= 4


@pytest.mark.parametrize("predictor", ["ridge", "gp"])
def test_several_objectives_fill_more_of_the_front_than_samples(predictor: str) -> None:
    """A made-up accuracy against parameters on NAS-Bench-201: it dominates more than as many samples, each seed."""
    space = NASBench201Space()
    objectives = (Objective("accuracy", "maximize"), Objective("params", "minimize"))
    worth = {operation: random.Random(operation).random() for operation in OPERATIONS}

    def scored(genome: Any) -> dict[str, float]:
        accuracy = sum((place + 1) * worth[operation] for place, operation in enumerate(genome.edges))
        return {"accuracy": accuracy, "params": float(space.cost(genome).params)}

    for seed in range(3):
        strategy = PredictorSearch(space, objectives, seed=seed, startup=12, drafts=60, predictor=predictor)
        asked = [one.genome for one in drive(strategy, 50, lambda one: Result(one, scored(one.genome)))][:50]
        sampled = [space.sample(random.Random(f"{seed} {number}")) for number in range(50)]
        areas = [_dominated([scored(genome) for genome in genomes]) for genomes in (asked, sampled)]
        assert areas[0] > areas[1]


def _dominated(found: list[dict[str, float]]) -> float:
    """The area that some values dominate, up to no accuracy and two million parameters."""
    area, best = 0.0, 0.0
    for values in sorted(found, key=lambda one: one["params"]):
        area += max(0.0, values["accuracy"] - best) * (2e6 - values["params"])
        best = max(best, values["accuracy"])
    return area
