"""A step of shared weights beside the same path built alone: seconds, and bytes that the backward pass keeps.

Run by hand: python tests/benchmarks/supernet.py [--batch 64] [--rounds 10] [--threads 1]
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from typing import Any

import torch
from conditions import conditions
from torch import Tensor

from uninas_evo.contracts import Chosen, Gated
from uninas_evo.spaces.nasbench201.space import NASBench201Space


def seconds(run: Any, parameters: Any, optimizer: torch.optim.Optimizer) -> float:
    """Wall time of a weight step."""
    start = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    run().square().mean().backward()
    torch.nn.utils.clip_grad_norm_(parameters, 5.0)
    optimizer.step()
    return time.perf_counter() - start


def kept(run: Any) -> int:
    """Bytes of the activations that a backward pass needs, each storage once."""
    seen: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = run()
    total = sum(seen.values())
    del output
    return total


def main() -> None:
    """Measures in turn, so that a drift of the machine's speed meets all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cells", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(conditions())
    space, rng = NASBench201Space(), random.Random(0)
    net: Any = space.supernet(channels=16, cells=arguments.cells)
    images = torch.randn(arguments.batch, 3, 32, 32)
    ratios = []
    for _ in range(arguments.rounds):
        genome = space.sample(rng)
        alone = net.extract(genome)
        pair = []
        for module, run in ((net, lambda g=genome: net(images, g)), (alone, lambda m=alone: m(images))):
            optimizer = torch.optim.SGD(module.parameters(), 0.01, 0.9, weight_decay=3e-4)
            seconds(run, list(module.parameters()), optimizer)
            pair.append(min(seconds(run, list(module.parameters()), optimizer) for _ in range(3)))
        ratios.append(pair[0] / pair[1])
    print(f"step of uniform / the path alone: {statistics.median(ratios):.3f} (median of {len(ratios)} genomes)")
    slots, count = [slot.name for slot in net.slots], len(space.decisions[0].options)
    option = 3  # the 3x3 convolution: the most that one option keeps
    genome = space.genome([option] * len(slots))
    one = torch.ones((), requires_grad=True)
    single = kept(lambda: net(images, genome))
    for name, path in (
        ("GDAS", {slot: Chosen(option, one) for slot in slots}),
        ("ProxylessNAS", {slot: Gated(option, torch.zeros(count), tuple(range(count))) for slot in slots}),
        ("DARTS", {slot: torch.full((count,), 1 / count, requires_grad=True) for slot in slots}),
    ):
        print(f"activations kept by {name} / by a single path: {kept(lambda p=path: net(images, p)) / single:.2f}")


if __name__ == "__main__":
    main()
