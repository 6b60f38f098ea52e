"""UniNAS-mini from its banks: one table of networks with what they reached on each data set, costs, latency and scores.

    uninas-evo bank runs/uninas-mini-genomes.toml --out genomes --set problem.proxies.train.data=FASHION_MNIST
    uninas-evo bank runs/uninas-mini.toml --out fashion-mnist --set problem.proxies.train.data=FASHION_MNIST
    uninas-evo bank runs/uninas-mini.toml --out cifar10 --set problem.proxies.train.data=CIFAR10
    python tests/benchmarks/uninas_mini.py fashion-mnist cifar10 --genomes genomes --out uninas-mini.csv.gz

A bank's columns get the name of its folder here: `cifar10.train_4x10000`. Scores see 64 images of noise; the cheap ones
are means over two seeds. What was computed is kept beside the table (`.scores.jsonl`), so that the same command goes on
where it was interrupted. Latency is that of one image in the eager network, on this machine with one thread.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from uninas_evo import build, load_bank, load_genome
from uninas_evo.predictors.bank import write_rows
from uninas_evo.proxies.registry import PROXIES
from uninas_evo.scoring.calibrated import SCORES, mean_scores
from uninas_evo.scoring.latency import latency_ms

COSTS = ("params", "flops", "layers")
"""Known from the genome, or a count of it: not scores."""


def main() -> None:
    """Joins the banks, scores what is new, and writes the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("banks", nargs="+", type=Path)
    parser.add_argument("--genomes", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: dict[str, dict[str, Any]] = {}
    drawn = load_bank(options.genomes)
    origins = dict(zip(drawn.genomes, drawn.origins, strict=True))
    for folder in options.banks:
        bank = load_bank(folder)
        for index, genome in enumerate(bank.genomes):
            row = rows.setdefault(genome, {"genome": genome, "origin": origins[genome]})
            values = {name: float(column[index]) for name, column in bank.columns.items()}
            row |= {name: int(values.pop(name)) for name in ("params", "flops")}
            row |= {f"{folder.name}.{name}": told(value) for name, value in values.items() if wanted(name)}
    kept = options.out.with_name(f"{options.out.name}.scores.jsonl")
    known = [json.loads(line) for line in kept.read_text().splitlines()] if kept.is_file() else []
    scores = {one.pop("genome"): one for one in known}
    with kept.open("a") as file:
        for genome, row in rows.items():
            if genome not in scores:
                scores[genome] = scored(genome)
                file.write(json.dumps({"genome": genome} | scores[genome]) + "\n")
                file.flush()
            rows[genome] = row | {"latency_ms": round(latency(genome), 4)} | scores[genome]
    write_rows(rows.values(), options.out)
    print(f"{len(rows)} networks in {options.out}")


def wanted(name: str) -> bool:
    """Epochs are told by the columns' names."""
    return not name.startswith("train_epochs")


def told(value: float) -> float | str:
    """Accuracies and seconds to the digits that mean something; nothing where there is none."""
    return "" if np.isnan(value) else round(value, 5)


def scored(text: str) -> dict[str, float | str]:
    """Every score; nothing where one refuses the network."""
    genome = load_genome(text)
    dear = [name for name in PROXIES if name not in {*COSTS, *SCORES}]
    found = {
        **mean_scores(lambda: build(genome), genome.skeleton.image, SCORES),
        **mean_scores(lambda: build(genome), genome.skeleton.image, dear, seeds=1),
    }
    return {name: "" if np.isnan(value) else value for name, value in found.items()}


def latency(text: str) -> float:
    """Milliseconds of one image; of every network anew, so that all are measured in one stretch."""
    genome = load_genome(text)
    return latency_ms(build(genome), genome.skeleton.image, "cpu", repeats=100)


if __name__ == "__main__":
    main()
