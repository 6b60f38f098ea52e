"""How far a device's profile can be trusted: fresh networks, timed and told; and a search that keeps to a bound.

Makes the profile of the space of a run file (or takes one), times `--networks` fresh genomes, and prints Kendall's tau,
the median error, and the share within the interval that the profile tells. Then it walks below a bound, the median of
these genomes' times, times where the walk passes, and prints which share lies within the bound and the interval.
Nothing else should run on the machine meanwhile.

    OMP_NUM_THREADS=1 python tests/benchmarks/device_profile.py runs/quickstart.toml [--backend eager] [--profile FILE]
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
from conditions import conditions

from uninas_evo.cli.profile import space_to_profile
from uninas_evo.contracts import Budget
from uninas_evo.devices.profile import Accuracy, Profile, ProfileCost
from uninas_evo.devices.profiling import profile, sampled, time_networks
from uninas_evo.devices.timing import Backend, checked


def measured(space: Any, genomes: list[Any], backend: Backend, threads: int) -> np.ndarray[Any, Any]:
    """Milliseconds of networks."""
    return np.array([one.ms for one in time_networks(space, genomes, backend, threads)])


def below(space: Any, cost: ProfileCost, bound: float, count: int, rng: random.Random) -> list[Any]:
    """Genomes that steps within a bound led to, each five steps behind the last, begun anew every tenth time."""
    bounded = space.with_costs([cost], Budget(**{f"max_{cost.name}": bound}))
    found: list[Any] = []
    while len(found) < count:
        if len(found) % 10 == 0:
            genome = bounded.start
        for _ in range(5):
            genome = bounded.mutate(genome, rng) or genome
        found.append(genome)
    return found


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("start")
    parser.add_argument("--backend", default="ort")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--networks", type=int, default=200)
    parser.add_argument("--profile", type=Path)
    parser.add_argument("--out", type=Path, default=Path("device.json"))
    options = parser.parse_args()
    print(conditions())
    space, backend = space_to_profile(options.start), checked(options.backend)
    begin = time.perf_counter()
    if options.profile is None:
        profile(space, backend=backend, threads=options.threads).save(options.out)
    path = options.profile or options.out
    made = Profile.load(path)
    print(f"profile: {time.perf_counter() - begin:.0f} s, {len(made.pieces)} pieces, {made.accuracy}")
    rng = random.Random("fresh")
    genomes = sampled(space, options.networks, rng)
    times, told = measured(space, genomes, backend, options.threads), made.times(space)
    fresh = Accuracy.of(np.array([told(genome) for genome in genomes]), times)
    interval = made.accuracy.interval
    within = np.mean([abs(told(genome) / ms - 1) <= interval for genome, ms in zip(genomes, times, strict=True)])
    print(
        f"fresh: {fresh}; {within:.1%} within the interval of {interval:.1%}; {times.min():.3g} to {times.max():.3g} ms"
    )
    cost = ProfileCost("device_ms", path, told)
    bound = max(float(np.median(times)), told(space.start))
    near = below(space, cost, bound, options.networks // 2, rng)
    times = measured(space, near, backend, options.threads)
    print(
        f"below {bound:.3g} ms: {np.mean(times <= bound):.1%} of {len(near)} lie below it, "
        f"{np.mean(times <= bound * (1 + interval)):.1%} with the interval"
    )


if __name__ == "__main__":
    main()
