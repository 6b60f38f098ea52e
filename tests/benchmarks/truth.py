"""What a search by training is worth: its finalists, its start and the scaled presets, trained alike with fresh seeds.

Prints the table of docs/truth.md. The finalists are the first ones of the strategy's ranking; validation chooses among
them, and the test part is read once a training. Interrupted, the same command goes on.

    uninas-evo run runs/trained.toml --out trained --set problem.proxies.train.data=PATH
    python tests/benchmarks/truth.py trained --data PATH --top 5 --seeds 5
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from conditions import conditions

from uninas_evo.compare.baselines import scaled_preset
from uninas_evo.engine.journal import Journal
from uninas_evo.engine.loop import Loop
from uninas_evo.engine.search import plan_of, reopen
from uninas_evo.spaces.uninas import PRESETS, Genome, UninasSpace, load_genome
from uninas_evo.training import load_protocol, read_splits, train_genome
from uninas_evo.training.images import Splits

FRESH = 1000
"""Seeds of these trainings count from here: no search uses them."""


def finalists(run_dir: Path, top: int) -> tuple[UninasSpace, dict[str, Genome]]:
    """The best of a run by its strategy's estimates, which a replay of the journal makes anew."""
    plan = plan_of(reopen(run_dir)[0])
    loop = Loop(plan.problem, plan.strategy, Journal.of(run_dir))
    loop.replay()
    numbers = list(plan.strategy.ranking() or ())[:top]
    assert isinstance(plan.problem.space, UninasSpace)
    return plan.problem.space, {f"finalist {n}": loop.trials[n].candidate.genome for n in numbers}


def some(splits: Splits, images: int) -> Splits:
    """The splits with the first training images of the search's permutation."""
    if not 0 < images < len(splits.train):
        return splits
    order = np.random.default_rng(0).permutation(len(splits.train))
    return replace(splits, train=splits.train.subset(np.sort(order[:images])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, default=None, help="folder of the trainings; RUN_DIR/truth by default")
    parser.add_argument("--protocol", default="small")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--top", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--presets", nargs="*", default=PRESETS)
    parser.add_argument("--genomes", nargs="*", default=[], help="further genomes' files")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(conditions(), flush=True)
    protocol = load_protocol(args.protocol).replace(epochs=args.epochs)
    splits = some(read_splits(args.data, protocol.val_fraction), args.images)
    space, entrants = finalists(args.run_dir, args.top)
    entrants |= {name: scaled_preset(name, space.start.skeleton, space.budget) for name in args.presets}
    entrants["start"] = space.start
    entrants |= {Path(file).stem: load_genome(file) for file in args.genomes}
    out = args.out or args.run_dir / "truth"
    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in entrants}
    for seed in range(args.seeds):
        for name, genome in entrants.items():
            begin = time.process_time()
            folder = out / f"{genome.id}-{args.epochs}-epochs" / f"seed-{seed}"
            result = train_genome(genome, splits, protocol, folder, seed=FRESH + seed)
            rows[name].append((result.val_accuracy, result.test_accuracy))
            cpu = time.process_time() - begin
            line = {"network": name, "seed": seed, "val": result.val_accuracy, "test": result.test_accuracy}
            print(json.dumps(line | {"cpu_s": round(cpu, 1)}), flush=True)
    print(table(entrants, rows))


def table(entrants: dict[str, Genome], rows: dict[str, list[tuple[float, float]]]) -> str:
    """A row a network, the best by validation first."""
    lines = ["| network | genome | params | MFLOPs | validation | test |", "|---|---|--:|--:|--:|--:|"]
    for name in sorted(rows, key=lambda one: -float(np.mean([val for val, _ in rows[one]]))):
        values = 100 * np.array(rows[name])
        spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.full(2, np.nan)
        val, test = (f"{mean:.2f} ± {own:.2f}" for mean, own in zip(values.mean(axis=0), spread, strict=True))
        genome = entrants[name]
        lines.append(f"| {name} | {genome.id} | {genome.params:,} | {genome.flops / 1e6:.2f} | {val} | {test} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
