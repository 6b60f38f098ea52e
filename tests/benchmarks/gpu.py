"""What a GPU gives: scores at 224 px against the CPU's, evaluations an hour, training speed; one table.

python tests/benchmarks/gpu.py [--batch 64] [--evaluations 8] [--no-cpu]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from conditions import conditions
from torch import nn

from uninas_evo.contracts import Budget
from uninas_evo.pool.contract import Job
from uninas_evo.pool.devices import cuda_devices
from uninas_evo.pool.processes import ProcessPool
from uninas_evo.problems.uninas import UninasProblem
from uninas_evo.proxies import PROXIES, Inputs, score
from uninas_evo.spaces.uninas import UninasSpace, preset
from uninas_evo.spaces.uninas.network import build

Row = tuple[str, ...]


def scores(batch: int, with_cpu: bool) -> Iterator[Row]:
    """Seconds of each proxy of a CoAtNet at 224 px, and how far it lies from the CPU's score."""
    network = build(preset("coatnet"))
    for name in PROXIES:
        gpu, seconds = _timed(
            lambda name=name: score(network, [name], Inputs(batch, (3, 224, 224), device="cuda"))[name]
        )
        difference = "–"
        if with_cpu and gpu is not None:
            cpu, _ = _timed(lambda name=name: score(network, [name], Inputs(batch, (3, 224, 224)))[name], repeats=1)
            difference = "–" if not cpu else f"{abs(gpu / cpu - 1):.1e}"
        yield f"{name}, {batch} images", f"{seconds:.2f} s", f"relative difference to the CPU {difference}"


def rates(evaluations: int) -> Iterator[Row]:
    """Evaluations an hour of the paper's search: one worker, two on one device, and one on each device."""
    start = preset("coatnet")
    space = UninasSpace(start, Budget(max_params=27e6, max_flops=9e9))
    problem = UninasProblem(space, ["vkdnw"])
    everywhere = cuda_devices()
    for devices in dict.fromkeys((("cuda:0",), ("cuda:0", "cuda:0"), tuple(everywhere))):
        with ProcessPool(problem, list(devices)) as pool:
            list(pool.map([Job(-1 - place, start.text) for place in range(len(devices))]))  # loads libraries
            begin = time.perf_counter()
            done = list(pool.map([Job(number, start.text) for number in range(evaluations)]))
            hourly = 3600 * evaluations / (time.perf_counter() - begin)
        memory = max(one.memory_bytes for one in done) / 1e9
        yield (
            f"search at 224 px on {', '.join(devices)}",
            f"{hourly:,.0f} evaluations an hour",
            f"{memory:.1f} GB a worker",
        )


def training(batch: int) -> Iterator[Row]:
    """Images a second of a step of training at 224 px, by number format and layout."""
    for dtype in (torch.float32, torch.bfloat16):
        for layout in (torch.contiguous_format, torch.channels_last):
            _, seconds = _timed(_step(batch, dtype, layout), repeats=5)
            yield f"training CoAtNet, {dtype}, {layout}", f"{batch / seconds:,.0f} images/s", f"{batch} images"


def _step(batch: int, dtype: torch.dtype, layout: torch.memory_format) -> Callable[[], float]:
    """A step of training, ready to be called."""
    network: Any = build(preset("coatnet")).to("cuda", memory_format=layout)
    images = torch.randn(batch, 3, 224, 224, device="cuda").contiguous(memory_format=layout)
    labels = torch.randint(0, 1000, (batch,), device="cuda")
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4)

    def step() -> float:
        optimizer.zero_grad()
        with torch.autocast("cuda", dtype, enabled=dtype is not torch.float32):
            loss = nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        return float(loss)

    return step


def _timed(function: Callable[[], float | None], repeats: int = 3) -> tuple[float | None, float]:
    """The result and the least seconds of some calls, one call before them left out."""
    function()
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        value = function()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begin)
    return value, min(seconds)


def main() -> None:
    """Prints the table, or that there is no GPU."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--evaluations", type=int, default=8)
    parser.add_argument("--no-cpu", action="store_true", help="leave the comparison with the CPU out: it takes minutes")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA device can be used here: run this on a machine that has one")
    cards = ", ".join(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))
    print(f"{cards}; {conditions()}\n\n| measured | result | |\n|---|---|---|")
    for rows in (
        scores(arguments.batch, not arguments.no_cpu),
        rates(arguments.evaluations),
        training(arguments.batch),
    ):
        for row in rows:
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
