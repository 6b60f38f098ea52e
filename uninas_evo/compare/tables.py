"""A comparison's numbers as tables: rows for CSV files, and the same rows as text for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from uninas_evo.compare.analysis import Comparison
from uninas_evo.files import write_text
from uninas_evo.formats import number, plain_cell

Row = dict[str, str | int | float | None]

HEADINGS = {
    "strategy": "strategy",
    "rank": "mean rank",
    "mean": "mean",
    "interval": "95 % interval",
    "median": "median",
    "regret": "mean regret",
    "until_optimum": "to optimum",
    "found_optimum": "found",
    "p_holm": "p (Holm)",
    "a12": "A12",
    "seeds": "+ / = / −",
    "asking_s": "asking (s)",
    "scoring_s": "scoring (s)",
}
"""Columns of the table for people, and what they are called."""


def final_table(comparison: Comparison) -> list[Row]:
    """One row a strategy, the best mean rank first; tests are against the baseline."""
    rows = []
    for summary in comparison.summaries:
        pair = comparison.against.get(summary.name)
        timing = comparison.timings[summary.name]
        row: Row = {
            "strategy": summary.name,
            "rank": summary.rank,
            "mean": summary.mean,
            "low": summary.low,
            "high": summary.high,
            "median": summary.median,
        }
        if comparison.optimum is not None:
            queries = comparison.queries[summary.name]
            row["regret"] = abs(comparison.optimum - summary.mean)
            row["until_optimum"] = float(np.quantile(queries, 0.5, method="inverted_cdf"))
            row["found_optimum"] = int(np.isfinite(queries).sum())
        row |= {
            "p": pair.p if pair else None,
            "p_holm": pair.p_holm if pair else None,
            "a12": pair.a12 if pair else None,
            "better": pair.better if pair else None,
            "equal": pair.equal if pair else None,
            "worse": pair.worse if pair else None,
            "asking_s": timing.asking_s,
            "scoring_s": timing.scoring_s,
        }
        rows.append(row)
    return rows


def pair_table(comparison: Comparison) -> list[Row]:
    """One row for each two strategies; Holm's correction covers all of them."""
    return [
        {
            "a": pair.a,
            "b": pair.b,
            "better": pair.better,
            "equal": pair.equal,
            "worse": pair.worse,
            "p": pair.p,
            "p_holm": pair.p_holm,
            "a12": pair.a12,
        }
        for pair in comparison.pairs
    ]


def curve_table(comparison: Comparison) -> list[Row]:
    """One row for each strategy and evaluation: median and band of the best so far."""
    return [
        {"strategy": name, "evaluation": t, "median": float(m), "low": float(low), "high": float(high)}
        for name, curve in comparison.curves.items()
        for t, (m, low, high) in enumerate(zip(curve.median, curve.low, curve.high, strict=True), 1)
    ]


def seed_table(comparison: Comparison) -> list[Row]:
    """One row for each strategy and seed: what the run reached."""
    return [
        {"strategy": name, "seed": seed, "final": float(value)}
        for name, rows in comparison.qualities.items()
        for seed, value in zip(comparison.seeds, rows[:, -1], strict=True)
    ]


def surface_table(comparison: Comparison) -> list[Row]:
    """One row for each corner of each strategy's median attainment surface."""
    names = [objective.name for objective in comparison.objectives]
    return [
        {"strategy": strategy} | dict(zip(names, map(float, point), strict=True))
        for strategy, surface in comparison.surfaces.items()
        for point in surface
    ]


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Writes rows under the names of their columns; no file where there are no rows."""
    if not rows:
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(
        {key: plain_cell(one) if isinstance(one, str) else one for key, one in row.items()} for row in rows
    )
    write_text(path, text.getvalue())


def for_people(rows: Sequence[Row]) -> list[dict[str, str]]:
    """The final table with few digits: columns of `HEADINGS` that it has, in that order."""
    texts = []
    for row in rows:
        low, high = number(row["low"]), number(row["high"])
        shown = {**row, "interval": f"{low}–{high}", "seeds": None}
        if row["p"] is not None:
            shown["seeds"] = f"{row['better']} / {row['equal']} / {row['worse']}"
        texts.append({key: _text(key, shown[key]) for key in HEADINGS if key in shown})
    return texts


def _text(key: str, value: str | int | float | None) -> str:
    if key == "p_holm" and isinstance(value, float):
        return f"{value:.2g}" if value >= 0.001 else f"{value:.0e}"
    if key in ("rank", "a12") and isinstance(value, float):
        return f"{value:.2f}"
    return number(value)
