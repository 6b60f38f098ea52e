"""Searches over shared weights, from run files: training, journal, resume, verify, mistakes."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

from uninas_evo.cli import app
from uninas_evo.engine.events import ResultEvent
from uninas_evo.engine.journal import read_journal

RUN = """
evaluations = 4
pool = { devices = "in-process" }
strategy = { name = "random" }

[problem]
name = "darts"
image = 8
classes = 3
channels = 4
cells = 3
objectives = ["supernet"]

[problem.supernet]
data = "squares.npz"
steps = 2
batch_size = 8
score_images = 16
recalibrate = 16
network = { channels = 4, cells = 3 }
"""


def call(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (count, 8, 8, 3), dtype=np.uint8) for count in (48, 12)]
    labels = [np.arange(len(part)) % 3 for part in images]
    np.savez(tmp_path / "squares.npz", x_train=images[0], y_train=labels[0], x_test=images[1], y_test=labels[1])
    return tmp_path


def write(folder, change=("", "")):
    text = RUN.replace(*change)
    file = folder / "search.toml"
    file.write_text(text)
    return file


@pytest.mark.slow
def test_run_resume_verify(folder):
    """Weights are trained before the first ask; the search resumes on them, and verify scores the same."""
    file = write(folder)
    result = call("run", file, "--quiet")
    assert result.exit_code == 0, result.output
    weights = (folder / "search/supernet/weights.safetensors").read_bytes()
    first = [e.values for e in read_journal(folder / "search")[1] if isinstance(e, ResultEvent)]
    assert all({"supernet", "supernet_se", "params", "macs"} <= values.keys() for values in first)
    result = call("resume", folder / "search", "--set", "evaluations=6", "--quiet")
    assert result.exit_code == 0, result.output
    assert (folder / "search/supernet/weights.safetensors").read_bytes() == weights
    again = [e.values for e in read_journal(folder / "search")[1] if isinstance(e, ResultEvent)]
    assert again[:4] == first
    assert len(again) == 6
    result = call("verify", folder / "search", "--random", 3)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("bit for bit") == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("steps = 2", 'steps = 2\nlearner = "dart"'), "did you mean 'darts'"),
        (("batch_size = 8", "batch_size = 800"), "each part needs a batch of 800"),
        (("squares.npz", "circles.npz"), "circles.npz"),
        (("steps = 2", "stepz = 2"), "stepz"),
        (("[problem.supernet]", "[problem.proxies.supernet]"), "supernet"),
        (("steps = 2", 'steps = 2\nlearner = "sandwich"'), "needs a largest and a smallest genome"),
    ],
)
def test_mistakes_are_one_message(folder, change, message):
    """Whatever is wrong with the training of shared weights is told in one message, exit code 2."""
    result = call("run", write(folder, change), "--quiet")
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output
