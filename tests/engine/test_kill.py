"""Invariant 5: killed anywhere and resumed, a run writes the same journal as one that was never killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from killed_run import EVALUATIONS, KILLS, run

from uninas_evo import registry
from uninas_evo.engine.events import ResultEvent, canonical
from uninas_evo.engine.journal import read_journal
from uninas_evo.errors import UninasEvoError

STRATEGIES = [name for name in registry.names("strategy") if name not in ("grid", "derived")]
"""Those of any space and problem: `grid` needs a list of decisions, `derived` a learner."""


QUICK = ("aging", "evolution", "nsga2", "ladder")
"""One of each schedule; the others are tried where everything is."""


@pytest.mark.parametrize(
    "strategy", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in STRATEGIES]
)
def test_kill_at_25_random_moments(strategy: str, tmp_path: Path) -> None:
    """For every strategy: `kill -9` of the process group, 25 times, and no trace of it in the canonical journal."""
    try:
        several = registry.find("strategy", strategy).objectives_allowed == "several"
    except UninasEvoError as error:
        pytest.skip(str(error))
    objectives = 2 if several else 1
    killed = tmp_path / "killed"
    here = Path(__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": str(here), "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "1"}
    done = subprocess.run(
        [sys.executable, str(here / "killed_run.py"), strategy, str(objectives), str(killed), "0"],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("killed") >= KILLS - 5
    expected = canonical(read_journal(tmp_path / "whole")[1])
    assert canonical(read_journal(killed)[1]) == expected
    run(strategy, objectives, tmp_path / "here")  # another process, with other hashes of strings
    assert canonical(read_journal(tmp_path / "here")[1]) == expected
    assert sum(event["event"] == "result" for event in expected) == EVALUATIONS


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _wait_for(path: Path, growth: int, process: subprocess.Popen[str]) -> None:
    """Until a file has grown, or the process has ended."""
    before = _size(path)
    while _size(path) < before + growth and process.poll() is None:
        time.sleep(0.001)


RUN_FILE = """
evaluations = 200
[problem]
name = "toy"
noise = 1.0
sleep_s = 0.1
[strategy]
name = "evolution"
[pool]
devices = {cpu = 2}
[after]
rescore = 0
plot = false
"""


@pytest.mark.slow
def test_kill_the_command_with_its_workers(installed: dict[str, str], tmp_path: Path) -> None:
    """The same through the command line: process groups of a run and two workers, killed 25 times."""
    (tmp_path / "run.toml").write_text(RUN_FILE)
    command = [sys.executable, "-c", "from uninas_evo.cli import main; main()"]
    folder = tmp_path / "out"

    def start(*arguments: str, wait: bool = False) -> Any:
        process = subprocess.Popen(
            [*command, *arguments, "--quiet"],
            env=installed,
            cwd=tmp_path,
            start_new_session=True,
            stderr=subprocess.PIPE,
            text=True,
        )
        if wait:
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors
        return process

    start("run", "run.toml", "--set", "problem.sleep_s=0", "--out", str(tmp_path / "whole"), wait=True)
    rng = random.Random(0)
    kills = 0
    process = start("run", "run.toml", "--out", str(folder))
    while kills < KILLS:
        if rng.random() < 0.2:
            time.sleep(rng.uniform(0, 1.5))  # while it starts or replays
        else:
            _wait_for(folder / "journal.jsonl", rng.randrange(1, 1500), process)
        if process.poll() is not None:
            break
        os.killpg(process.pid, signal.SIGKILL)
        _, errors = process.communicate()
        kills += 1
        begun = _size(folder / "journal.jsonl") > 0
        process = start("resume", str(folder)) if begun else start("run", "run.toml", "--out", str(folder))
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert kills == KILLS
    _, events = read_journal(folder)
    assert sum(isinstance(event, ResultEvent) for event in events) == 200
    assert canonical(events) == canonical(read_journal(tmp_path / "whole")[1])
