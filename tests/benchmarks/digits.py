"""What seconds of training on scikit-learn's digits tell of networks: τ with what they reach on a bank's own data.

python tests/benchmarks/digits.py --out digits.jsonl [--networks 100] [--epochs 4] [--bank uninas-mini]

Networks are drawn from the bank at random and trained for the epochs; each takes seconds of one core. What is in the
file is not trained again, so that the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from conditions import conditions

from uninas_evo.predictors.bank import load_bank
from uninas_evo.spaces.uninas import load_genome
from uninas_evo.stats.ranks import bootstrapped, kendall
from uninas_evo.training.genomes import train_genome
from uninas_evo.training.protocol import protocol_for
from uninas_evo.training.tasks import task_class


def main() -> None:
    """Trains what the file lacks, then prints a line for each epoch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bank", default="uninas-mini")
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args()
    bank = load_bank(options.bank)
    parts = [bank.of(name) for name in bank.data]
    accuracies = [
        dict(zip(part.genomes, part.columns[part.trained or "train"].tolist(), strict=True)) for part in parts
    ]
    known = [text for text in parts[0].genomes if all(np.isfinite(one.get(text, np.nan)) for one in accuracies)]
    chosen = [known[place] for place in np.random.default_rng(0).permutation(len(known))[: options.networks]]
    protocol = protocol_for("classification", None).replace(epochs=options.epochs)
    data = task_class("classification").read("digits", protocol)
    lines = options.out.read_text().splitlines() if options.out.is_file() else []
    curves = {row["genome"]: row for row in map(json.loads, lines)}
    for text in chosen:
        if text not in curves:
            with tempfile.TemporaryDirectory() as folder:
                result = train_genome(load_genome(text), data, protocol, folder)
                history = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
            curves[text] = {"genome": text, "history": history, "seconds": result.seconds}
            with options.out.open("a") as file:
                file.write(json.dumps(curves[text]) + "\n")
    print(conditions())
    seconds = float(np.median([curves[text]["seconds"] for text in chosen]))
    print(f"{len(chosen)} networks, {options.epochs} epochs of digits, {seconds:.1f} s each (median)\n")
    print(f"| after | {' | '.join(f'loss, {name} | accuracy, {name}' for name in bank.data)} |")
    print("|--:|" + "--:|--:|" * len(bank.data))
    for epoch in range(options.epochs):
        rows = [curves[text]["history"][epoch] for text in chosen]
        cells = []
        for accuracy in accuracies:
            truth = np.array([accuracy[text] for text in chosen])
            for sign, name in ((-1, "loss"), (1, "val_accuracy")):
                score = np.array([sign * row[name] for row in rows])
                tau = bootstrapped(lambda pick: kendall(score[pick], truth[pick]), len(truth))  # noqa: B023
                cells.append(f"{tau.value:.2f} ({tau.low:.2f} to {tau.high:.2f})")
        print(f"| {epoch + 1} epoch{'s' if epoch else ''} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
