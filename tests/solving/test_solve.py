"""From data to a trained network: the whole of it on tiny data, and every mistake before the clock begins."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import uninas_evo
from uninas_evo.cli import app
from uninas_evo.engine.events import Note
from uninas_evo.engine.journal import read_journal
from uninas_evo.errors import DataError, TrainingError
from uninas_evo.solving import solve as solving
from uninas_evo.solving.plan import Speed, plan_for, protocol_for
from uninas_evo.solving.solution import SOLUTION, Solution, sentence
from uninas_evo.solving.solve import _affordable_workers, arguments, write_plan
from uninas_evo.solving.workers import side_by_side
from uninas_evo.training import load_protocol, read_splits

HOURS = 0.02
FACTS: dict[str, Any] = {
    "winner_accuracy": 0.92,
    "preset_accuracy": 0.91,
    "preset": "resnet",
    "gap": 0.01,
    "gap_low": 0.002,
    "gap_high": 0.018,
    "search_s": 900.0,
    "training_s": 300.0,
    "preset_s": 290.0,
    "baseline": "",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gray PNGs of 20 x 28 pixels in three class folders, without parts."""
    root = tmp_path_factory.mktemp("png")
    rng = np.random.default_rng(0)
    for label in range(3):
        (root / f"class{label}").mkdir()
        for number in range(60):
            pixels = rng.integers(0, 120, (28, 20), dtype=np.uint8)
            pixels[9 * label : 9 * label + 5] += 100
            Image.fromarray(pixels).save(root / f"class{label}" / f"{number}.png")
    return root


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, r"The search added \+1\.00 points of test accuracy \[\+0\.20, \+1\.80\] \(95 %, over 3 trainings"),
        ({"gap_low": -0.01}, r"Whether the search added anything is not known: \+1\.00 points"),
        ({"gap": -0.02, "gap_low": -0.03, "gap_high": -0.01}, r"The search lost -2\.00 points"),
    ],
)
def test_the_sentence_claims_what_the_interval_allows(changes: dict[str, float], told: str) -> None:
    """And tells the costs of both ways."""
    import re

    text = sentence(FACTS | changes, 3, same=False)
    assert re.match(told, text)
    assert "the search took 15 min 00 s and the winner's training 5 min 00 s, 20 min 00 s together" in text
    assert "the preset alone took 4 min 50 s" in text


def test_one_training_of_each_is_told() -> None:
    """Its interval does not hold the luck of training."""
    assert "over the test images; one training of each" in sentence(FACTS, 1, same=False)
    assert sentence(FACTS, 1, same=True).startswith("The search found nothing better than the best scaled preset")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"hours": 0}, "hours are a number above 0"),
        ({"hours": float("nan")}, "hours are a number above 0"),
        ({"vary": ("height",)}, "no part 'height' to vary"),
        ({"hours": 1e-4}, "too short"),
    ],
)
def test_mistakes_are_told_before_the_clock(folder: Path, tmp_path: Path, options: dict[str, Any], told: str) -> None:
    """One message each; no time is spent."""
    with pytest.raises(TrainingError, match=told):
        uninas_evo.solve(folder, **({"hours": 1.0, "out": tmp_path / "out", "devices": ["cpu"]} | options), quiet=True)
    assert not (tmp_path / "out" / "clock.json").exists()


