"""`uninas-evo export-study` and the results that the documentation states for NAS-Bench-201."""

from __future__ import annotations

import itertools
import statistics
from pathlib import Path

import optuna
import pytest
from strategy_toy import drive, strategy_class
from typer.testing import CliRunner

from uninas_evo.cli import app
from uninas_evo.contracts import Candidate, Result
from uninas_evo.problems.nasbench201 import Cell, NASBench201Problem
from uninas_evo.spaces.nasbench201.space import OPERATIONS

RUN = """
evaluations = 8
[problem]
name = "nasbench201"
table = "table.csv"
[strategy]
name = "{name}"
[pool]
devices = {{ cpu = 1 }}
"""


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A folder with a table that gives every cell another accuracy."""
    cells = [Cell(edges).text for edges in itertools.product(OPERATIONS, repeat=6)]
    rows = [f"{text},{20 + number / 200}" for number, text in enumerate(cells)]
    (tmp_path / "table.csv").write_text("\n".join(["architecture,cifar10_test_accuracy_percent", *rows]))
    return tmp_path


def run(folder: Path, name: str) -> Path:
    (folder / f"{name}.toml").write_text(RUN.format(name=name))
    done = CliRunner().invoke(app, ["run", str(folder / f"{name}.toml"), "--out", str(folder / name), "--quiet"])
    assert done.exit_code == 0, done.output
    return folder / name


def test_a_run_becomes_a_study(run_folder):
    """A finished run's study holds its evaluations; a second export and another strategy's run are refused."""
    folder = run(run_folder, "bayesian")
    before = (folder / "journal.jsonl").read_bytes()
    done = CliRunner().invoke(app, ["export-study", str(folder)])
    assert done.exit_code == 0, done.output
    study = optuna.load_study(study_name="bayesian", storage=done.stdout.strip())
    assert sum(trial.state.name == "COMPLETE" for trial in study.trials) in (7, 8)
    assert (folder / "journal.jsonl").read_bytes() == before
    again = CliRunner().invoke(app, ["export-study", str(folder)])
    assert again.exit_code == 2
    assert "holds a study 'bayesian' already" in again.stderr
    wrong = CliRunner().invoke(app, ["export-study", str(folder), "--storage", "nowhere"])
    assert wrong.exit_code == 2
    assert "give a URL such as sqlite:///study.db" in wrong.stderr
    other = CliRunner().invoke(app, ["export-study", str(run(run_folder, "random"))])
    assert other.exit_code == 2
    assert "is no run of the strategy bayesian but of RandomSearch" in other.stderr


def test_a_run_that_was_cut_is_exported_untouched(run_folder):
    """Exporting scores nothing and writes nothing into the journal, also where the run could go on."""
    folder = run(run_folder, "bayesian")
    path = folder / "journal.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:11]))
    before = path.read_bytes()
    done = CliRunner().invoke(app, ["export-study", str(folder)])
    assert done.exit_code == 0, done.output
    assert path.read_bytes() == before


def queries(problem: NASBench201Problem, name: str, seed: int, **options: object) -> int:
    """Distinct evaluations until the optimum, at most 300."""
    strategy = strategy_class(name)(problem.space, problem.objectives, seed=seed, **options)
    seen: set[Cell] = set()

    def answer(candidate: Candidate) -> Result:
        return Result(candidate, problem.evaluate(candidate.genome, "cpu"))

    for candidate in drive(strategy, 400, answer):
        seen.add(candidate.genome)
        if problem.accuracy[candidate.genome.text] == problem.optimum:
            break
    return min(len(seen), 300)


@pytest.mark.parametrize(("dataset", "yardstick"), [("cifar10", 89), ("cifar100", 116)])
@pytest.mark.parametrize("name", ["evolution", "aging"])
def test_evolution_meets_the_yardstick(nasbench201_table, dataset, yardstick, name):
    """At their defaults evolution and aging need no more queries than a plain regularized evolution (60 seeds)."""
    problem = NASBench201Problem(nasbench201_table, dataset)
    assert statistics.median(queries(problem, name, seed) for seed in range(60)) <= yardstick


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
def test_a_warm_start_halves_the_queries(nasbench201_table, dataset):
    """Evolution that begins at the costliest of 1,000 samples needs about forty queries (60 seeds, bound 50)."""
    problem = NASBench201Problem(nasbench201_table, dataset)
    options = {"warm_start": "flops", "population": 8, "offspring": 4, "tournament": 4}
    assert statistics.median(queries(problem, "evolution", seed, **options) for seed in range(60)) <= 50
