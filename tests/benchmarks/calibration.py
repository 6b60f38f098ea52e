"""What predictors make of UniNAS-mini: how well networks are ranked that they have not seen, by five folds.

    python tests/benchmarks/calibration.py [--data fashion-mnist cifar10] [--labels 100] [--draws 5] [--model forest]

Draws so many trained networks at random, predicts each fold from the other four, and prints Kendall's tau with what
they reached: over all, among pairs within 10 % of size (parameters and FLOPs), and among the best third. Beside it,
half an epoch alone, and joined with the prediction by a line whose slopes are learned on the other folds; and how many
values lie inside their 90 % intervals, and how wide these are.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import kendalltau

from uninas_evo import load_bank, load_space
from uninas_evo.predictors import PREDICTORS, Conformal, Features, Ridge
from uninas_evo.predictors.bank import Bank
from uninas_evo.proxies.registry import PROXIES

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

FOLDS = 5
SHORT = "train_1x5000"
"""Half an epoch."""
WAYS = ("features", "features + scores", "half an epoch", "all three", "the same training, another seed")


def main() -> None:
    """Prints a table a data set."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bank", default="uninas-mini")
    parser.add_argument("--data", nargs="*", default=("fashion-mnist", "cifar10"))
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--model", choices=PREDICTORS, default="forest")
    options = parser.parse_args()
    for data in options.data:
        bank = load_bank(options.bank, data)
        column = bank.trained or "train"
        print(f"\n{data}: {column} of {np.isfinite(bank.columns[column]).sum()} networks, {options.labels} drawn\n")
        print("| from | tau | of one size | best third |\n|---|--:|--:|--:|")
        found: dict[str, list[tuple[float, ...]]] = {}
        covered = []
        for seed in range(options.draws):
            chosen = drawn(bank, column, options.labels, seed)
            truth = bank.columns[column][chosen]
            for way, predicted in ways(bank, column, chosen, options.model, seed).items():
                found.setdefault(way, []).append(agreement(predicted, truth, bank, chosen))
            covered.append(coverage(bank, column, chosen, options.model, seed))
        for way, values in found.items():
            if np.isnan(values).all():  # there is no such training
                continue
            cells = (f"{np.nanmean(one):.3f} ± {np.nanstd(one, ddof=1):.3f}" for one in np.array(values).T)
            print(f"| {way} | {' | '.join(cells)} |")
        inside, width = np.mean(covered, axis=0)
        print(f"\n90 % intervals: {inside:.1%} inside, mean width {width:.3f}")


def drawn(bank: Bank, column: str, labels: int, seed: int) -> IntArray:
    """Places of networks with a value, in random order."""
    known = np.flatnonzero(np.isfinite(bank.columns[column]))
    return np.random.default_rng(seed).permutation(known)[:labels]


def facts(bank: Bank, chosen: IntArray, scores: Sequence[str]) -> list[dict[str, float]]:
    """Features and scores of networks."""
    rows = []
    for place in chosen:
        space, genome = load_space(bank.genomes[place])
        rows.append(dict(space.features(genome)) | {name: float(bank.columns[name][place]) for name in scores})
    return rows


def folds(count: int) -> list[IntArray]:
    """The places of each fold; what is drawn is in random order already."""
    return np.array_split(np.arange(count), FOLDS)


def cross(rows: Sequence[dict[str, float]], scores: Sequence[str], values: FloatArray, model: str) -> FloatArray:
    """Each value predicted from the other folds (T,)."""
    predicted = np.empty(len(rows))
    for part in folds(len(rows)):
        rest = np.setdiff1d(np.arange(len(rows)), part)
        predicted[part] = fitted(rows, scores, values, rest, part, model)
    return predicted


def fitted(
    rows: Sequence[dict[str, float]],
    scores: Sequence[str],
    values: FloatArray,
    rest: IntArray,
    part: IntArray,
    model: str,
) -> FloatArray:
    """Values of `part` predicted from those of `rest`."""
    known = [rows[place] for place in rest]
    table = Features(known, scores)
    one = PREDICTORS[model]()
    one.fit(table.rows(known), values[rest], seed=0)
    return one.predict(table.rows([rows[place] for place in part]))[0]


def ways(bank: Bank, column: str, chosen: IntArray, model: str, seed: int) -> dict[str, FloatArray]:
    """Predictions (T,) from each of `WAYS`."""
    scores = [name for name in PROXIES if name in bank.columns and name not in ("params", "flops")]
    rows, values, short = facts(bank, chosen, scores), bank.columns[column][chosen], bank.columns[SHORT][chosen]
    plain = [{name: value for name, value in row.items() if name not in scores} for row in rows]
    joined = np.empty(len(rows))
    for part in folds(len(rows)):
        rest = np.setdiff1d(np.arange(len(rows)), part)
        inner = cross([rows[place] for place in rest], scores, values[rest], model)
        line = Ridge()
        line.fit(np.column_stack([short[rest], inner]), values[rest], seed=seed)
        outer = fitted(rows, scores, values, rest, part, model)
        joined[part] = line.predict(np.column_stack([short[part], outer]))[0]
    again = bank.columns.get(f"{column}_2", np.full(len(bank), np.nan))[chosen]
    found = (cross(plain, (), values, model), cross(rows, scores, values, model), short, joined, again)
    return dict(zip(WAYS, found, strict=True))


def agreement(predicted: FloatArray, truth: FloatArray, bank: Bank, chosen: IntArray) -> tuple[float, float, float]:
    """Tau over all, among pairs of one size, and among the best third, where at least ten have both values."""
    good = np.isfinite(predicted)
    if good.sum() < 10:
        return (float("nan"),) * 3
    predicted, truth, chosen = predicted[good], truth[good], chosen[good]
    sizes = np.log([bank.columns[name][chosen] for name in ("params", "flops")])
    near = (np.abs(sizes[:, :, None] - sizes[:, None, :]) <= np.log(1.1)).all(0)
    order = np.sign(predicted[:, None] - predicted) * np.sign(truth[:, None] - truth)
    upper = np.triu(near, 1)
    top = np.argsort(-truth)[: len(truth) // 3]
    return (
        float(kendalltau(predicted, truth)[0]),
        float(order[upper].mean()),
        float(kendalltau(predicted[top], truth[top])[0]),
    )


def coverage(bank: Bank, column: str, chosen: IntArray, model: str, seed: int) -> tuple[float, float]:
    """The share of values inside their 90 % intervals, and the intervals' mean width."""
    scores = [name for name in PROXIES if name in bank.columns and name not in ("params", "flops")]
    rows, values = facts(bank, chosen, scores), bank.columns[column][chosen]
    inside, widths = [], []
    for part in folds(len(rows)):
        rest = np.setdiff1d(np.arange(len(rows)), part)
        known = [rows[place] for place in rest]
        table = Features(known, scores)
        one = Conformal(PREDICTORS[model])
        one.fit(table.rows(known), values[rest], seed=seed)
        found = one.predict(table.rows([rows[place] for place in part]))
        inside.append(found.coverage(values[part]))
        widths.append(found.width)
    return float(np.mean(inside)), float(np.mean(widths))


if __name__ == "__main__":
    main()
