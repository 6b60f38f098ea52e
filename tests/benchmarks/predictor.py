"""Queries until the optimum of NAS-Bench-201 for `predictor`, and what its asks cost: docs/predictors.md.

python tests/benchmarks/predictor.py --table TABLE --seeds 50 [--set warm_start=flops --set warm_samples=5000]
python tests/benchmarks/predictor.py --table TABLE --ask
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from pathlib import Path
from typing import Any

from conditions import conditions
from nasbench201 import _value

from uninas_evo.contracts import Result, numbered
from uninas_evo.problems.nasbench201 import NASBench201Problem
from uninas_evo.strategies.predictor import PredictorSearch


def queries(problem: NASBench201Problem, seed: int, limit: int, options: dict[str, Any]) -> float:
    """Distinct evaluations until the optimum, infinite where the limit comes first."""
    strategy = PredictorSearch(problem.space, problem.objectives, seed=seed, **options)
    known: set[Any] = set()
    number = 0
    while len(known) < limit:
        for draft in strategy.ask():
            values = problem.evaluate(draft.genome, "cpu")
            known.add(draft.genome)
            if values["accuracy"] >= problem.optimum:
                return len(known)
            strategy.tell([Result(numbered(draft, number), values)])
            number += 1
    return math.inf


def asks(problem: NASBench201Problem, results: int, options: dict[str, Any]) -> list[float]:
    """Seconds of CPU of each ask from `results` to half as many more."""
    strategy = PredictorSearch(problem.space, problem.objectives, seed=0, lag=1, **options)
    seconds = []
    for number in range(results + results // 2):
        began = time.process_time()
        (draft,) = strategy.ask()
        seconds.append(time.process_time() - began)
        strategy.tell([Result(numbered(draft, number), problem.evaluate(draft.genome, "cpu"))])
    return seconds[results:]


def main() -> None:
    """Parses the command line and prints one line for each data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--table", type=Path, required=True, help="the benchmark's table, as for the problem")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--limit", type=int, default=300, help="distinct evaluations of a run")
    parser.add_argument("--ask", action="store_true", help="time asks at 1,000 results and 500 drafts instead")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="an option of the strategy")
    arguments = parser.parse_args()
    options = {key: _value(text) for key, text in (item.split("=", 1) for item in arguments.set)}
    print(conditions())
    if arguments.ask:
        took = asks(NASBench201Problem(arguments.table), 1000, {"startup": 1, "drafts": 500} | options)
        print(f"ask at 1,000 results, CPU time: mean {1e3 * statistics.mean(took):.1f} ms, ", end="")
        print(f"median {1e3 * statistics.median(took):.2f} ms, most {1e3 * max(took):.0f} ms; {options or 'default'}")
        return
    for dataset in ("cifar10", "cifar100"):
        problem = NASBench201Problem(arguments.table, dataset)
        took = sorted(queries(problem, seed, arguments.limit, options) for seed in range(arguments.seeds))
        low, high = (took[int(len(took) * share)] for share in (0.25, 0.75))
        found = sum(map(math.isfinite, took)) / len(took)
        print(f"{dataset}: median {statistics.median(took):g} (quartiles {low:g} to {high:g}), found {found:.0%}")


if __name__ == "__main__":
    main()
