"""Searches, comparisons and trainings of the real command, killed again and again: each ends as one that never was.

The whole, by hand: `python tests/long/test_kills.py searches|comparisons|trainings|pauses COUNT [SEED]`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uninas_evo.engine.events import canonical
from uninas_evo.engine.journal import read_journal

pytestmark = pytest.mark.long
COMMAND = [sys.executable, "-c", "from uninas_evo.cli import main; main()"]
STRATEGIES = ("evolution", "aging", "nsga2", "bayesian", "uninas")
SIGNALS = {"SIGKILL": [signal.SIGKILL], "SIGTERM": [signal.SIGTERM], "Ctrl-C": [signal.SIGINT]}
SIGNALS["Ctrl-C twice"] = [signal.SIGINT, signal.SIGINT]
KILLS = 4
SKELETON = "skeleton = {image_size = 32, classes = 10, stem = [8, 16], channels = [32, 64], depths = [1, 1]}"
OWN = "import time\nfrom helper import K\ndef score(genome: 'Genome'):\n    time.sleep(PAUSE)\n"
OWN += "    return {'a': K * (sum(genome.text.encode()) % 997), 'b': float(len(genome.text))}\n"
OBJECTIVES = 'objectives = [{name = "own.py:score", values = {a = "maximize", b = "minimize"}}]'


def start(place: Path, *arguments: str) -> subprocess.Popen[str]:
    """The command in a process group of its own."""
    return subprocess.Popen(
        [*COMMAND, *arguments], cwd=place, start_new_session=True, text=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> str:
    """Waits until it has ended well; what it wrote on stderr."""
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    return errors


def kill(process: subprocess.Popen[str], signals: Sequence[signal.Signals], seconds: float) -> str:
    """Sends signals to the group after some time, if it still runs; what it wrote."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        for number in signals:
            os.killpg(process.pid, number)
            time.sleep(0.3)
    return process.communicate(timeout=600)[1]


def own(place: Path, pause: float) -> None:
    """An objective that imports a module: both are part of the run's identity."""
    (place / "own.py").write_text(OWN.replace("PAUSE", str(pause)))
    (place / "helper.py").write_text("K = 1.5\n")


def searches(place: Path, rng: random.Random) -> tuple[int, int]:
    """One search, killed and resumed: kills, and tracebacks on the way."""
    strategy, kind, workers = rng.choice(STRATEGIES), rng.choice(list(SIGNALS)), rng.choice([1, 2])
    several = strategy == "nsga2"
    objectives = OBJECTIVES if several else OBJECTIVES.replace(', b = "minimize"', "")
    own(place, 0.05)
    if not several:
        (place / "own.py").write_text((place / "own.py").read_text().replace(", 'b': float(len(genome.text))", ""))
    (place / "run.toml").write_text(
        f"evaluations = 40\npool = {{devices = {{cpu = {workers}}}}}\nafter = {{rescore = 0, plot = false}}\n"
        f'strategy = {{name = "{strategy}"}}\n[problem]\nstart = "coatnet"\n{objectives}\n{SKELETON}\n'
    )
    ended(start(place, "run", "run.toml", "--out", "whole", "--set", 'pool.devices="in-process"'))
    kills = traces = 0
    for _ in range(KILLS):
        begun = (place / "r/journal.jsonl").exists() and b"\n" in (place / "r/journal.jsonl").read_bytes()
        process = start(place, *(("resume", "r") if begun else ("run", "run.toml", "--out", "r")))
        traces += "Traceback" in kill(process, SIGNALS[kind], rng.uniform(1.0, 6.0))
        kills += process.returncode != 0
    begun = (place / "r/journal.jsonl").exists() and b"\n" in (place / "r/journal.jsonl").read_bytes()
    ended(start(place, *(("resume", "r") if begun else ("run", "run.toml", "--out", "r"))))
    assert canonical(read_journal(place / "r")[1]) == canonical(read_journal(place / "whole")[1])
    names = sorted(path.relative_to(place / "whole") for path in (place / "whole").rglob("*.txt"))
    assert names
    assert all((place / "r" / name).read_text() == (place / "whole" / name).read_text() for name in names)
    (place / "helper.py").write_text("K = 2.0\n")
    process = start(place, "resume", "r", "--set", "evaluations=41")
    assert "is not the one that this run was started with" in process.communicate()[1]
    return kills, traces


