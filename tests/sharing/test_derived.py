"""From a learner's policy to genomes, and every kind of strategy over shared weights."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
import tiny_darts

import uninas_evo
from uninas_evo.api import resume, run_file
from uninas_evo.config.runfile import load_run_file
from uninas_evo.contracts import Objective
from uninas_evo.engine.events import AskEvent, ResultEvent, canonical
from uninas_evo.engine.journal import FILE_NAME, read_journal
from uninas_evo.engine.verify import verify
from uninas_evo.errors import ObjectiveError, StrategyError
from uninas_evo.problems.shared_weights import SharedWeightsProblem
from uninas_evo.report.runpage import report
from uninas_evo.sharing.options import SupernetOptions
from uninas_evo.spaces.nasbench201.space import NASBench201Space
from uninas_evo.strategies.derived import Derived

HERE = {"pool": {"devices": "in-process", "threads": 1}, "quiet": True, "after": {"rescore": 0}}
OBJECTIVES = {"nsga2": ["supernet", {"name": "flops", "goal": "minimize"}]}


def problem_of(squares, learner="uniform", objectives=("supernet",), **options):
    space = NASBench201Space(3)
    space.image = (3, 8, 8)
    settings = SupernetOptions(
        data=str(squares), learner=learner, steps=4, batch_size=8, report=1, options=options,
        network={"channels": 4, "cells": 1}, recalibrate=24, score_images=24,
    )  # fmt: skip
    return SharedWeightsProblem(space, list(objectives), supernet=settings)


@pytest.mark.parametrize("learner", ["darts", "gumbel", "gdas", "proxyless", "unas", "enas"])
def test_what_a_learner_derived_is_asked_and_draws_behind_it(squares, tmp_path, learner):
    """The first ask is what `derived.txt` holds; a resumed and a never interrupted run have one journal."""

    def run(folder, **more):
        strategy = {"name": "derived", "samples": 5}
        return uninas_evo.search(problem_of(squares, learner), strategy, evaluations=50, out=folder, **HERE, **more)

    result = run(tmp_path / "run")
    asks = [one for one in read_journal(tmp_path / "run")[1] if isinstance(one, AskEvent)]
    assert [ask.origin for ask in asks] == ["derived"] + ["sample"] * 5
    assert asks[0].genome == (tmp_path / "run/supernet/derived.txt").read_text()
    assert "learner derived" in result.end.text
    run(tmp_path / "again")
    journal = tmp_path / "again" / FILE_NAME
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:3]))
    run(tmp_path / "again", resume=True)
    first, second = (canonical(read_journal(tmp_path / name)[1]) for name in ("run", "again"))
    assert first == second


def test_the_recipe_of_the_collapse_writes_its_diagnostics(tmp_path, nasbench201_table):
    """In small it runs to its end: the table's accuracy of what was derived, and what the page tells of the policy."""
    content = tomllib.loads(Path("runs/collapse.toml").read_text())
    labels = np.arange(60) % 10
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "ten.npz", x_train=images, y_train=labels, x_test=images[:20], y_test=labels[:20])
    problem = content["problem"] | {"table": nasbench201_table}
    problem["supernet"] |= {
        "data": str(tmp_path / "ten.npz"), "image": 8, "steps": 4, "report": 2, "batch_size": 8, "recalibrate": 16,
        "network": {"channels": 4, "cells": 1},
    }  # fmt: skip
    result = uninas_evo.search(problem, content["strategy"], evaluations=1, out=tmp_path / "run", **HERE)
    assert result.best.values["accuracy"] > 0
    lines = [json.loads(line) for line in (tmp_path / "run/supernet/steps.jsonl").read_text().splitlines()]
    assert {"loss", "policy_loss", "entropy", "skips", "mixture_accuracy", "path_accuracy"} <= lines[-1].keys()
    text = report(tmp_path / "run").read_text()
    assert "<h2>Shared weights</h2>" in text
    assert "Undecided" in text


@pytest.mark.parametrize("strategy", ["evolution", "aging", "nsga2", "bayesian", "ppo", "random"])
def test_strategies_search_over_shared_weights(squares, tmp_path, strategy):
    """Each follows the objective `supernet`; what it recorded is a function of weights, genome and seed."""
    problem = problem_of(squares, objectives=OBJECTIVES.get(strategy, ["supernet"]))
    uninas_evo.search(problem, strategy, evaluations=12, out=tmp_path / "run", **HERE)
    results = [one for one in read_journal(tmp_path / "run")[1] if isinstance(one, ResultEvent)]
    assert len(results) >= 12
    assert all(0 <= (one.values or {})["supernet"] <= 1 for one in results)


def test_samplers_derive_nothing(squares):
    """A learner without a policy is refused before anything is trained; so is a space without shared weights."""
    with pytest.raises(ObjectiveError, match="a learner that has a policy"):
        uninas_evo.search(problem_of(squares), "derived", evaluations=2, **HERE)
    strategy = Derived(NASBench201Space(), [Objective("accuracy", "maximize")], seed=0)
    with pytest.raises(StrategyError, match="nothing was learned"):
        strategy.ask()


def test_a_run_file(squares, tmp_path):
    """`derived` from a run file: resumed after its end it changes nothing, and `verify` scores the same."""
    table = tmp_path / "run.toml"
    table.write_text(tiny_darts.run_file(squares, 4, strategy='name = "derived"\nsamples = 2', more='learner = "gdas"'))
    run = load_run_file(table)

    run_file(run, tmp_path / "run", quiet=True)
    before = (tmp_path / "run" / FILE_NAME).read_bytes()
    resume(tmp_path / "run", quiet=True)
    assert (tmp_path / "run" / FILE_NAME).read_bytes() == before
    assert all(row.agrees for row in verify(tmp_path / "run", 2, trust=True))
