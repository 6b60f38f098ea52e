"""What the proxies cost: exact and probed VKDNW against the definition, and every proxy in forward passes.

One run, one thread, equal settings: one initialization, one entry of each tensor, the same images. Times are CPU
seconds, peak memory is that of a process of its own above what it held before the call.

    python tests/benchmarks/proxies.py [--cases 5] [--batch 64] [--repeats 2]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from conditions import conditions

from uninas_evo.proxies import PROXIES, Inputs, score, vkdnw
from uninas_evo.spaces.uninas import Skeleton, preset
from uninas_evo.spaces.uninas.network import build

MODES = ("definition", "exact", "probed")
SMALL = Skeleton(image_size=32, classes=10, stem=(16, 16), channels=(32, 64), depths=(1, 1))
MEDIUM = Skeleton(image_size=64, classes=10, stem=(32, 64), channels=(64, 128, 256), depths=(1, 1, 2))
LARGE = Skeleton(image_size=64, classes=10, stem=(32, 64), channels=(96, 192, 384, 512), depths=(1, 1, 2, 1))
CASES = (
    ("small CoAtNet", "coatnet", SMALL, 64),
    ("small CoAtNet", "coatnet", replace(SMALL, classes=100), 64),
    ("small ResNet", "resnet", SMALL, 64),
    ("medium CoAtNet", "coatnet", MEDIUM, 32),  # more images, or classes, and the definition needs over 8 GiB
    ("large CoAtNet", "coatnet", LARGE, 16),
)


def measure_mode(case: int, mode: str, repeats: int) -> tuple[float, float]:
    """Least CPU seconds and MiB of peak memory of one VKDNW score, in this process."""
    _, name, skeleton, batch = CASES[case]
    net = build(preset(name, skeleton)).eval()
    inputs = Inputs(batch=batch, image=(3, skeleton.image_size, skeleton.image_size))

    def run() -> None:
        vkdnw(net, inputs, mode=mode, entries=1, inits=1)  # type: ignore[arg-type]

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(repeats + 1):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return min(seconds[1:]), peak / 1024


def compare_modes(cases: int, repeats: int) -> None:
    """A line for each network and number of classes."""
    print("| network | K | N | definition s | exact s | probed s | exact × | probed × | MiB (in that order) |")
    print("|---|---|---|---|---|---|---|---|---|")
    for case, (title, _, skeleton, batch) in enumerate(CASES[:cases]):
        results = []
        for mode in MODES:
            options = ["--mode", mode, "--case", str(case), "--repeats", str(repeats)]
            command = [sys.executable, "-W", "ignore", __file__, *options]
            results.append(json.loads(subprocess.run(command, capture_output=True, check=True).stdout))
        definition, exact, probed = (seconds for seconds, _ in results)
        memory = ", ".join(f"{mib:.0f}" for _, mib in results)
        times = f"{definition:.3f} | {exact:.3f} | {probed:.3f}"
        ratios = f"{definition / exact:.1f} | {definition / probed:.1f}"
        print(f"| {title} | {skeleton.classes} | {batch} | {times} | {ratios} | {memory} |", flush=True)


def compare_proxies(batch: int, repeats: int) -> None:
    """A line for each proxy."""
    net, inputs = build(preset("coatnet", SMALL)).eval(), Inputs(batch=batch)
    images = inputs.images()
    with torch.no_grad():
        forward = min(_seconds(lambda: net(images)) for _ in range(10))
    print(f"\none forward pass of {batch} images: {1000 * forward:.1f} ms\n\n| proxy | forward passes |\n|---|---|")
    for name in PROXIES:
        best = min(_seconds(lambda name=name: score(net, [name], inputs)) for _ in range(repeats))
        print(f"| {name} | {best / forward:.1f} |", flush=True)


def _seconds(function: Callable[[], object]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def main() -> None:
    """Prints both tables; with `--mode` one measurement as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode")
    parser.add_argument("--case", type=int, default=0)
    parser.add_argument("--cases", type=int, default=len(CASES), help="how many of the networks, small ones first")
    parser.add_argument("--batch", type=int, default=64, help="images of the proxies' own table")
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.mode:
        print(json.dumps(measure_mode(arguments.case, arguments.mode, arguments.repeats)))
        return
    print(conditions())
    compare_modes(arguments.cases, arguments.repeats)
    compare_proxies(arguments.batch, arguments.repeats)


if __name__ == "__main__":
    main()
