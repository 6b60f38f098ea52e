"""Presets of 100,000 parameters, and a winner, as backbones on scenes of garments: from scratch against fine-tuned.

    python tests/benchmarks/downstream.py --out downstream [--winner winner.txt] [--seeds 2] [--threads 1]

Prints a table of test metrics: each network with each seed is trained on Fashion-MNIST, then under both tasks from its
weights and from scratch. The same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np

from uninas_evo.compare.baselines import scaled_preset
from uninas_evo.contracts import Budget
from uninas_evo.spaces.uninas import Genome, Skeleton, load_genome
from uninas_evo.training.genomes import train_genome
from uninas_evo.training.protocol import protocol_for
from uninas_evo.training.tasks import task_class
from uninas_evo.training.tasks.scenes import write_scenes

SKELETON = Skeleton(image_size=32, classes=10, stem=(8, 16), channels=(16,) * 4, depths=(1,) * 4)
"""Four stages: maps of strides 4 to 32."""
PRESETS = ("resnet", "efficientnet", "vit", "coatnet")


def main() -> None:
    """Trains everything and prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--winner", help="a genome for 32 px and ten classes, such as a run's winner.txt")
    parser.add_argument("--presets", nargs="*", default=PRESETS)
    parser.add_argument("--tasks", nargs="*", default=("detection", "segmentation"))
    parser.add_argument("--params", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, help="of every training, to try the script")
    options = parser.parse_args()
    scenes = options.out / "scenes"
    if not (scenes / "classes.txt").is_file():
        write_scenes(options.data, scenes)
    budget = Budget(0, options.params, 0, math.inf)
    genomes = {name: scaled_preset(name, SKELETON, budget) for name in options.presets}
    if options.winner:
        genomes = {"winner": load_genome(options.winner)} | genomes
    print("| network | params | task | from scratch | fine-tuned | minutes, tuned |\n|---|--:|---|--:|--:|--:|")
    for name, genome in genomes.items():
        for task in options.tasks:
            scratch, tuned = [], []
            for seed in range(options.seeds):
                weights = options.out / name / "classification" / f"seed-{seed}"
                trained("classification", genome, options, seed, weights)
                for start, found in (("", scratch), (str(weights), tuned)):
                    folder = options.out / name / task / ("tuned" if start else "scratch") / f"seed-{seed}"
                    found.append(trained(task, genome, options, seed, folder, start))
            minutes = np.mean([one.seconds for one in tuned]) / 60
            print(
                f"| {name} | {genome.params:,} | {task} | {told(scratch)} | {told(tuned)} | {minutes:.1f} |", flush=True
            )


def trained(task: str, genome: Genome, options: Any, seed: int, folder: Path, start: str = "") -> Any:
    """The result of one training, from its folder where it has ended."""
    changes = {"threads": options.threads, "start_from": start}
    if options.epochs:
        changes |= {"epochs": options.epochs}
    protocol = protocol_for(task, None).replace(**changes)
    source = options.data if task == "classification" else options.out / "scenes"
    return train_genome(genome, task_class(task).read(source, protocol), protocol, folder, seed=seed)


def told(results: list[Any]) -> str:
    """Mean and spread over the seeds, in percent."""
    values = [100 * one.value for one in results]
    spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{spread}"


if __name__ == "__main__":
    main()
