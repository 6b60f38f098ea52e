"""How reliable is VKDNW between neighbors of a search, and at what cost? Prints the table of docs/proxies.md.

Networks of a mutation walk from a small CoAtNet, inside ±10 % of its parameters and FLOPs, are scored with several
seeds. Reliability is the variance between networks over the total variance, by one-way analysis of variance; "at
common seeds" leaves out what a seed adds to all networks alike, which cannot change a ranking.

    python tests/benchmarks/reliability.py --networks 30 --seeds 8
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from conditions import conditions
from torch import nn

from uninas_evo.contracts import Budget
from uninas_evo.proxies import Inputs, vkdnw
from uninas_evo.spaces.uninas import Genome, Skeleton, UninasSpace, preset
from uninas_evo.spaces.uninas.network import build

SETTINGS: dict[str, tuple[int, dict[str, Any]]] = {
    "published, by block": (64, {"mode": "exact", "entries": 1, "inits": 1}),
    "eight entries, M = 4": (64, {"mode": "probed", "entries": 8, "inits": 1}),
    "eight entries, N = 16": (16, {"mode": "exact", "entries": 8, "inits": 1}),
    "eight entries, N = 16, calibrated": (16, {"mode": "exact", "entries": 8, "inits": 1, "calibrate": True}),
    "default": (64, {}),
}


def small_coatnet(depth: int) -> Genome:
    """The start: 32×32 images, two stages of `depth` blocks."""
    skeleton = Skeleton(image_size=32, classes=10, stem=(16, 16), channels=(32, 64), depths=(depth, depth))
    return preset("coatnet", skeleton)


def walk(start: Genome, count: int, seed: int = 0) -> list[Genome]:
    """Distinct genomes of a mutation walk inside ±10 % of the start's cost."""
    budget = Budget(0.9 * start.params, 1.1 * start.params, 0.9 * start.flops, 1.1 * start.flops)
    space, rng = UninasSpace(start=start, budget=budget), random.Random(seed)
    found, genome = {start: None}, start
    while len(found) < count:
        genome = space.mutate(genome, rng) or start
        found[genome] = None
    return list(found)


def reliability(values: np.ndarray) -> tuple[float, float]:
    """Variance between networks over total, of values (T, seeds): plain, and at common seeds."""
    networks, seeds = values.shape
    between = seeds * values.mean(1).var(ddof=1)
    within = values.var(1, ddof=1).mean()
    centered = values - values.mean(0)
    residual = ((centered - centered.mean(1, keepdims=True)) ** 2).sum() / ((networks - 1) * (seeds - 1))

    def share(noise: float) -> float:
        signal = max(0.0, (between - noise) / seeds)
        return signal / (signal + noise)

    return share(within), share(residual)


def cpu_seconds(function: Callable[[], object]) -> float:
    """CPU seconds of a call: a busy machine changes them little."""
    start = time.process_time()
    function()
    return time.process_time() - start


def forward_seconds(net: nn.Module, images: torch.Tensor) -> float:
    """Seconds of one forward pass, the median of five."""
    with torch.no_grad():
        return float(np.median([cpu_seconds(lambda: net(images)) for _ in range(5)]))


def main() -> None:
    """Prints a line for each setting."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--networks", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--walk", type=int, default=0, help="seed of the walk")
    parser.add_argument("--depth", type=int, default=1, help="blocks of each of the two stages")
    parser.add_argument("--only", help="a setting's name")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(conditions())
    networks = [
        build(genome).eval() for genome in walk(small_coatnet(arguments.depth), arguments.networks, arguments.walk)
    ]
    images = torch.randn(64, 3, 32, 32).to(memory_format=torch.channels_last)
    forward = float(np.mean([forward_seconds(net, images) for net in networks]))
    print(f"one forward pass of 64 images: {1000 * forward:.0f} ms")
    print("| setting | reliability | at common seeds | forward passes | s a network | mean | between networks |")
    print("|---|---|---|---|---|---|---|")
    for name, (batch, options) in SETTINGS.items():
        if arguments.only not in (None, name):
            continue
        values = np.zeros((len(networks), arguments.seeds))

        def fill(values: np.ndarray = values, batch: int = batch, options: dict[str, Any] = options) -> None:
            for (i, seed), _ in np.ndenumerate(values):
                values[i, seed] = vkdnw(networks[i], Inputs(batch=batch, seed=seed), **options).mean

        seconds = cpu_seconds(fill) / values.size
        plain, common = reliability(values)
        spread = values.mean(1).std(ddof=1)
        print(
            f"| {name} | {plain:.2f} | {common:.2f} | {seconds / forward:.0f} | {seconds:.2f} "
            f"| {values.mean():.3f} | {spread:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
