"""Forward + backward of the four presets at 224 px on the CPU, beside the authors' package; prints the ratios.

Run by hand: python tests/benchmarks/forward.py [--batch 2] [--rounds 5] [--threads 2]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import time

import torch
from conditions import conditions
from torch import nn

from uninas_evo.spaces.uninas import PRESETS, genome_to_package, preset
from uninas_evo.spaces.uninas.network import build


def peer(text: str) -> nn.Module:
    """The package's network of a model file; it prints while it builds."""
    from uninas import UNIModel, UNIModelCfg

    with contextlib.redirect_stdout(io.StringIO()):
        model: nn.Module = UNIModel(UNIModelCfg.from_string(text))
    return model


def seconds(module: nn.Module, x: torch.Tensor) -> float:
    """Wall time of one forward and backward pass in training mode, gradients cleared before as in training."""
    module.zero_grad()
    start = time.perf_counter()
    module.train()(x).square().sum().backward()
    return time.perf_counter() - start


def main() -> None:
    """Measures both in turn, so that a drift of the machine's speed meets both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--presets", default=",".join(PRESETS))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{conditions()}\nbatch {options.batch}, 224 px")
    x = torch.randn(options.batch, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    for name in options.presets.split(","):
        genome = preset(name)
        networks = build(genome), peer(genome_to_package(genome))
        times: tuple[list[float], list[float]] = ([], [])
        for round_ in range(options.rounds + 1):
            for network, own in zip(networks, times, strict=True):
                spent = seconds(network, x)
                if round_:  # the first round warms up
                    own.append(spent)
        ours, theirs = (statistics.median(own) for own in times)
        ratios = [b / a for a, b in zip(*times, strict=True)]
        print(
            f"{name:>12}: ours {ours:.3f} s, uninas {theirs:.3f} s, ratio {theirs / ours:.2f} "
            f"(rounds {min(ratios):.2f} to {max(ratios):.2f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
