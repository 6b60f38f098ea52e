"""UniNet's ablations in miniature: one operator or several, their order, the modules; by training and without.

    python tests/benchmarks/uninet_ablations.py --data /usr/share/datasets/fashion-mnist --out ablations.jsonl

Each training is kept in `--out`, and the same command goes on where it was stopped. Prints a line a network:
parameters, published FLOPs, mean validation accuracy and its spread over the seeds, and the training-free scores; then
the rank correlation of these with the accuracies. Stages are written as operator and module (D: DWConv, A: SA, W: LSA,
M: MLP); `= FLOPs` marks networks widened to the published FLOPs of the hybrid.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from conditions import conditions

from uninas_evo.proxies._module import Inputs
from uninas_evo.proxies.registry import score
from uninas_evo.spaces.uninet import Genome, Skeleton, Stage
from uninas_evo.spaces.uninet.network import build
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
SCORES = ("params", "flops", "vkdnw", "zen", "naswot")


@dataclass(frozen=True)
class Row:
    """A network and what was found."""

    name: str
    genome: Genome
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


def entrants() -> dict[str, Genome]:
    """All networks by name, equal ones once."""
    named = {stages: network(stages) for stages in (HYBRID, *SINGLE, *ORDERS, *MODULES)}
    target = named[HYBRID].published_flops
    wide = {f"{stages} = FLOPs": widened(stages, target) for stages in (*SINGLE, *ORDERS)}
    return named | {name: genome for name, genome in wide.items() if genome not in named.values()}


def trained(genome: Genome, splits: Splits, protocol: Protocol, seed: int) -> float:
    """Validation accuracy after the last epoch, in percent."""
    net = build(genome, seed)
    fit = Fit(net, splits, protocol, SKELETON.image_size, seed, Process(torch.device("cpu")))
    return 100 * [fit.epoch(epoch) for epoch in range(protocol.epochs)][-1]["val_accuracy"]


class Done:
    """Trainings that ended, a JSON line each: what was trained and how, then the accuracy."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.found: dict[str, float] = dict(map(json.loads, lines))

    def accuracy(self, genome: Genome, splits: Splits, protocol: Protocol, seed: int) -> float:
        """Of `trained`, once."""
        key: tuple[Any, ...] = (genome.text, len(splits.train), len(splits.val), protocol.epochs, seed)
        what = json.dumps(key)
        if what not in self.found:
            self.found[what] = trained(genome, splits, protocol, seed)
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
    for name, genome in list(entrants().items())[: given.only]:
        found = tuple(done.accuracy(genome, splits, protocol, seed) for seed in range(given.seeds))
        inputs = Inputs(batch=32, image=(3, SKELETON.image_size, SKELETON.image_size))
        scores = score(build(genome), SCORES, inputs, costs={"params": genome.params, "flops": genome.published_flops})
        rows.append(Row(name, genome, found, scores))
        free = " | ".join(f"{scores[one]:.4g}" for one in SCORES[2:])
        spread = f" ± {statistics.stdev(found):.1f}" if len(found) > 1 else ""
        sizes = f"{genome.params / 1e3:.0f} | {genome.published_flops / 1e6:.1f}"
        print(f"| {name} | {sizes} | {rows[-1].accuracy:.1f}{spread} | {free} |", flush=True)
    accuracies = np.array([row.accuracy for row in rows])
    for one in SCORES:
        values = np.array([row.scores[one] for row in rows])
        print(f"{one}: Spearman {spearman(values, accuracies):+.2f}, Kendall {kendall(values, accuracies):+.2f}")


if __name__ == "__main__":
    main()
