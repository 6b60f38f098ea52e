"""The best cell of NAS-Bench-201 within a bound on a device's latency or energy: the numbers in docs/devices.md.

    python tests/benchmarks/devices.py --accuracy TABLE --hardware TABLE --seeds 50

For each bound: how many neighbors of the best cell are inside. For each strategy: how many of the seeds found that cell
within the limit of evaluations, and the median regret in points of accuracy.
"""

from __future__ import annotations

import argparse
import statistics
from importlib.metadata import entry_points
from pathlib import Path

from conditions import conditions
from nasbench201 import best_so_far

from uninas_evo.contracts import Budget
from uninas_evo.problems.nasbench201 import NASBench201Problem

BOUNDS = {
    "edgegpu_latency_ms": (3, 4, 5, 6),
    "edgegpu_energy_mj": (15, 20, 25),
    "raspi4_latency_ms": (10, 20, 40),
}


def row(problem: NASBench201Problem, name: str, seeds: int, limit: int) -> str:
    """How many seeds found the optimum, and the median regret."""
    (entry,) = entry_points(group="uninas_evo.strategies", name=name)
    strategy = entry.load()
    regrets = []
    for seed in range(seeds):
        curve = best_so_far(strategy(problem.space, problem.objectives, seed=seed), problem, limit)
        regrets.append(problem.optimum - curve[-1])
    found = sum(regret <= 0 for regret in regrets)
    return f"{name:10} {found:3d} of {seeds}, median regret {statistics.median(regrets):.3f}"


def neighbors(problem: NASBench201Problem) -> str:
    """How many cells inside differ from the best one in one edge, and the best rank among them."""
    accuracy = {genome: problem.evaluate(genome, "cpu")["accuracy"] for genome in problem.space.genomes}
    best = max(accuracy, key=accuracy.__getitem__)
    near = [accuracy[cell] for cell in accuracy if sum(a != b for a, b in zip(cell, best, strict=True)) == 1]
    rank = 1 + sum(value > max(near) for value in accuracy.values())
    return f"{len(near)} neighbors inside, the best of rank {rank}"


def main() -> None:
    """Parses the command line and prints a line for each bound and strategy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--accuracy", type=Path, required=True, help="the benchmark's table, as for the problem")
    parser.add_argument("--hardware", type=Path, required=True, help="latencies and energies of its cells")
    parser.add_argument("--strategies", nargs="+", default=["evolution", "aging"])
    parser.add_argument("--costs", nargs="+", default=list(BOUNDS), choices=list(BOUNDS), help="whose bounds")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--limit", type=int, default=300, help="distinct evaluations of a run")
    arguments = parser.parse_args()
    print(conditions())
    for cost in arguments.costs:
        for bound in BOUNDS[cost]:
            budget, table = Budget(**{f"max_{cost}": bound}), {cost: {"table": arguments.hardware}}
            problem = NASBench201Problem(arguments.accuracy, budget=budget, costs=table)
            print(f"{cost:20} {bound:3d}  best {problem.optimum:.4f}  {neighbors(problem)}", flush=True)
            for name in arguments.strategies:
                found = row(problem, name, arguments.seeds, arguments.limit)
                print(f"{cost:20} {bound:3d}  best {problem.optimum:.4f}  {found}", flush=True)


if __name__ == "__main__":
    main()
