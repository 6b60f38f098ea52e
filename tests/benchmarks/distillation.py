"""A student of 30,000 parameters with the best preset as its teacher, against the same student alone.

    python tests/benchmarks/distillation.py --data /usr/share/datasets/fashion-mnist --out distilled [--images 10000]

The teacher is trained once by the protocol `small`: `--preset` as wide as `--teacher-params` admits. By default it is
the best of the four presets on this data and skeleton (the table of winners against presets in docs/training.md). The
student is the same preset at `--params`, trained alone, under soft and under hard labels, with each seed. Everything
lies in `--out`; the same command goes on where it was stopped. All learn from the first `--images` of one permutation
of the training part and are tested on the whole test part. Prints a table.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from conditions import conditions

from uninas_evo.compare.baselines import scaled_preset
from uninas_evo.contracts import Budget
from uninas_evo.spaces.uninas import Genome, Skeleton
from uninas_evo.training import TrainResult, load_protocol, read_splits, train_genome

SKELETON = Skeleton(
    image_size=28, classes=10, stem=(8, 16), channels=(16, 32), depths=(1, 1), image_channels=1, stem_stride=1
)
"""Of Fashion-MNIST: gray, two stages at full and half resolution."""
PRESETS = ("resnet", "efficientnet", "coatnet", "vit")
WAYS: dict[str, dict[str, Any]] = {
    "alone": {},
    "soft labels": {"teacher_labels": "soft"},
    "hard labels": {"teacher_labels": "hard"},
}


def main() -> None:
    """Trains and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", default="efficientnet")
    parser.add_argument("--params", type=float, default=30e3)
    parser.add_argument("--teacher-params", type=float, default=100e3)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    protocol = load_protocol("small").replace(epochs=given.epochs)
    splits = read_splits(given.data, protocol.val_fraction)
    chosen = np.random.default_rng(0).permutation(len(splits.train))[: given.images]
    data = replace(splits, train=splits.train.subset(chosen))

    def trained(label: str, genome: Genome, seed: int, **changes: Any) -> TrainResult:
        result = train_genome(genome, data, protocol.replace(**changes), given.out / label, seed=seed)
        print(f"{label}: {result.test_accuracy:.2%}, {result.params:,} params, {result.seconds:.0f} s", flush=True)
        return result

    print(f"{conditions()}\n{len(chosen)} images, {given.epochs} epochs, {given.seeds} seeds", flush=True)
    teacher, student = (
        scaled_preset(given.preset, SKELETON, Budget(max_params=params))
        for params in (given.teacher_params, given.params)
    )
    taught = trained("teacher", teacher, 0)
    results: dict[str, list[TrainResult]] = {}
    for way, changes in WAYS.items():
        where = changes and {"teacher": str(given.out / "teacher")}
        results[way] = [
            trained(f"{way.replace(' ', '-')}-{seed}", student, seed, **where, **changes) for seed in range(given.seeds)
        ]
    print("\n| network | params | test accuracy | seconds a training |\n|---|--:|--:|--:|")
    print(
        f"| teacher ({given.preset}) | {taught.params:,} | {100 * taught.test_accuracy:.2f} % | {taught.seconds:.0f} |"
    )
    for way, runs in results.items():
        accuracies = [100 * one.test_accuracy for one in runs]
        spread = f" ± {statistics.stdev(accuracies):.2f}" if len(runs) > 1 else ""
        seconds = statistics.mean(one.seconds for one in runs)
        mean = statistics.mean(accuracies)
        print(f"| student, {way} | {runs[0].params:,} | {mean:.2f} %{spread} | {seconds:.0f} |")


if __name__ == "__main__":
    main()
