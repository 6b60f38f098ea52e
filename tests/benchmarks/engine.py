"""What the engine itself costs: overhead of an evaluation, scaling over workers, time to resume.

    python tests/benchmarks/engine.py [--evaluations 1000] [--tasks 24] [--resumed 10000]

Targets: below 2 ms of overhead (ask, tell, journal, dispatch), at least 1.9 times faster with 2 workers than with 1,
below 5 s to resume 10,000 evaluations. Run it on an idle machine with two cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))

from conditions import conditions
from engine_toy import ToyProblem

from uninas_evo.contracts import Problem, Strategy
from uninas_evo.engine.events import Header
from uninas_evo.engine.journal import Journal
from uninas_evo.engine.loop import Loop
from uninas_evo.pool.contract import Pool
from uninas_evo.pool.in_process import InProcessPool
from uninas_evo.pool.open import CpuWorkers, PoolOptions, open_pool
from uninas_evo.registry import find

HEADER = Header(run={}, seed=0, objectives={"sum": "maximize"}, versions={}, host={}, started="now")
WORK_S = 0.5


class Working(ToyProblem):
    """Half a second of one core for each genome."""

    def evaluate(self, genome: Any, device: str) -> Mapping[str, float]:
        """Spins until the processor has worked long enough."""
        end = time.process_time() + WORK_S
        while time.process_time() < end:
            sum(range(1000))
        return super().evaluate(genome, device)


def made(problem: Problem, strategy: str, path: Path | None, evaluations: int) -> Loop:
    """A loop with a journal on disk."""
    journal = Journal(path)
    if not journal.events:
        journal.append(HEADER)
    maker: type[Strategy] = find("strategy", strategy)
    return Loop(problem, maker(problem.space, problem.objectives, seed=0), journal, evaluations=evaluations)


def overhead_ms(pool: Pool, problem: Problem, path: Path, evaluations: int) -> float:
    """Milliseconds of an evaluation that takes no time itself."""
    loop = made(problem, "aging", path, evaluations)
    begin = time.perf_counter()
    loop.run(pool)
    seconds = time.perf_counter() - begin
    scoring = sum(event.measured.seconds for event in loop.results.values())
    loop.journal.close()
    return (seconds - scoring) / evaluations * 1e3


def scaling(evaluations: int) -> float:
    """How many times faster two workers are than one."""
    seconds = {}
    for workers in (1, 2):
        problem = Working()
        with open_pool(PoolOptions(devices=CpuWorkers(cpu=workers)), problem) as pool:
            begin = time.perf_counter()
            made(problem, "aging", None, evaluations).run(pool)
            seconds[workers] = time.perf_counter() - begin
    return seconds[1] / seconds[2]


def resume_s(path: Path, evaluations: int) -> float:
    """Seconds to read and replay a journal."""
    problem = ToyProblem()
    loop = made(problem, "aging", path, evaluations)
    loop.run(InProcessPool(problem))
    loop.journal.close()
    begin = time.perf_counter()
    again = made(problem, "aging", path, evaluations + 1)
    again.replay()
    seconds = time.perf_counter() - begin
    again.journal.close()
    if again.scored != evaluations:
        raise SystemExit(f"only {again.scored} of {evaluations} evaluations came back")
    return seconds


def main() -> None:
    """Prints the three numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluations", type=int, default=1000, help="whose overhead is measured")
    parser.add_argument("--tasks", type=int, default=24, help="of half a second, for one worker and for two")
    parser.add_argument("--resumed", type=int, default=10_000, help="evaluations of the journal that is resumed")
    given = parser.parse_args()
    print(conditions())
    with tempfile.TemporaryDirectory() as folder:
        problem = ToyProblem()
        here = overhead_ms(InProcessPool(problem), problem, Path(folder) / "here.jsonl", given.evaluations)
        print(f"overhead in this process    {here:6.2f} ms an evaluation (journal on disk)")
        with open_pool(PoolOptions(devices=CpuWorkers(cpu=1)), problem) as pool:
            worker = overhead_ms(pool, problem, Path(folder) / "worker.jsonl", given.evaluations)
        print(f"overhead with a worker      {worker:6.2f} ms an evaluation (target: below 2)")
        faster = scaling(given.tasks)
        print(f"2 workers against 1         {faster:6.2f} times faster (0.5 s an evaluation; target: at least 1.9)")
        seconds = resume_s(Path(folder) / "long.jsonl", given.resumed)
        print(f"resume {given.resumed:6,} evaluations   {seconds:6.2f} s (target for 10,000: below 5)")


if __name__ == "__main__":
    main()
