"""What each learner of shared weights derives on NAS-Bench-201: its accuracy in the benchmark's table, seconds, skips.

    python tests/benchmarks/learners.py --data FASHION_MNIST --table nasbench201_test_accuracy.csv.gz --out learners

Supernets of 16 pixels, 8 channels, one cell a stage. Trainings that are in the folder are not repeated, so that the
same command goes on where it was interrupted and ends with the table of all.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from conditions import conditions

from uninas_evo.contracts import Objective, Result, numbered
from uninas_evo.problems.nasbench201 import NASBench201Problem
from uninas_evo.scoring.subject import GenomeSubject
from uninas_evo.sharing.learner import PolicyLearner
from uninas_evo.sharing.scorer import SupernetScorer
from uninas_evo.strategies.evolution import Evolution

RATE = 0.01
"""Of the logits: with the published 3e-4 they do not leave the uniform distribution in so few steps."""
LEARNERS: dict[str, tuple[str, dict[str, Any]]] = {
    "uniform + evolution": ("uniform", {}),
    "fair + evolution": ("fair", {}),
    "darts, order 1": ("darts", {"policy_lr": RATE}),
    "gdas": ("gdas", {"policy_lr": RATE}),
    "unas": ("unas", {"policy_lr": RATE, "per_image": False}),
    "enas": ("enas", {}),
    "darts, order 2": ("darts", {"policy_lr": RATE, "order": 2}),
}
EVALUATIONS = 40
"""Genomes that evolution scores with shared weights."""


def trained(name: str, seed: int, problem: NASBench201Problem, options: argparse.Namespace) -> dict[str, Any]:
    """The cell that one training leads to."""
    learner, settings = LEARNERS[name]
    steps = max(1, options.steps // 5) if learner == "fair" else options.steps
    scorer = SupernetScorer(
        data=str(options.data), learner=learner, options=settings, network={"channels": 8, "cells": 1}, image=16,
        steps=steps, batch_size=64, recalibrate=500, score_images=1000, report=50,
    )  # fmt: skip
    start = time.monotonic()
    folder = options.out / f"{name} {seed}"
    scorer.make_ready(problem.space, seed, folder, "cpu", lambda _: None)
    assert scorer.training is not None
    found: Any = scorer.training.learner
    cell = found.derive() if isinstance(found, PolicyLearner) else evolved(scorer, problem, seed)
    text = problem.space.encode(cell)
    return {
        "learner": name,
        "seed": seed,
        "steps": steps,
        "cell": text,
        "accuracy": problem.accuracy[cell.text],
        "seconds": time.monotonic() - start,
        "skips": cell.text.count("skip_connect"),
    }


def evolved(scorer: SupernetScorer, problem: NASBench201Problem, seed: int) -> Any:
    """The cell that evolution finds by accuracy with shared weights."""
    objectives = [Objective("supernet", "maximize")]
    strategy = Evolution(problem.space, objectives, seed=seed, population=20)
    scores: dict[Any, float] = {}
    number = 0
    while len(scores) < EVALUATIONS:
        results = []
        for draft in strategy.ask():
            candidate = numbered(draft, number)
            number += 1
            if candidate.genome not in scores:
                subject = GenomeSubject(candidate.genome, problem.space, seed, None, ())
                scores[candidate.genome] = scorer.score(subject, "cpu")["supernet"]
            results.append(Result(candidate, {"supernet": scores[candidate.genome]}))
        strategy.tell(results)
    return max(scores, key=lambda cell: scores[cell])


def main() -> None:
    """Trains what is missing and prints the table of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=list(LEARNERS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(conditions(), flush=True)
    problem = NASBench201Problem(options.table)
    options.out.mkdir(parents=True, exist_ok=True)
    kept = options.out / "learners.jsonl"
    rows = [json.loads(line) for line in kept.read_text().splitlines()] if kept.is_file() else []
    done = {(row["learner"], row["seed"]) for row in rows}
    for seed in range(options.seeds):
        for name in options.only:
            if (name, seed) in done:
                continue
            rows.append(trained(name, seed, problem, options))
            with kept.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
            print(rows[-1], flush=True)
    for name in LEARNERS:
        mine = [row for row in rows if row["learner"] == name]
        if mine:
            columns = [_told([row[key] for row in mine]) for key in ("accuracy", "seconds", "skips")]
            print(f"| {name} | {mine[0]['steps']} | " + " | ".join(columns) + " |")
    print(f"| one random cell | – | {_told(list(problem.accuracy.values()))} | – | – |")
    rng = random.Random(0)
    best = [max(problem.accuracy[problem.space.sample(rng).text] for _ in range(EVALUATIONS)) for _ in range(1000)]
    print(f"| the best of {EVALUATIONS} random cells in the table | – | {_told(best)} | – | – |")


def _told(values: list[float]) -> str:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.2f} ± {deviation:.2f}"


if __name__ == "__main__":
    main()
