"""The summary at the end of a run, for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from uninas_evo.engine.results import Difference, Evaluation, Rescored, SearchResult
from uninas_evo.engine.verify import Row
from uninas_evo.formats import duration, exact

_FILES = {
    "winner.txt": "the winner's genome: give it to any command that takes a genome",
    "front": "the genomes of the Pareto front",
    "front.csv": "their values",
    "progress.png": "every evaluation, and the best so far",
    "pareto.png": "score against size, or the Pareto front",
    "hypervolume.png": "how the front grew",
    "journal.jsonl": "everything that was asked and scored; the run goes on from it",
    "run.toml": "the run file with every default filled in",
    "summary.json": "this summary, as numbers",
}


def summary_table(result: SearchResult) -> RenderableType:
    """The best, how sure it is, what failed, and what lies in the run folder."""
    parts: list[RenderableType] = [Text(_headline(result))]
    if result.front:
        parts.append(_best(result.front))
    if result.rescored is not None:
        parts.append(_rescored(result.rescored))
    parts += [Text(line, style="yellow") for line in result.warnings]
    if result.folder is not None:
        parts.append(_files(result.folder))
    return Group(*parts)


def _headline(result: SearchResult) -> str:
    failed = sum(one.failure is not None for one in result.evaluations)
    return f"{result.end.text} in {duration(result.end.at)}" + (f", {failed} of them failed" if failed else "")


def _best(front: list[Evaluation], most: int = 10) -> Table:
    costs = list(front[0].cost)
    names = [name for name in front[0].values if name not in costs]
    table = Table("candidate", *names, *costs, title="best" if len(front) == 1 else "Pareto front")
    for one in front[:most]:
        values = (f"{one.values.get(name, float('nan')):.6g}" for name in names)
        table.add_row(str(one.number), *values, *(exact(one.cost[name]) for name in costs))
    if len(front) > most:
        table.caption = f"{most} of {len(front)}; all in front.csv"
    return table


def _rescored(rescored: Rescored) -> Table:
    seeds = len(rescored.values["winner"])
    title = f"{rescored.objective} with {seeds} fresh seed{'s' if seeds > 1 else ''}, the same for all"
    table = Table("", "candidate", "mean ± standard error", "winner's lead", title=title)
    winner, recorded = rescored.candidates.get("winner"), rescored.best_recorded
    if winner != recorded:
        table.caption = f"candidate {recorded} scored best in the search; fresh seeds prefer candidate {winner}"
    leads = {"start": rescored.over_start, "runner-up": rescored.over_runner_up}
    for name, values in rescored.values.items():
        table.add_row(name, str(rescored.candidates.get(name, "")), _mean(values), _lead(leads.get(name)))
    return table


def _mean(values: list[float]) -> str:
    mean = sum(values) / len(values)
    if len(values) == 1:
        return f"{mean:.6g}"
    deviation = (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5
    return f"{mean:.6g} ± {deviation / len(values) ** 0.5:.2g}"


def _lead(lead: Difference | None) -> str:
    if lead is None:
        return ""
    return f"{lead.mean:+.4g} ± {lead.error:.2g}, " + ("beyond noise" if lead.significant else "within noise")


def _files(folder: Path) -> Table:
    table = Table.grid(padding=(0, 2))
    table.title = f"in {folder}"
    for name, text in _FILES.items():
        if (folder / name).exists():
            table.add_row(name, Text(text, style="dim"))
    return table


def verify_table(rows: Sequence[Row]) -> Table:
    """Recorded and fresh values side by side."""
    shown = Table("candidate", "value", Column("recorded", overflow="fold"), Column("now", overflow="fold"))
    shown.add_column("compared")
    shown.add_column("agrees")
    for row in rows:
        shown.add_row(
            str(row.number), row.name, repr(row.recorded), repr(row.now), row.rule, "yes" if row.agrees else "NO"
        )
    return shown
