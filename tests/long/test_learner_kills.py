"""Runs over shared weights, killed again and again while these are trained and while genomes are scored.

Each learner ends with the weights, the steps and the journal of a run that was never killed, and `verify` passes.
The whole, by hand: `PYTHONPATH=tests python tests/long/test_learner_kills.py COUNT [LEARNER ...]`.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import tiny_darts

from uninas_evo.engine.events import canonical
from uninas_evo.engine.journal import FILE_NAME, read_journal

pytestmark = pytest.mark.long
LEARNERS = {
    "uniform": "", "fair": "", "darts": "order = 2", "gumbel": "", "gdas": "", "proxyless": 'mode = "two", every = 1',
    "unas": "", "enas": "every = 5, samples = 2, final = 5",
}  # fmt: skip
PROGRAM = """
import sys
from pathlib import Path
from uninas_evo.api import resume, run_file
from uninas_evo.config.runfile import load_run_file
from uninas_evo.sharing import training
training.SAVE_EVERY_S = 0.2
here = Path(sys.argv[1])
if (here / "run/journal.jsonl").is_file() and (here / "run/journal.jsonl").stat().st_size:
    resume(here / "run", quiet=True, trust=True)
else:
    run_file(load_run_file(here / "run.toml"), here / "run", quiet=True)
"""
FILES = ("weights.safetensors", "steps.jsonl", "result.json")


def prepare(place: Path, learner: str) -> None:
    """A run file and images of squares."""
    rng = np.random.default_rng(0)
    place.mkdir(parents=True)
    arrays = {}
    for part, count in (("train", 96), ("test", 24)):
        arrays[f"y_{part}"] = np.arange(count) % 3
        arrays[f"x_{part}"] = rng.integers(0, 120, (count, 8, 8, 3), dtype=np.uint8)
    np.savez(place / "squares.npz", **arrays)
    strategy = 'name = "random"' if learner in ("uniform", "fair") else 'name = "derived"\nsamples = 6'
    more = f'learner = "{learner}"\noptions = {{ {LEARNERS[learner]} }}\nreport = 1'
    text = tiny_darts.run_file(place / "squares.npz", 6, strategy, steps=15, more=more)
    (place / "run.toml").write_text(text)


def run_once(place: Path, seconds: float | None) -> bool:
    """Runs, or goes on, and is killed after some seconds; whether it ended by itself."""
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(place)], start_new_session=True)
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return False
    assert code == 0
    return True


def check(place: Path, learner: str, kills: int, seed: int) -> int:
    """Compares a killed run with one that was not; returns how many kills met it."""
    prepare(place / "whole", learner)
    begin = time.monotonic()
    assert run_once(place / "whole", None)
    took = time.monotonic() - begin
    rng, met, attempt = random.Random(seed), 0, 0
    while met < kills:
        attempt += 1
        killed = place / f"killed {attempt}"
        prepare(killed, learner)
        (killed / "run.toml").write_text((place / "whole/run.toml").read_text())
        while not run_once(killed, rng.uniform(0.5, 1.0) * took if met < kills else None):
            met += 1
        for name in FILES:
            assert (killed / "run/supernet" / name).read_bytes() == (place / "whole/run/supernet" / name).read_bytes()
        journals = [canonical(read_journal(folder / "run")[1]) for folder in (place / "whole", killed)]
        assert journals[0] == journals[1], FILE_NAME
    from uninas_evo.engine.verify import verify

    assert all(row.agrees for row in verify(killed / "run", 2, trust=True))
    return met


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_killed_run_ends_as_one_that_never_was(tmp_path: Path, learner: str) -> None:
    """Weights, steps and journal are those of the whole run."""
    assert check(tmp_path, learner, 2, 0) == 2


if __name__ == "__main__":
    for name in sys.argv[2:] or LEARNERS:
        with tempfile.TemporaryDirectory() as folder:
            print(name, check(Path(folder), name, int(sys.argv[1]), 0), "kills, the same in the end", flush=True)