def test_broken_data_is_told_before_the_clock(tmp_path: Path) -> None:
    """A file that is no image, by its name."""
    for label in "ab":
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(10):
            (tmp_path / "data" / label / f"{number}.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(DataError, match=r"\.png"):
        uninas_evo.solve(tmp_path / "data", 1, out=tmp_path / "out", quiet=True)
    assert not (tmp_path / "out" / "clock.json").exists()


def test_workers_are_as_many_as_memory_has_room_for() -> None:
    """This program beside them; for none it is told."""
    assert _affordable_workers(10**9, 8, 16 * 10**9, "cpu") == 8
    assert _affordable_workers(10**9, 8, 4 * 10**9, "cpu") == 2
    assert _affordable_workers(10**12, 1, 10**9, "cuda:0") == 1
    with pytest.raises(TrainingError, match=r"has 1\.5 GB of memory and training needs 2\.0 GB"):
        _affordable_workers(10**9, 8, 15 * 10**8, "cpu")


def test_a_folder_with_another_task_is_left_alone(tmp_path: Path, folder: Path) -> None:
    """What differs is named."""
    (tmp_path / "plan.json").write_text(json.dumps({"asked": {"hours": 3}, "plan": {}}))
    with pytest.raises(TrainingError, match=r"a task with other data, hours"):
        uninas_evo.solve(folder, 2, out=tmp_path, quiet=True)


def test_a_finished_task_is_told_again(tmp_path: Path, folder: Path) -> None:
    """Nothing is trained; the command prints it."""
    solution = Solution(
        "network", "network.onnx", "report.html", "winner", 0.92, candidates=300, sentence="It is so.", **FACTS
    )
    (tmp_path / SOLUTION).write_text(json.dumps({name: getattr(solution, name) for name in solution.__annotations__}))
    assert uninas_evo.solve(folder, 2, out=tmp_path, quiet=True) == solution
    done = CliRunner().invoke(app, ["solve", str(folder), "--hours", "2", "--out", str(tmp_path)])
    assert done.exit_code == 0
    assert done.stdout.startswith("It is so.\ntest accuracy 92.00% (winner)\n")


def test_an_interrupted_command_says_how_to_go_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 130."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["uninas_evo.solving.solve"], "solve", interrupted)
    done = CliRunner().invoke(app, ["solve", str(folder), "--hours", "2"])
    assert done.exit_code == 130
    assert "give the same command to go on" in done.stderr


def double(number: int, device: str) -> str:
    """What is called in another process."""
    if number < 0:
        raise ValueError("it is negative")
    return f"{2 * number} on {device}"


def test_calls_run_side_by_side_in_their_order() -> None:
    """More calls than processes; what one raises is raised here."""
    ticks: list[int] = []
    found = side_by_side(double, [{"number": n} for n in range(3)], ["cpu", "cpu"], lambda: ticks.append(1))
    assert found == ["0 on cpu", "2 on cpu", "4 on cpu"]
    assert ticks
    with pytest.raises(ValueError, match="it is negative"):
        side_by_side(double, [{"number": -1}], ["cpu"], lambda: None)


def test_the_plan_is_kept_as_it_was_made(folder: Path, tmp_path: Path) -> None:
    """Trainings read the protocol that was planned, tables in it included."""
    planned(folder, tmp_path)
    kept = json.loads((tmp_path / "plan.json").read_text())["plan"]["protocol"]
    assert load_protocol(tmp_path / "protocol.toml").model_dump(mode="json", exclude_none=True) == kept


@pytest.mark.slow
def test_killed_and_resumed_it_ends_well(folder: Path, tmp_path: Path) -> None:
    """Gray PNGs end in a trained gray network, ONNX and a page; a kill inside the search loses neither it nor time."""
    out, options = tmp_path / "out", {"max_params": 50e3, "devices": ["cpu"], "quiet": True}
    planned(folder, out)
    code = f"import uninas_evo; uninas_evo.solve({str(folder)!r}, {HOURS}, out={str(out)!r}, **{options!r})"
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    journal = out / "search" / "journal.jsonl"
    while process.poll() is None and not (journal.exists() and '"event":"result"' in journal.read_text()):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = json.loads((out / "clock.json").read_text())["spent_s"]
    assert before > 0
    solution = solving(folder, HOURS, out=out, **options)
    assert json.loads((out / "clock.json").read_text())["spent_s"] > before
    _, events = read_journal(out / "search")
    assert any(isinstance(event, Note) and event.kind == "resumed" for event in events)
    network = uninas_evo.load(solution.network)
    assert network.preparation.size == network.genome.skeleton.image == (1, 28, 20)
    assert all(Path(path).is_file() for path in (solution.onnx, solution.page))
    assert solution.gap_low <= solution.gap <= solution.gap_high
    assert solving(folder, HOURS, out=out, **options) == solution


@pytest.mark.slow
def test_a_pretrained_network_is_trained_as_long(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the winner and the preset; where its weights cannot be had, from scratch and named so."""
    pytest.importorskip("timm")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    planned(folder, tmp_path, "timm:resnet10t")
    options = {"max_params": 50e3, "devices": ["cpu"], "quiet": True, "baseline": "timm:resnet10t"}
    solution = solving(folder, HOURS, out=tmp_path, **options)
    assert solution.baseline == "timm:resnet10t from scratch"
    assert 0 <= (solution.baseline_accuracy or 0) <= 1
    assert "timm:resnet10t from scratch, trained as long, reaches" in solution.sentence


def planned(folder: Path, out: Path, baseline: str | None = None) -> None:
    """The plan that a machine of known speed would make, so that this one's load changes nothing."""
    asked = arguments(folder, HOURS, 50e3, None, "small", (), 0, baseline)
    splits = read_splits(folder, 0.2)
    protocol = protocol_for(load_protocol("small"), len(splits.train))
    plan = plan_for(splits, protocol, Speed(1e-4, 2e10), HOURS, 1, max_params=50e3)
    write_plan(out, asked, replace(plan, presets=dict(list(plan.presets.items())[:1])))  # one is quick to try
