"""Queries until the optimum of NAS-Bench-201, for each strategy: the numbers in docs/strategies.md.

    python tests/benchmarks/nasbench201.py --table TABLE --seeds 200 --strategies random evolution aging
    python tests/benchmarks/nasbench201.py --table TABLE --strategies evolution --set population=16 --set offspring=8

Prints, for each dataset, the median number of distinct evaluations until the optimum with its quartiles (runs that
did not reach it within the limit count as infinite), and the median best accuracy after 100 and 200 evaluations.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from conditions import conditions

from uninas_evo.contracts import Result, StopSearch, Strategy, numbered
from uninas_evo.problems.nasbench201 import NASBench201Problem


def best_so_far(strategy: Strategy, problem: NASBench201Problem, limit: int) -> list[float]:
    """The best accuracy after each distinct evaluation, until the optimum or the limit."""
    known: dict[Any, Mapping[str, float]] = {}
    curve: list[float] = []
    asked = 0
    while len(known) < limit:
        try:
            drafts = strategy.ask()
        except StopSearch:
            break
        for candidate in (numbered(draft, number) for number, draft in enumerate(drafts, asked)):
            values = known.get(candidate.genome) or problem.evaluate(candidate.genome, "cpu")
            if candidate.genome not in known:
                known[candidate.genome] = values
                curve.append(max(values["accuracy"], curve[-1] if curve else 0.0))
            strategy.tell([Result(candidate, values)])
        asked += len(drafts)
        if curve[-1] >= problem.optimum:
            break
    return curve[:limit]


def queries(curve: list[float], optimum: float) -> float:
    """The number of evaluations until the optimum, infinite where it was not reached."""
    return next((number for number, best in enumerate(curve, 1) if best >= optimum), math.inf)


def line(name: str, problem: NASBench201Problem, options: dict[str, Any], seeds: int, limit: int) -> str:
    """One row of the table."""
    (entry,) = entry_points(group="uninas_evo.strategies", name=name)
    strategy = entry.load()
    began = time.perf_counter()
    curves = [
        best_so_far(strategy(problem.space, problem.objectives, seed=seed, **options), problem, limit)
        for seed in range(seeds)
    ]
    took = sorted(queries(curve, problem.optimum) for curve in curves)
    quartiles = " ".join(f"{took[min(len(took) - 1, int(len(took) * q))]:7.0f}" for q in (0.25, 0.5, 0.75))
    best = " ".join(f"{statistics.median(curve[min(n, len(curve)) - 1] for curve in curves):8.3f}" for n in (100, 200))
    reached = sum(map(math.isfinite, took)) / seeds
    seconds = time.perf_counter() - began
    return f"{name:12} {quartiles}  {reached:6.1%} {best}  {seconds:6.1f} s"


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def main() -> None:
    """Parses the command line and prints a table for each dataset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--table", type=Path, required=True, help="the benchmark's table, as for the problem")
    parser.add_argument("--strategies", nargs="+", default=["evolution", "aging"])
    parser.add_argument("--datasets", nargs="+", default=["cifar10", "cifar100"])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--limit", type=int, default=1000, help="distinct evaluations of a run")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="an option of the strategy")
    arguments = parser.parse_args()
    options = {key: _value(text) for key, text in (item.split("=", 1) for item in arguments.set)}
    print(conditions())
    for dataset in arguments.datasets:
        problem = NASBench201Problem(arguments.table, dataset)
        print(f"{dataset}: optimum {problem.optimum}, {arguments.seeds} seeds, options {options or 'default'}")
        print(f"{'':12} {'q25':>7} {'median':>7} {'q75':>7}  {'found':>6} {'at 100':>8} {'at 200':>8}")
        for name in arguments.strategies:
            print(line(name, problem, options, arguments.seeds, arguments.limit), flush=True)


if __name__ == "__main__":
    main()
