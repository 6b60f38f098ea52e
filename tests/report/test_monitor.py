"""A run in the tools that people watch trainings with: everything comes from the journal, during and after the run."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from uninas_evo import search
from uninas_evo.cli import app
from uninas_evo.errors import MissingExtraError
from uninas_evo.report.monitor import TRACKERS, TensorBoard, events, monitor
from uninas_evo.testing.toys import BitsProblem


class Recorded:
    """A tracker that keeps what it is told."""

    def __init__(self) -> None:
        self.name, self.settings = "", dict[str, Any]()
        self.rows: list[tuple[int, float, dict[str, float]]] = []
        self.is_closed = False

    def began(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name, self.settings = name, dict(settings)

    def scored(self, step: int, at: float, values: Mapping[str, float]) -> None:
        self.rows.append((step, at, dict(values)))

    def ended(self) -> None:
        self.is_closed = True


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    search(BitsProblem(), "random", evaluations=12, out=tmp_path / "run", quiet=True, debug=True)
    return tmp_path / "run"


def test_every_evaluation_is_told_once_and_in_order(folder: Path) -> None:
    """Values, costs, seconds and the best so far, which never gets worse."""
    tracker = Recorded()
    assert monitor(folder, tracker) == 12
    assert tracker.name == "run"
    assert tracker.settings["seed"] == 0
    assert tracker.settings["strategy.name"] == "random"
    assert [step for step, _, _ in tracker.rows] == list(range(1, 13))
    best = [values["best/ones"] for _, _, values in tracker.rows]
    assert best == sorted(best)
    assert best[-1] == max(values["ones"] for _, _, values in tracker.rows)
    assert all({"candidate", "seconds", "cost/params"} <= values.keys() for _, _, values in tracker.rows)
    assert tracker.is_closed


def test_a_run_that_goes_on_is_followed_to_its_end(folder: Path, tmp_path: Path) -> None:
    """What is written between two looks is told once; the note of the end ends it."""
    lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    growing = tmp_path / "growing" / "journal.jsonl"
    growing.parent.mkdir()
    growing.write_bytes(b"".join(lines[:5]))
    rest = iter(lines[5:])

    def later(_: float) -> None:
        with growing.open("ab") as file:
            file.write(next(rest) + next(rest, b""))

    followed = list(events(growing.parent, follow=True, wait=later))
    whole = list(events(folder))
    assert followed == whole[: len(followed)]
    assert all(event.event == "rescore" for event in whole[len(followed) :])  # finalists, after the search's end


def test_failures_are_counted_without_values(tmp_path: Path) -> None:
    """An evaluation that failed has its place and its costs."""
    search(BitsProblem(accident="raise"), "random", evaluations=8, out=tmp_path / "run", quiet=True, debug=True)
    tracker = Recorded()
    assert monitor(tmp_path / "run", tracker) == 8
    assert any("ones" not in values for _, _, values in tracker.rows)


def test_tensorboard_reads_it(folder: Path) -> None:
    """The command's folder holds every value, as TensorBoard's own reader has them."""
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    done = CliRunner().invoke(app, ["monitor", str(folder)])
    assert done.exit_code == 0, done.output
    reader = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    found = reader.EventAccumulator(str(folder / "tensorboard")).Reload()
    recorded = Recorded()
    monitor(folder, recorded)
    assert [one.value for one in found.Scalars("ones")] == pytest.approx([v["ones"] for _, _, v in recorded.rows])


def test_mlflow_reads_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store holds the run with its parameters and the history of every metric."""
    mlflow = pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    pytest.importorskip("sqlalchemy", reason="the extra mlflow is not installed")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert monitor(folder, TRACKERS["mlflow"](folder / "mlflow")) == 12
    (run,) = mlflow.search_runs(experiment_names=["uninas-evo"], output_format="list")
    assert run.data.params["strategy.name"] == "random"
    assert len(mlflow.MlflowClient().get_metric_history(run.info.run_id, "ones")) == 12


def test_weights_and_biases_is_only_used_offline(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing leaves the machine; every evaluation is a line of the run's history."""
    told: list[Any] = []
    run = SimpleNamespace(log=lambda values, step: told.append(step))
    fake = SimpleNamespace(init=lambda **given: told.append(given["mode"]) or run, finish=lambda: told.append("end"))
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monitor(folder, TRACKERS["wandb"](folder / "wandb"))
    assert told == ["offline", *range(1, 13), "end"]


def test_what_is_missing_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that is not installed, one that is unknown, and a folder without a run: one message each, and no files."""
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"uninas-evo\[tensorboard\]"):
        TensorBoard(tmp_path / "tb")
    wrong = CliRunner().invoke(app, ["monitor", str(folder), "--to", "comet"])
    assert wrong.exit_code == 2
    assert "must be one of tensorboard, mlflow, wandb" in wrong.output
    empty = CliRunner().invoke(app, ["monitor", str(tmp_path), "--to", "wandb"])
    assert empty.exit_code == 2
    assert not (tmp_path / "wandb").exists()
