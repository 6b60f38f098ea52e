"""A run's folder where a genome is wanted: its best one, of a space of one's own too, to the trained network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from uninas_evo.cli import app

NETWORK = """
from torch import nn


def build(chosen):
    width = chosen["width"]
    layers = [nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(width, 10))
"""
RUN = """
evaluations = 4
after = {rescore = 0, plot = false}

[problem]
name = "choices"
objective = "params"
build = "my_network.py:build"
image = [3, 8, 8]
classes = 10
space = {width = [4, 5, 6, 7]}

[strategy]
name = "grid"
"""


def call(*arguments: Any) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("my_network.py").write_text(NETWORK)
    Path("own.toml").write_text(RUN)
    done = call("run", "own.toml", "--quiet")
    assert done.exit_code == 0, done.output
    return tmp_path


def test_a_run_stands_for_its_best_genome(folder: Path) -> None:
    """Costs, scores, drawings and texts of the winner, although its text alone does not tell its space."""
    assert json.loads(call("cost", "own", "--json").output)["params"] == 27 * 4 + 4 + 10 * 5
    assert call("score", "own", "--proxy", "params").output.split()[1] == str(27 * 4 + 4 + 10 * 5)
    assert call("draw", "own", "--out", "own.svg").exit_code == 0
    assert "width = 4" in Path("own.svg").read_text()
    assert "width = 4" in call("convert", "own", "--to", "text").output
    refused = call("cost", "own/winner.txt")
    assert refused.exit_code == 2
    assert "give the folder of its run" in refused.output


def test_code_of_a_run_from_elsewhere_is_not_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has not agreed to what a folder names is told so, and nothing of it runs."""
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "another user"))
    for command in (["cost", "own"], ["draw", "own", "--out", "own.svg"], ["train", "own", "--data", "digits"]):
        refused = call(*command)
        assert refused.exit_code == 2
        assert "was not written by a run of yours here" in " ".join(refused.output.split())


def test_what_it_trained_is_exported(folder: Path) -> None:
    """A training of the winner becomes an ONNX network where the run file of its space is named."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (40, 8, 8, 3), np.uint8), np.arange(40) % 10
    np.savez("data.npz", train_images=images, train_labels=labels, test_images=images, test_labels=labels)
    small = [part for setting in ("epochs=1", "batch_size=8", "image_size=8") for part in ("--set", setting)]
    done = call("train", "own", "--data", "data.npz", *small, "--out", "trained")
    assert done.exit_code == 0, done.output
    refused = call("export", "trained", "--to", "onnx")
    assert refused.exit_code == 2
    assert "name the space's run file with --space" in " ".join(refused.output.split())
    done = call("export", "trained", "--to", "onnx", "--space", "own.toml")
    assert done.exit_code == 0, done.output
    assert Path("trained/network.onnx").is_file()


def test_a_run_bounded_by_a_further_cost_stands_for_its_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The space of a UniNAS run has the costs of its file, as the size of the weights."""
    monkeypatch.chdir(tmp_path)
    Path("sized.toml").write_text(
        'evaluations = 3\nstrategy = {name = "random_walk"}\nafter = {rescore = 0, plot = false}\n'
        '[problem]\nstart = "coatnet"\nobjective = "params"\nbudget = {max_size_mb = 0.5}\n'
        "skeleton = {image_size = 16, classes = 4, stem = [8, 8], channels = [16, 32], depths = [1, 1]}\n"
    )
    done = call("run", "sized.toml", "--quiet")
    assert done.exit_code == 0, done.output
    costs = json.loads(call("cost", "sized", "--json").output)
    assert costs["size_mb"] == pytest.approx(costs["params"] * 4 / 1e6)
