"""What everyday commands cost on a long run: CPU seconds and peak memory of each on a journal of 100,000 evaluations.

    python tests/benchmarks/journal.py [--evaluations 100000] [--folder FOLDER] [--program uninas-evo]

The run is a random walk from the quickstart's skeleton with a function that costs nothing. A folder that holds one
already is measured again; `resume` works on a copy of it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from conditions import conditions

RUN = """
seed = 1
evaluations = {evaluations}
pool = {{devices = "in-process"}}
after = {{rescore = 0, plot = false}}
strategy = {{name = "random_walk"}}
[problem]
start = "coatnet"
objective = "own.py:score"
skeleton = {{image_size = 32, classes = 10, stem = [8, 16], channels = [32, 64], depths = [1, 1]}}
"""
OWN = "def score(genome: 'Genome') -> float:\n    return (sum(genome.text.encode()) * 7919 % 10007) / 10007\n"
TARGETS = {"resume": (13.0, 0.75), "report": (24.5, 0.6), "plot": (5.5, 0.25)}
"""Half of what 0.1.0 took: CPU seconds, GB."""


def measured(command: list[str]) -> tuple[float, float]:
    """CPU seconds of a command with its children, and the peak of its memory in GB."""
    # A shell of its own: getrusage tells the peak of the largest child that this process ever had.
    code = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); "
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6); sys.exit(done.returncode)"
    )
    found = subprocess.run([sys.executable, "-c", code, *command], check=True, stdout=subprocess.PIPE, text=True)
    seconds, memory = found.stdout.split()
    return float(seconds), float(memory)


def main() -> None:
    """Prints a line for each command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--evaluations", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where the run is, or will be kept; removed afterwards without it")
    parser.add_argument("--program", default=str(Path(sys.executable).with_name("uninas-evo")))
    parser.add_argument("--only", help="commands, by comma")
    given = parser.parse_args()
    print(conditions())
    with tempfile.TemporaryDirectory() as place:
        base = given.folder or Path(place)
        base.mkdir(exist_ok=True, parents=True)
        run = base / "r"
        program = [given.program]
        if not run.exists():
            (base / "own.py").write_text(OWN)
            (base / "run.toml").write_text(RUN.format(evaluations=given.evaluations))
            show("run", *measured([*program, "run", str(base / "run.toml"), "--out", str(run)]))
        print(f"journal of {(run / 'journal.jsonl').stat().st_size / 1e6:.0f} MB")
        copy = base / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(run, copy)
        commands = {
            "resume": ["resume", str(copy), "--set", f"evaluations={given.evaluations + 10}"],
            "report": ["report", str(run)],
            "plot": ["plot", str(run)],
            "pick": ["pick", str(run)],
            "verify": ["verify", str(run)],
        }
        for name, command in commands.items():
            if not given.only or name in given.only.split(","):
                show(name, *measured([*program, *command]))


def show(name: str, seconds: float, memory: float) -> None:
    """One line."""
    target = f" (at most {TARGETS[name][0]:g} s, {TARGETS[name][1]:g} GB)" if name in TARGETS else ""
    print(f"{name:7} {seconds:6.1f} s of CPU, {memory:5.2f} GB{target}", flush=True)


if __name__ == "__main__":
    main()
