"""`list --for` tells the truth: what it says can search a problem does, and what it says cannot is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from uninas_evo import search
from uninas_evo.cli import app
from uninas_evo.config.runfile import load_run_file
from uninas_evo.errors import UninasEvoError

OWN = """
seed = 0
evaluations = 10

[problem]
name = "choices"
objectives = {objectives}
build = "{folder}/own_network.py:build"
valid = "{folder}/own_network.py:valid"
image = [3, 8, 8]
classes = 10

[problem.space]
kind = ["plain", "bottleneck"]
width = [8, 16]
inner = {{ low = 2, high = 10, whole = true }}
bias = [false, true]
drop = [0.0]

[problem.when]
inner = {{ kind = ["bottleneck"] }}

[strategy]
name = "random"
"""


@pytest.mark.slow
@pytest.mark.parametrize("objectives", [["params"], ["params", "flops"]], ids=["one", "two"])
def test_it_is_true(objectives: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a space of one's own with a condition, a number and a rule; the number of `grid` is the one it asks for."""
    monkeypatch.setenv("COLUMNS", "300")
    run = tmp_path / "own.toml"
    run.write_text(OWN.format(objectives=str(objectives).replace("'", '"'), folder=Path(__file__).parents[1]))
    listed = CliRunner().invoke(app, ["list", "--for", str(run)])
    assert listed.exit_code == 0, listed.output
    rows = re.findall(r"│ (\w+) +│ (yes|no) +│ (.*?) *│", listed.output)
    assert len(rows) >= 15
    assert {"evolution", "bayesian", "nsga2", "grid", "ppo", "predictor"} <= {name for name, _, _ in rows}
    for name, said, why in rows:
        told = re.search(r"Here ([\d,]+)\.", why)
        count = int(told[1].replace(",", "")) if told else 6
        problem = load_run_file(run).problem()
        assert searched(problem, name, count, tmp_path / name) == (said, why[:40] if said == "no" else "")


def searched(problem: Any, name: str, count: int, out: Path) -> tuple[str, str]:
    """Whether a strategy evaluates so many genomes, and how the message begins where it is refused."""
    try:
        found = search(
            problem, name, evaluations=count, out=out, quiet=True,
            pool={"devices": "in-process"}, after={"rescore": 0, "plot": False},
        )  # fmt: skip
    except UninasEvoError as error:
        return "no", str(error)[:40]
    return ("yes", "") if len(found.evaluations) == count else (f"{len(found.evaluations)} of {count}", "")
