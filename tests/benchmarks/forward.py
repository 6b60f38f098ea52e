"""Forward + backward of presets at 224 px on the CPU: UniNAS beside the authors' package, UniNet beside timm.

Run by hand: python tests/benchmarks/forward.py [--batch 2] [--rounds 5] [--threads 2] [--only uninet]

UniNet-B0 and B1 stand beside timm's EfficientNetV2-B0 and CoAtNet-0 on images of one size: images a second, and the
time a FLOP (of torch's counter) as a multiple of that of each of timm's two. `--layers` adds what each kind of layer of
UniNet-B0 takes by itself.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import time
from collections import Counter
from collections.abc import Sequence

import torch
from conditions import conditions
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from uninas_evo.spaces.load import build as build_any
from uninas_evo.spaces.uninas import PRESETS, genome_to_package, preset
from uninas_evo.spaces.uninas.network import build

PEERS = ("tf_efficientnetv2_b0", "coatnet_0_rw_224")
"""timm's networks beside UniNet; of CoAtNet-0 as timm has it."""


def peer(text: str) -> nn.Module:
    """The package's network of a model file; it prints while it builds."""
    from uninas import UNIModel, UNIModelCfg

    with contextlib.redirect_stdout(io.StringIO()):
        model: nn.Module = UNIModel(UNIModelCfg.from_string(text))
    return model


def seconds(module: nn.Module, x: torch.Tensor) -> float:
    """Time of one forward and backward pass in training mode, gradients cleared before as in training.

    On one thread the time of the processor, which other processes disturb less than the time of the clock.
    """
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    module.zero_grad()
    start = clock()
    module.train()(x).square().sum().backward()
    return clock() - start


def flops(module: nn.Module, x: torch.Tensor) -> int:
    """FLOPs of a forward pass on one image, as torch counts convolutions and matrix products."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.eval()(x[:1])
    return counter.get_total_flops()


def measured(networks: Sequence[nn.Module], x: torch.Tensor, rounds: int) -> list[list[float]]:
    """`seconds` of each round of each network, in turn, so that a drift of the machine's speed meets all alike."""
    times: list[list[float]] = [[] for _ in networks]
    for round_ in range(rounds + 1):
        for network, own in zip(networks, times, strict=True):
            spent = seconds(network, x)
            if round_:  # the first round warms up
                own.append(spent)
    return times


def uninas(names: Sequence[str], x: torch.Tensor, rounds: int) -> None:
    """Every UniNAS preset beside the package's network of the same genome."""
    for name in names:
        genome = preset(name)
        times = measured((build(genome), peer(genome_to_package(genome))), x, rounds)
        ours, theirs = (statistics.median(own) for own in times)
        ratios = [b / a for a, b in zip(*times, strict=True)]
        print(
            f"{name:>12}: ours {ours:.3f} s, uninas {theirs:.3f} s, ratio {theirs / ours:.2f} "
            f"(rounds {min(ratios):.2f} to {max(ratios):.2f})",
            flush=True,
        )


def uninet(x: torch.Tensor, rounds: int) -> None:
    """UniNet-B0 and B1, of one genome at two sizes, beside timm's networks."""
    import timm

    for name, side in (("uninet-b0", 160), ("uninet-b1", 224)):
        images = x[..., :side, :side].contiguous()
        networks = {name: build_any(name)} | {
            one: timm.create_model(one, pretrained=False, img_size=side)
            if "coatnet" in one
            else timm.create_model(one, pretrained=False)
            for one in PEERS
        }
        times = dict(zip(networks, measured(list(networks.values()), images, rounds), strict=True))
        spent = {one: statistics.median(own) / len(x) for one, own in times.items()}
        work = {one: flops(network, images) for one, network in networks.items()}
        for one in networks:
            print(
                f"{side} px {one:>24}: {1 / spent[one]:6.2f} images/s, {work[one] / 1e9:.2f} GFLOPs, "
                + ", ".join(
                    f"{spent[one] / work[one] * work[p] / spent[p]:.2f} times the time a FLOP of {p}" for p in PEERS
                ),
                flush=True,
            )


def kind_of(layer: nn.Module) -> str:
    """Products of matrices by one name: 1×1 convolutions are such."""
    if isinstance(layer, nn.Conv2d):
        products = "products" if layer.kernel_size == (1, 1) else "3×3 convolutions"
        return products if layer.groups == 1 else "depthwise convolutions"
    return "products" if isinstance(layer, nn.Linear) else type(layer).__name__


def layers(network: nn.Module, x: torch.Tensor, rounds: int) -> None:
    """Milliseconds that each kind of layer takes forward and backward by itself, on its own inputs."""
    inputs: list[tuple[nn.Module, torch.Tensor]] = []
    leaves = [layer for layer in network.modules() if not list(layer.children())]
    hooks = [layer.register_forward_hook(lambda m, given, _: inputs.append((m, given[0]))) for layer in leaves]
    with torch.no_grad():
        network.train()(x)
    for hook in hooks:
        hook.remove()
    spent: Counter[str] = Counter()
    for layer, given in inputs:
        spent[kind_of(layer)] += min(seconds(layer, given.clone().requires_grad_()) for _ in range(rounds))
    print(", ".join(f"{kind} {1000 * own:.1f} ms" for kind, own in spent.most_common(8)))


def main() -> None:
    """Measures what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--presets", default=",".join(PRESETS))
    parser.add_argument("--only", choices=("uninas", "uninet"))
    parser.add_argument("--layers", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{conditions()}\nbatch {options.batch}")
    x = torch.randn(options.batch, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    if options.only != "uninet":
        uninas(options.presets.split(","), x, options.rounds)
    if options.only != "uninas":
        uninet(x, options.rounds)
    if options.layers:
        layers(build_any("uninet-b0"), x[..., :160, :160].contiguous(), options.rounds)


if __name__ == "__main__":
    main()
