"""Encodings of the UniNAS space for Bayesian search, compared on a landscape that costs nothing.

    python tests/benchmarks/encodings.py --seeds 16
    python tests/benchmarks/encodings.py --score vkdnw --seeds 4 --evaluations 60

The landscape is made up: every operation and every pair of neighbors in a chain has a random weight for its place,
each chain's sum is squashed, and the seed makes another landscape. It is rugged, and good topologies are neither
large nor small. `--score vkdnw` scores networks instead. Prints the mean best after a third, two thirds and all of
the evaluations, with the standard error of the last.
"""

from __future__ import annotations

import argparse
import itertools
import math
import random
import statistics
import time
import zlib
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from conditions import conditions

from uninas_evo import Budget, Objective, Result, Skeleton, UninasProblem, UninasSpace, preset
from uninas_evo.contracts import numbered
from uninas_evo.spaces.uninas import compose, space

SKELETON = Skeleton(image_size=32, classes=10, stem=(8, 16), channels=(32, 64), depths=(1, 1))
SPACE = UninasSpace(preset("coatnet", SKELETON), Budget(max_params=150_000, max_flops=30e6))
FAR = compose.FAR
ROWS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "random": ("random", {}, {}),
    "random_walk": ("random_walk", {}, {}),
    "uninas": ("uninas", {}, {}),
    "evolution": ("evolution", {}, {}),
    "aging": ("aging", {}, {}),
    "bayesian (default)": ("bayesian", {}, {}),
    "from the preset, 1 to 16 edits": ("bayesian", {"restart": 0}, {}),
    "from the preset, 1 to 4 edits": ("bayesian", {"restart": 0}, {"far": ("1", "2", "4")}),
    "restart after 5": ("bayesian", {"restart": 5}, {}),
    "restart after 20": ("bayesian", {"restart": 20}, {}),
    "1 edit": ("bayesian", {}, {"near": ("1",)}),
    "1 to 3 edits": ("bayesian", {}, {"near": ("1", "2", "3")}),
    "1, 2 or 4 edits": ("bayesian", {}, {"near": ("1", "2", "4")}),
    "places in quarters": ("bayesian", {}, {"parts": 4}),
    "places in sixteenths": ("bayesian", {}, {"parts": 16}),
    "no model (random sampler)": ("bayesian", {"sampler": "random"}, {}),
}


def landscape(seed: int) -> Callable[[Any], float]:
    """A score of genomes; another seed gives another one."""

    def weight(*key: Any) -> float:
        return random.Random(zlib.crc32(repr((seed, *key)).encode())).gauss(0, 1)

    def total(chain: Any, path: str) -> float:
        names = ["", *(node.operation.name for node in chain.nodes), ""]
        value = sum(weight(path, name) for name in names[1:-1])
        value += sum(weight(path, a, b) for a, b in itertools.pairwise(names))
        return value + sum(
            total(branch, f"{path}/{node.operation.name}") for node in chain.nodes for branch in node.branches
        )

    return lambda genome: sum(math.tanh(total(chain, str(i)) / 6) for i, chain in enumerate(genome.chains))


def proxy(seed: int) -> Callable[[Any], float]:
    """VKDNW with small settings; the seed is that of images and weights."""
    problem = UninasProblem(SPACE, ["vkdnw"], seed=seed, batch=32, proxies={"vkdnw": {"inits": 1}})
    return lambda genome: problem.evaluate(genome, "cpu")["vkdnw"]


def best_so_far(
    name: str, options: dict[str, Any], score: Callable[[Any], float], seed: int, limit: int
) -> list[float]:
    """The best value after each distinct evaluation."""
    (entry,) = entry_points(group="uninas_evo.strategies", name=name)
    strategy = entry.load()(SPACE, [Objective("score", "maximize")], seed=seed, **options)
    known: dict[Any, float] = {}
    curve: list[float] = []
    asked = itertools.count()
    while len(curve) < limit:
        for draft in strategy.ask():
            if draft.genome not in known:
                known[draft.genome] = score(draft.genome)
                curve.append(max(known[draft.genome], curve[-1] if curve else -math.inf))
            strategy.tell([Result(numbered(draft, next(asked)), {"score": known[draft.genome]})])
            if len(curve) == limit:
                break
    return curve


def main() -> None:
    """Prints a line for each encoding."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--evaluations", type=int, default=150)
    parser.add_argument("--score", choices=["landscape", "vkdnw"], default="landscape")
    parser.add_argument("--only", nargs="+", default=list(ROWS), metavar="ROW")
    arguments = parser.parse_args()
    print(conditions())
    made = landscape if arguments.score == "landscape" else proxy
    limit = arguments.evaluations
    for row in arguments.only:
        name, options, encoding = ROWS[row]
        space.NEAR = encoding.get("near", compose.NEAR)
        object.__setattr__(SPACE, "edits", encoding.get("far", FAR))
        compose.PARTS = tuple(map(str, range(encoding.get("parts", 8))))
        began = time.perf_counter()
        curves = [best_so_far(name, options, made(seed), seed, limit) for seed in range(arguments.seeds)]
        means = " ".join(f"{statistics.mean(c[limit * k // 3 - 1] for c in curves):7.3f}" for k in (1, 2, 3))
        error = statistics.stdev(c[-1] for c in curves) / math.sqrt(len(curves))
        print(f"{row:32}{means} ± {error:.3f}  {time.perf_counter() - began:6.0f} s", flush=True)


if __name__ == "__main__":
    main()
