"""What canonical genomes save a training-free search, at equal evaluations: docs/predictors.md.

python tests/benchmarks/canonical.py --seeds 10 --evaluations 150
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from conditions import conditions

import uninas_evo
from uninas_evo.contracts import Budget
from uninas_evo.engine.search import SearchResult
from uninas_evo.problems.uninas import UninasProblem
from uninas_evo.spaces.uninas import Skeleton, UninasSpace, preset, reduce

SKELETON = Skeleton(image_size=24, classes=10, stem=(8, 16), channels=(24, 48), depths=(1, 1))
STRATEGIES = ("random_walk", "evolution", "aging")


def searched(proxy: str, strategy: str, seed: int, evaluations: int, canonical: bool) -> SearchResult:
    """A search from a small ResNet, in a budget around it."""
    space = UninasSpace(preset("resnet", SKELETON), Budget(min_params=20_000, max_params=60_000, max_flops=3e6))
    problem = UninasProblem(space, [proxy], seed=seed, batch=16, canonical=canonical)
    options: dict[str, Any] = {"seed": seed, "evaluations": evaluations, "quiet": True}
    return uninas_evo.search(problem, strategy, pool={"devices": "in-process"}, after={"rescore": 0}, **options)


def main() -> None:
    """Prints a line a strategy: the best score with and without, and in how many seeds it is better with."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--evaluations", type=int, default=150)
    parser.add_argument("--proxy", default="swap")
    arguments = parser.parse_args()
    print(conditions())
    print("| strategy | best without | best with | better, equal, worse | different networks without |")
    print("|---|---|---|---|---|")
    for strategy in STRATEGIES:
        best: dict[bool, list[float]] = {False: [], True: []}
        different = []
        for seed in range(arguments.seeds):
            for canonical in (False, True):
                result = searched(arguments.proxy, strategy, seed, arguments.evaluations, canonical)
                if not canonical:
                    networks = {reduce.canonical(one.genome) for one in result.evaluations}
                    different.append(len(networks) / len(result.evaluations))
                if result.best is not None:
                    best[canonical].append(_score(result.best.genome, arguments.proxy, seed))
        signs = [(b > a) - (b < a) for a, b in zip(best[False], best[True], strict=True)]
        counted = ", ".join(str(signs.count(sign)) for sign in (1, 0, -1))
        means = (f"{statistics.mean(best[kind]):.1f} ± {statistics.stdev(best[kind]):.1f}" for kind in (False, True))
        print(f"| `{strategy}` | {' | '.join(means)} | {counted} | {statistics.mean(different):.0%} |", flush=True)


def _score(genome: Any, proxy: str, seed: int) -> float:
    """The score of the canonical genome, by which both searches are compared."""
    problem = UninasProblem(UninasSpace(genome), [proxy], seed=seed, batch=16)
    return float(problem.evaluate(genome, "cpu")[proxy])


if __name__ == "__main__":
    main()
