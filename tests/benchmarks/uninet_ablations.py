"""UniNet's ablations in miniature: one operator or several, their order, the modules; by training and without.

    python tests/benchmarks/uninet_ablations.py --data /usr/share/datasets/fashion-mnist --out ablations.jsonl

Each training is kept in `--out`, and the same command goes on where it was stopped. Prints a line a network:
parameters, published FLOPs, mean validation accuracy and its spread over the seeds, and the training-free scores; then
the rank correlation of these with the accuracies. Stages are written as operator and module (D: DWConv, A: SA, W: LSA,
M: MLP); `= FLOPs` marks networks widened to the published FLOPs of the hybrid. Last come small forms of timm's PVT v2
and Swin, as they are and with what is between their stages replaced by UniNet's modules. Their FLOPs are half of
torch's count, and they have no scores: they add vectors that no layer holds.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import timm
import torch
from conditions import conditions
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from uninas_evo.proxies._module import Inputs
from uninas_evo.proxies.registry import aggregate, score
from uninas_evo.spaces.uninet import Genome, Skeleton, Stage
from uninas_evo.spaces.uninet.network import build
from uninas_evo.spaces.uninet.network.modules import downsampling
from uninas_evo.stats.ranks import kendall, spearman
from uninas_evo.training.fit import Fit
from uninas_evo.training.images import Splits
from uninas_evo.training.process import Process
from uninas_evo.training.protocol import Protocol, load_protocol
from uninas_evo.training.readers import read_splits

SKELETON = Skeleton(32, 10, 16, 2, (16, 1), 16, 4, 128, (1, 2, 2))
LETTERS = {"D": "DWConv", "A": "SA", "W": "LSA", "M": "MLP"}
CHANNELS, REPEATS, EXPANSION, HEADS = (16, 32, 48), (1, 2, 2), 3, 16
HYBRID = "D/L D/L A/LG"
"""The kind of network that the paper's search found."""
SINGLE = ("D/L D/L D/L", "A/LG A/LG A/LG", "W/L W/L W/L", "M/L M/L M/L")
"""Each also at the hybrid's FLOPs."""
ORDERS = ("A/LG D/L D/L", "D/L D/L M/L", "A/L A/L M/L", "M/L A/L A/L")
MODULES = ("D/L D/L A/L", "D/L D/L A/G", "D/G D/G A/G", "D/LG D/LG A/LG")
OTHERS: dict[str, dict[str, Any]] = {
    "pvt_v2_b0": {
        "depths": (1, 1, 2),
        "embed_dims": (16, 32, 48),
        "num_heads": (1, 2, 3),
        "sr_ratios": (4, 2, 1),
        "mlp_ratios": (4, 4, 4),
    },
    "swin_tiny_patch4_window7_224": {
        "img_size": 32,
        "patch_size": 2,
        "window_size": 4,
        "embed_dim": 16,
        "depths": (1, 2, 2),
        "num_heads": (1, 2, 4),
    },
}
"""timm's names, and what makes them small: maps of 8, 4 and 2 pixels, and of 16, 8 and 4."""
BETWEEN = {"": (), " L L": ("L", "L"), " LG LG": ("LG", "LG"), " L LG": ("L", "LG")}
"""The modules before their second and third stage; none: their own."""
AZ = ("az_expressivity", "az_progressivity", "az_trainability")
SCORES = ("params", "flops", "vkdnw", "zen", "naswot", *AZ)


@dataclass(frozen=True)
class Row:
    """A network and what was found."""

    name: str
    accuracies: tuple[float, ...]
    scores: dict[str, float]

    @property
    def accuracy(self) -> float:
        """Mean over the seeds."""
        return statistics.mean(self.accuracies)


def network(stages: str, factor: float = 1.0) -> Genome:
    """The genome of "D/L D/L A/LG", its channels times a factor, in whole heads."""
    found = []
    for stage, c, r in zip(stages.split(), CHANNELS, REPEATS, strict=True):
        letter, module = stage.split("/")
        channels = max(1, round(c * factor / HEADS)) * HEADS
        found.append(Stage(module, LETTERS[letter], EXPANSION, channels, r))
    return Genome(SKELETON, tuple(found))


def widened(stages: str, flops: float) -> Genome:
    """The same operators as wide as comes nearest to the published FLOPs."""
    factors = np.arange(0.35, 3, 0.05).tolist()
    return min((network(stages, factor) for factor in factors), key=lambda g: abs(g.published_flops - flops))


class Between(nn.Module):
    """A module in the place of what timm has between stages: maps (N, C, H, W), or (N, H, W, C), to (N, H', W', C')."""

    def __init__(self, kind: str, before: int, channels: int, last: bool) -> None:
        super().__init__()
        self.module = downsampling(kind, before, channels, 2, HEADS)
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        """Halves the side."""
        y: Tensor = self.module(x.permute(0, 3, 1, 2) if self.last else x)
        return y.permute(0, 2, 3, 1)


