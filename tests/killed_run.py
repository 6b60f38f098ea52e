"""Runs a search that is killed 25 times: `python killed_run.py STRATEGY OBJECTIVES FOLDER SEED`.

Each part of the run is a process group of its own, which gets `kill -9` at a random moment. Parts are forked from one
process that has imported everything, so that a part starts within milliseconds.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

from engine_toy import ToyProblem

from uninas_evo.config.runfile import AfterOptions
from uninas_evo.engine.journal import FILE_NAME
from uninas_evo.engine.search import Plan, execute
from uninas_evo.pool.open import PoolOptions
from uninas_evo.registry import find

KILLS = 25
EVALUATIONS = 120


def run(strategy: str, objectives: int, folder: Path, *, resume: bool = False) -> None:
    """One part of the run, in this process."""
    problem = ToyProblem(objectives=objectives, noise=1.0, accident="raise")
    made = find("strategy", strategy)(problem.space, problem.objectives, seed=0)
    pool, after = PoolOptions(devices="in-process"), AfterOptions(rescore=0, plot=False)
    plan = Plan(problem, made, 0, EVALUATIONS, None, pool, after, {})
    execute(plan, folder, resume=resume)


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def part(strategy: str, objectives: int, folder: Path) -> int:
    """Starts or continues the run in a process group of its own; its id."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        try:
            run(strategy, objectives, folder, resume=size(folder / FILE_NAME) > 0)
        except BaseException as error:  # the parent reads the exit code
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return child


def main(strategy: str, objectives: int, folder: Path, seed: int) -> None:
    """Kills the run 25 times, the moments spread over its journal, then lets it end."""
    rng = random.Random(seed)
    whole = folder.with_name("whole")
    run(strategy, objectives, whole)
    end = size(whole / FILE_NAME)
    moments = sorted(rng.uniform(0, end) for _ in range(KILLS))
    for moment in moments:
        child = part(strategy, objectives, folder)
        limit = time.monotonic() + rng.choice([0.02, 5])  # some die before they have got anywhere
        while size(folder / FILE_NAME) < moment and time.monotonic() < limit:
            time.sleep(0.0002)
        time.sleep(rng.uniform(0, 0.003))
        try:
            os.killpg(child, signal.SIGKILL)
        except ProcessLookupError:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
            sys.exit("a part failed")
        if not os.WIFEXITED(status):
            print("killed", size(folder / FILE_NAME))
    _, status = os.waitpid(part(strategy, objectives, folder), 0)
    sys.exit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
