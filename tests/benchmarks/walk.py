"""Steps of a random walk per second: ours, recording parameters and FLOPs at each, and the package `uninas`.

Both walks run in this process, from CoAtNet at 224 px, on one core. A step of ours is one attempt at the paper's
Algorithm 1; a step of the package is one call of `create_new_model`, which makes up to six attempts. Seconds are
CPU seconds of this process, so that other work on the machine does not count.

With --latency the same walk by `UninasSpace.attempt`, without and with a bound on a latency that is summed over
pieces; their times are made up (a microsecond and a nanosecond a value), which does not matter to what a sum costs.

    OMP_NUM_THREADS=1 python tests/benchmarks/walk.py [--steps 500000] [--package-steps 24] [--latency]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import time
from pathlib import Path

import numpy as np
from conditions import conditions

from uninas_evo.contracts import Budget
from uninas_evo.devices.profile import ProfileCost, values
from uninas_evo.spaces.uninas import StepRule, UninasSpace, genome_to_package, preset, step

BUDGET = Budget(max_params=40e6, max_flops=20e9)


def ours(steps: int, length: int) -> tuple[float, float, int]:
    """Attempts and accepted steps a second, and nodes of the largest genome, of walks of `length` steps each."""
    start, rule, rng = preset("coatnet"), StepRule(), random.Random(0)
    sizes = np.empty((steps, 2), np.int64)
    accepted = largest = 0
    genome = start
    begin = time.process_time()
    for number in range(steps):
        if number % length == 0:
            genome = start
        new = step(genome, BUDGET, rule, rng)
        if new is not None:
            genome = new
            accepted += 1
        if number % 101 == 0:
            largest = max(largest, len(genome))
        sizes[number] = genome.params, genome.flops
    seconds = time.process_time() - begin
    return steps / seconds, accepted / seconds, largest


def guarded(steps: int, *, latency: bool) -> tuple[float, float]:
    """Attempts and accepted steps a second of one long walk through the space, inside a latency or without one."""
    start = preset("coatnet")
    space = UninasSpace(start, BUDGET)
    if latency:
        cost = ProfileCost("ms", Path("device.json"), space.sums(lambda piece: 1e-3 + 1e-6 * values(piece)))
        limit = 1.2 * cost(start, start.cost)["ms"]
        bounded = Budget(max_params=BUDGET.max_params, max_flops=BUDGET.max_flops, max_ms=limit)
        space = UninasSpace(start).with_costs([cost], bounded)
    rng, genome, accepted = random.Random(0), start, 0
    begin = time.process_time()
    for _ in range(steps):
        new = space.attempt(genome, rng)
        if new is not None:
            genome = new
            accepted += 1
    seconds = time.process_time() - begin
    return steps / seconds, accepted / seconds


def package(steps: int) -> tuple[float, float]:
    """Calls and successful calls a second of the package; it prints while it works, which is dropped."""
    import torch
    from uninas import UNIModel, UNIModelCfg
    from uninas.search import create_new_model

    torch.manual_seed(0)
    torch.set_num_threads(1)
    done = 0
    with contextlib.redirect_stdout(io.StringIO()):
        model = UNIModel(UNIModelCfg.from_string(genome_to_package(preset("coatnet"))))
        begin = time.process_time()
        for _ in range(steps):
            new = create_new_model(model, flops_max=BUDGET.max_flops, params_max=BUDGET.max_params)
            if new is not None:
                model = new
                done += 1
        seconds = time.process_time() - begin
    return steps / seconds, done / seconds


def main() -> None:
    """Measures both, ours first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=500_000)
    parser.add_argument("--package-steps", type=int, default=24)
    parser.add_argument("--latency", action="store_true")
    options = parser.parse_args()
    print(conditions())
    if options.latency:
        for name, bounds in (("params and FLOPs", False), ("latency too", True)):
            attempts, accepted = guarded(options.steps, latency=bounds)
            print(f"{name}: {attempts:,.0f} steps/s, {accepted:,.0f} successful")
        return
    long, short = ours(options.steps, options.steps), ours(options.steps, options.package_steps)
    calls, successes = package(options.package_steps)
    for name, (attempts, accepted, largest) in (("one long walk", long), ("walks as short as the package's", short)):
        print(f"{name}: {attempts:,.0f} steps/s, {accepted:,.0f} successful, genomes of up to {largest} nodes")
        print(f"  ratio: {attempts / calls:,.0f} by steps, {accepted / successes:,.0f} by successful steps")
    print(f"uninas: {calls:.2f} calls/s, {successes:.2f} successful calls/s")


if __name__ == "__main__":
    main()