def other(name: str, kinds: tuple[str, ...], seed: int = 0) -> nn.Module:
    """A small network of timm with UniNet's modules before its later stages; a function of its arguments."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net: Any = timm.create_model(name, num_classes=10, **OTHERS[name])
        stages = net.stages if name.startswith("pvt") else net.layers
        widths = [info["num_chs"] for info in net.feature_info]
        for stage, kind, before, channels in zip(stages[1:], kinds, widths, widths[1:], strict=False):
            stage.downsample = Between(kind, before, channels, last=not name.startswith("pvt"))
        return cast(nn.Module, net)


@dataclass(frozen=True)
class Entrant:
    """A network: what it is kept by, how it is made from a seed, and what it costs."""

    key: str
    make: Callable[[int], nn.Module]
    params: float
    flops: float
    scored: bool = True


def of_genome(genome: Genome) -> Entrant:
    """The network of a genome, with its published FLOPs."""
    return Entrant(genome.text, partial(build, genome), genome.params, genome.published_flops)


def of_timm(name: str, kinds: tuple[str, ...]) -> Entrant:
    """A network of timm, with half of torch's count."""
    net = other(name, kinds).eval()
    with FlopCounterMode(display=False) as counted:
        net(torch.zeros(1, 3, SKELETON.image_size, SKELETON.image_size))
    params = sum(weight.numel() for weight in net.parameters())
    return Entrant(f"{name} {kinds}", partial(other, name, kinds), params, counted.get_total_flops() / 2, False)


def entrants() -> dict[str, Entrant]:
    """All networks by name, equal ones once."""
    named = {stages: network(stages) for stages in (HYBRID, *SINGLE, *ORDERS, *MODULES)}
    target = named[HYBRID].published_flops
    wide = {f"{stages} = FLOPs": widened(stages, target) for stages in (*SINGLE, *ORDERS)}
    named |= {name: genome for name, genome in wide.items() if genome not in named.values()}
    others = {name.split("_")[0] + told: of_timm(name, kinds) for name in OTHERS for told, kinds in BETWEEN.items()}
    return {name: of_genome(genome) for name, genome in named.items()} | others


def trained(entrant: Entrant, splits: Splits, protocol: Protocol, seed: int) -> float:
    """Validation accuracy after the last epoch, in percent."""
    fit = Fit(entrant.make(seed), splits, protocol, SKELETON.image_size, seed, Process(torch.device("cpu")))
    return 100 * [fit.epoch(epoch) for epoch in range(protocol.epochs)][-1]["val_accuracy"]


class Done:
    """Trainings that ended, a JSON line each: what was trained and how, then the accuracy."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.found: dict[str, float] = dict(map(json.loads, lines))

    def accuracy(self, entrant: Entrant, splits: Splits, protocol: Protocol, seed: int) -> float:
        """Of `trained`, once."""
        key: tuple[Any, ...] = (entrant.key, len(splits.train), len(splits.val), protocol.epochs, seed)
        what = json.dumps(key)
        if what not in self.found:
            self.found[what] = trained(entrant, splits, protocol, seed)
            with self.path.open("a") as file:
                file.write(json.dumps([what, self.found[what]]) + "\n")
        return self.found[what]


def shortened(data: str, images: int, validation: int) -> Splits:
    """The first of the shuffled images: the same for every network."""
    splits = read_splits(data, 0.1)
    order = np.random.default_rng(0).permutation(len(splits.train))[:images]
    return replace(splits, train=splits.train.subset(order), val=splits.val.subset(np.arange(validation)))


def main() -> None:
    """Trains and scores every network; a line each as they come."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--validation", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", type=int, default=99, help="how many networks, from the first")
    given = parser.parse_args()
    splits = shortened(given.data, given.images, given.validation)
    protocol = load_protocol("small").replace(epochs=given.epochs, warmup_epochs=0, lr=4e-3)
    print(f"{conditions()}\n{given.images} images, {given.epochs} epochs, {given.seeds} seeds")
    print(f"| stages | k params | M FLOPs | accuracy |{' | '.join(SCORES[2:])} |")
    rows, done = [], Done(given.out)
    for name, entrant in list(entrants().items())[: given.only]:
        found = tuple(done.accuracy(entrant, splits, protocol, seed) for seed in range(given.seeds))
        inputs = Inputs(batch=32, image=(3, SKELETON.image_size, SKELETON.image_size))
        wanted = SCORES if entrant.scored else SCORES[:2]
        scores = score(entrant.make(0), wanted, inputs, costs={"params": entrant.params, "flops": entrant.flops})
        rows.append(Row(name, found, scores))
        free = " | ".join(f"{scores[one]:.4g}" for one in wanted[2:])
        spread = f" ± {statistics.stdev(found):.1f}" if len(found) > 1 else ""
        sizes = f"{entrant.params / 1e3:.0f} | {entrant.flops / 1e6:.1f}"
        print(f"| {name} | {sizes} | {rows[-1].accuracy:.1f}{spread} | {free} |", flush=True)
    scored = [row for row in rows if len(row.scores) > 2]
    accuracies = np.array([row.accuracy for row in scored])
    values = {one: [row.scores[one] for row in scored] for one in SCORES}
    for one, column in (values | {"az": aggregate(["az"], values)}).items():
        array = np.array(column)
        print(f"{one}: Spearman {spearman(array, accuracies):+.2f}, Kendall {kendall(array, accuracies):+.2f}")


if __name__ == "__main__":
    main()
