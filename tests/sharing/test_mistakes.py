"""Wrong input at the command line: one message with what, rule, value and cure, exit status 2, never a traceback."""

from __future__ import annotations

import pytest
import tiny_darts
from typer.testing import CliRunner

from uninas_evo.cli import app


def command(place, squares, *words, batch=8, more=""):
    (place / "run.toml").write_text(tiny_darts.run_file(squares, 1, batch_size=batch, more=more))
    return CliRunner().invoke(app, [*words, "--quiet"])


def told(result):
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert isinstance(result.exception, SystemExit)
    return " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("message", "settings"),
    [
        ("each part needs a batch of 64", {"batch": 64, "more": 'learner = "darts"'}),
        ("must be one of uniform", {"more": 'learner = "dartz"'}),
        ("needs a largest and a smallest genome", {"more": 'learner = "sandwich"'}),
        ("looks one step of SGD ahead", {"more": 'learner = "darts"\noptimizer = "adam"\noptions = { order = 2 }'}),
        ("a number for each of the 1 stages", {"more": 'learner = "darts"\noptions = { keep = [8, 5] }'}),
        ("nowhere", {"data": "nowhere"}),
    ],
)
def test_wrong_run_files(squares, tmp_path, message, settings):
    """Data, learner and settings that do not fit are told before anything is trained."""
    data = tmp_path / settings.pop("data") if "data" in settings else squares
    words = ("run", str(tmp_path / "run.toml"), "--out", str(tmp_path / "run"))
    assert message in told(command(tmp_path, data, *words, **settings))


def test_damaged_preparations(squares, tmp_path):
    """A checkpoint that a crash damaged, and weights of another space: the message says which file and what to do."""
    run = tmp_path / "run"
    assert command(tmp_path, squares, "run", str(tmp_path / "run.toml"), "--out", str(run)).exit_code == 0
    shared = run / "supernet"
    (shared / "last.pt").write_bytes(b"torn")
    text = told(command(tmp_path, squares, "resume", str(run), "--set", "evaluations=2"))
    assert "last.pt" in text
    result = CliRunner().invoke(app, ["pick", str(run), "--weights", str(tmp_path / "x"), "--trust"])
    assert result.exit_code == 2
    assert "last.pt" in " ".join(result.output.split())
