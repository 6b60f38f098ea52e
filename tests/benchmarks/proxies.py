"""What the proxies cost: exact and probed VKDNW against the definition, and every proxy in forward passes.

One run, one thread, equal settings: one initialisation, one entry of each tensor, N = 16 images for the definition's
memory. Times are CPU seconds, peak memory is that of a process of its own above what it held before the call.

    python tests/benchmarks/proxies.py
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import torch
from torch import nn

from uninas_evo.network import build
from uninas_evo.proxies import PROXIES, Inputs, score, vkdnw
from uninas_evo.space import Skeleton, preset

MODES = ("definition", "exact", "probed")


def network(name: str, classes: int) -> nn.Module:
    """A preset on a small skeleton of 32×32 images."""
    skeleton = Skeleton(image_size=32, classes=classes, stem=(16, 16), channels=(32, 64), depths=(1, 1))
    return build(preset(name, skeleton)).eval()


def measure_mode(name: str, classes: int, mode: str, batch: int, repeats: int) -> tuple[float, float]:
    """Median CPU seconds and MiB of peak memory of one VKDNW score, in this process."""
    net, inputs = network(name, classes), Inputs(batch=batch)

    def run() -> None:
        vkdnw(net, inputs, mode=mode, entries=1, inits=1)  # type: ignore[arg-type]

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(repeats + 1):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return sorted(seconds[1:])[repeats // 2], peak / 1024


def compare_modes(batch: int, repeats: int) -> None:
    """A line for each network and number of classes."""
    print("| network | K | definition s | exact s | probed s | exact × | probed × | memory MiB (definition, exact, probed) |")
    print("|---|---|---|---|---|---|---|---|")
    for name in ("coatnet", "resnet"):
        for classes in (10, 100):
            results = []
            for mode in MODES:
                arguments = ["--mode", mode, "--network", name, "--classes", str(classes)]
                command = [sys.executable, "-W", "ignore", __file__, *arguments]
                command += ["--batch", str(batch), "--repeats", str(repeats)]
                results.append(json.loads(subprocess.run(command, capture_output=True, check=True).stdout))
            (definition, _), (exact, _), (probed, _) = results
            memory = ", ".join(f"{mib:.0f}" for _, mib in results)
            print(
                f"| {name} | {classes} | {definition:.3f} | {exact:.3f} | {probed:.3f} | {definition / exact:.1f} "
                f"| {definition / probed:.1f} | {memory} |",
                flush=True,
            )


def compare_proxies(batch: int, repeats: int) -> None:
    """A line for each proxy."""
    net, inputs = network("coatnet", 10), Inputs(batch=batch)
    images = inputs.images()
    with torch.no_grad():
        forward = min(_seconds(lambda: net(images)) for _ in range(10))
    print(f"\none forward pass of {batch} images: {1000 * forward:.1f} ms\n\n| proxy | forward passes |\n|---|---|")
    for name in PROXIES:
        best = min(_seconds(lambda name=name: score(net, [name], inputs)) for _ in range(repeats))
        print(f"| {name} | {best / forward:.1f} |", flush=True)


def _seconds(function: object) -> float:
    start = time.process_time()
    function()  # type: ignore[operator]
    return time.process_time() - start


def main() -> None:
    """Prints both tables; with `--mode` one measurement as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode")
    parser.add_argument("--network", default="coatnet")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.mode:
        size = (arguments.batch, arguments.repeats)
        print(json.dumps(measure_mode(arguments.network, arguments.classes, arguments.mode, *size)))
        return
    compare_modes(arguments.batch, arguments.repeats)
    compare_proxies(arguments.batch, arguments.repeats)


if __name__ == "__main__":
    main()