def comparisons(place: Path, rng: random.Random) -> tuple[int, int]:
    """One comparison, killed and given again."""
    own(place, 0.02)
    (place / "c.toml").write_text(
        'seeds = 2\nevaluations = 25\nbaseline = "random"\n[pool]\ndevices = {cpu = 2}\n[problems.p]\nname = "uninas"\n'
        f'start = "coatnet"\n{OBJECTIVES}\n{SKELETON}\n[strategies.random]\nname = "random"\n'
        '[strategies.moving]\nname = "nsga2"\npopulation = 8\n'
    )
    ended(start(place, "compare", "c.toml", "--out", "whole"))
    kills = traces = 0
    for _ in range(KILLS):
        process = start(place, "compare", "c.toml", "--out", "c")
        traces += "Traceback" in kill(process, [signal.SIGKILL], rng.uniform(1.5, 8.0))
        kills += process.returncode != 0
    ended(start(place, "compare", "c.toml", "--out", "c"))
    cells = sorted(path.relative_to(place / "whole") for path in (place / "whole").rglob("journal.jsonl"))
    assert len(cells) == 4
    for cell in cells:
        one, other = (canonical(read_journal(place / root / cell)[1]) for root in ("c", "whole"))
        assert one == other
    return kills, traces


def trainings(place: Path, rng: random.Random) -> tuple[int, int]:
    """One training, killed and given again: the same tensors and the same numbers."""
    from safetensors.numpy import load_file

    draw = np.random.default_rng(0)
    images, labels = draw.integers(0, 256, (512, 32, 32, 3), dtype=np.uint8), np.arange(512) % 10
    np.savez(place / "d.npz", x_train=images, y_train=labels, x_test=images[:64], y_test=labels[:64])
    own(place, 0)
    genome = subprocess.run(
        [*COMMAND, "convert", "vit", "--to", "text", "--image-size", "32", "--classes", "10"],
        check=True, text=True, capture_output=True,
    ).stdout  # fmt: skip
    lines = [line for line in genome.splitlines() if not line.startswith(("stem", "stage", "  "))]
    blocks = ["stage 32", "  1: conv_exp4(batchnorm gelu dw3)", "  2: zero"]
    (place / "g.txt").write_text("\n".join([*lines, "stem 8 16", *blocks]) + "\n")
    arguments = ["train", "g.txt", "--data", "d.npz", "--set", "epochs=3", "--out"]
    ended(start(place, *arguments, "whole"))
    kills = traces = 0
    for _ in range(2):
        process = start(place, *arguments, "t")
        traces += "Traceback" in kill(process, [signal.SIGKILL], rng.uniform(2.0, 12.0))
        kills += process.returncode != 0
    ended(start(place, *arguments, "t"))
    one, other = (load_file(place / root / "weights.safetensors") for root in ("t", "whole"))
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)
    facts = [json.loads((place / root / "training.json").read_text()) for root in ("t", "whole")]
    assert _numbers(facts[0]) == _numbers(facts[1])
    return kills, traces


def _numbers(content: Any) -> Any:
    """What does not depend on when and how long."""
    if isinstance(content, dict):
        timed = ("second", "time", "per_s", "started", "resumed", "host")
        return {key: _numbers(one) for key, one in content.items() if not any(word in key for word in timed)}
    return [_numbers(one) for one in content] if isinstance(content, list) else content


def pauses(place: Path, rng: random.Random) -> tuple[int, int]:
    """One search, stopped for longer than a candidate may take and continued: no candidate fails of it."""
    own(place, 0.2)
    (place / "run.toml").write_text(
        "evaluations = 30\npool = {devices = {cpu = 2}, time_limit_s = 4}\nafter = {rescore = 0, plot = false}\n"
        f'strategy = {{name = "nsga2"}}\n[problem]\nstart = "coatnet"\n{OBJECTIVES}\n{SKELETON}\n'
    )
    ended(start(place, "run", "run.toml", "--out", "whole", "--set", 'pool.devices="in-process"'))
    process = start(place, "run", "run.toml", "--out", "r")
    while not (place / "r/journal.jsonl").exists() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(rng.uniform(0, 1))
    os.killpg(process.pid, signal.SIGSTOP)
    time.sleep(9)
    os.killpg(process.pid, signal.SIGCONT)
    ended(process)
    assert canonical(read_journal(place / "r")[1]) == canonical(read_journal(place / "whole")[1])
    return 1, 0


KINDS = {"pauses": pauses, "searches": searches, "comparisons": comparisons, "trainings": trainings}


@pytest.mark.parametrize("kind", KINDS)
def test_killed_and_given_again(kind: str, tmp_path: Path) -> None:
    """One of each kind."""
    KINDS[kind](tmp_path, random.Random(1))


def main(kind: str, count: int, seed: int) -> None:
    """Prints each that ends otherwise, and the counts."""
    same = kills = traces = 0
    for number in range(count):
        with tempfile.TemporaryDirectory() as place:
            try:
                counted = KINDS[kind](Path(place), random.Random(f"{kind} {seed} {number}"))
            except (AssertionError, subprocess.CalledProcessError) as error:
                print(number, repr(error)[:600], flush=True)
                continue
        same, kills, traces = same + 1, kills + counted[0], traces + counted[1]
        print(f"{same} of {number + 1} {kind} as never killed; {kills} kills, {traces} with a traceback", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int((sys.argv[3:] or ["0"])[0]))
