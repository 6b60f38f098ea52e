"""How shared weights rank NAS-Bench-201's cells: Kendall's tau between their accuracy and the benchmark's table.

    python tests/benchmarks/ranking.py --data FASHION_MNIST --table nasbench201_test_accuracy.csv.gz --out ranking

Supernets of 16 pixels, 8 channels, one cell a stage, norms measured anew for each cell; cells without a way from input
to output are left out. To be expected are a tau above 0.15 and a least accuracy above 0.6 after 3,000 steps of 128.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

import numpy as np
import torch
from conditions import conditions

from uninas_evo.problems.nasbench201 import NASBench201Problem
from uninas_evo.scoring.subject import GenomeSubject
from uninas_evo.sharing.scorer import SupernetScorer
from uninas_evo.spaces.nasbench201.space import EDGES, Cell
from uninas_evo.stats.ranks import kendall

GOOD = 80.0
"""Percent in the table above which cells are ranked among themselves too."""


def is_alive(cell: Cell) -> bool:
    """Whether a way of operations other than `none` leads from the input to the output."""
    reached = {0}
    for (source, target), operation in zip(EDGES, cell.edges, strict=True):
        if source in reached and operation != "none":
            reached.add(target)
    return max(target for _, target in EDGES) in reached


def main() -> None:
    """Trains, scores and prints a line a learner."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3000, help="of uniform; fair has a fifth, as each runs five paths")
    parser.add_argument("--cells", type=int, default=150)
    parser.add_argument("--batch", type=int, default=128)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(conditions(), flush=True)
    problem = NASBench201Problem(options.table)
    rng, cells = random.Random(0), dict[Cell, float]()
    while len(cells) < options.cells:
        cell = problem.space.sample(rng)
        if is_alive(cell):
            cells[cell] = problem.accuracy[cell.text]
    for learner, steps in (("uniform", options.steps), ("fair", max(1, options.steps // 5))):
        start = time.monotonic()
        scorer = SupernetScorer(
            data=str(options.data), learner=learner, network={"channels": 8, "cells": 1}, image=16, steps=steps,
            batch_size=options.batch, recalibrate=1000, score_images=1000,
        )  # fmt: skip
        scorer.make_ready(problem.space, 0, options.out / learner, "cpu", lambda _: None)
        trained = time.monotonic() - start
        subjects = [GenomeSubject(cell, problem.space, 0, None, ()) for cell in cells]
        shared = np.array([scorer.score(subject, "cpu")["supernet"] for subject in subjects])
        truth = np.array(list(cells.values()))
        good, low, high = truth > GOOD, shared.min(), shared.max()
        print(
            f"{learner}: {steps} steps, {trained:.0f} s; tau {kendall(shared, truth):.2f}, of the {good.sum()} cells "
            f"above {GOOD:g} % {kendall(shared[good], truth[good]):.2f}; accuracies {low:.2f} to {high:.2f}"
        )


if __name__ == "__main__":
    main()
