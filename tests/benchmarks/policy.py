"""Policies that learn to search: queries to the optimum of NAS-Bench-201, and what an ask and a tell cost.

    python tests/benchmarks/policy.py --table nasbench201_test_accuracy.csv.gz --seeds 60

Prints for `ppo` and `reinforce`: median and quartiles of the evaluations to the optimum, how many searches did not
find it within the limit, fields of a planted UniNet-B0 that are found, and milliseconds an evaluation.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from conditions import conditions

from uninas_evo.contracts import Objective, Result, StopSearch, numbered
from uninas_evo.problems.nasbench201 import NASBench201Problem
from uninas_evo.spaces.load import load_genome
from uninas_evo.spaces.uninet.space import UninetSpace
from uninas_evo.strategies.policy_gradient import PPO, Reinforce

STRATEGIES = {"ppo": PPO, "reinforce": Reinforce}


def queries(kind: Any, problem: NASBench201Problem, seed: int, limit: int) -> int:
    """Evaluations until the optimum is asked, limit + 1 where it is not."""
    strategy = kind(problem.space, problem.objectives, seed=seed)
    number = 0
    while number < limit:
        candidates = [numbered(draft, number + place) for place, draft in enumerate(strategy.ask())]
        results = []
        for candidate in candidates:
            accuracy = problem.accuracy[candidate.genome.text]
            number += 1
            if accuracy == problem.optimum:
                return number
            results.append(Result(candidate, {"accuracy": accuracy}))
        strategy.tell(results)
    return limit + 1


def planted(kind: Any, seed: int, asks: tuple[int, ...]) -> list[int]:
    """The most fields in which a genome equals UniNet-B0, after so many asks."""
    space = UninetSpace()
    wanted = fields(load_genome("uninet-b0"))
    strategy = kind(space, [Objective("fields", "maximize")], seed=seed)
    best, number, found = 0, 0, []
    while len(found) < len(asks):
        try:
            candidates = [numbered(draft, number + place) for place, draft in enumerate(strategy.ask())]
        except StopSearch:
            break
        results = []
        for candidate in candidates:
            value = sum(a == b for a, b in zip(fields(candidate.genome), wanted, strict=True))
            best, number = max(best, value), number + 1
            if number in asks:
                found.append(best)
            results.append(Result(candidate, {"fields": float(value)}))
        strategy.tell(results)
    return found + [best] * (len(asks) - len(found))


def fields(genome: Any) -> list[Any]:
    """The 25 decisions of a UniNet genome, as they stand in it."""
    return [value for s in genome.stages for value in (s.operator, s.module, s.expansion, s.channels, s.repeats)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=60)
    parser.add_argument("--limit", type=int, default=500)
    parser.add_argument("--planted", type=int, default=20, help="seeds of the planted network")
    given = parser.parse_args()
    print(conditions())
    for dataset in ("cifar10", "cifar100"):
        problem = NASBench201Problem(given.table, dataset)
        for name, kind in STRATEGIES.items():
            begin = time.process_time()
            found = np.array([queries(kind, problem, 1000 + seed, given.limit) for seed in range(given.seeds)])
            cost = 1000 * (time.process_time() - begin) / np.minimum(found, given.limit).sum()
            low, median, high = np.percentile(found, [25, 50, 75])
            missed = int((found > given.limit).sum())
            print(
                f"{dataset} {name}: median {median:g} ({low:g} to {high:g}) evaluations to the optimum, "
                f"{missed} of {given.seeds} not found in {given.limit}; {cost:.2f} ms an evaluation"
            )
    asks = (100, 200, 400)
    for name, kind in STRATEGIES.items():
        runs = np.array([planted(kind, 1000 + seed, asks) for seed in range(given.planted)])
        print(f"planted B0 {name}: fields of 25 after {asks}: median {np.median(runs, 0)}, least {runs.min(0)}")


if __name__ == "__main__":
    main()
