"""Comparing strategies fairly: the same seeds, the same number of distinct evaluations, shared scores.

`compare` runs what is missing, several cells at once, and writes tables, figures and a page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from uninas_evo.compare import analysis, clock, tables
from uninas_evo.compare.analysis import Cell, Comparison
from uninas_evo.compare.cells import groups, read_cells
from uninas_evo.compare.comparefile import CompareFile
from uninas_evo.compare.page import render
from uninas_evo.compare.scheduler import run_groups
from uninas_evo.errors import RunFileError
from uninas_evo.files import claimed, write_text
from uninas_evo.mistakes import nearest
from uninas_evo.report.pareto_plots import attainment_figure
from uninas_evo.report.plots import curves_figure, save

Watch = Callable[[int, int], None]
"""Told how many groups of cells are done, and how many there are."""


def compare(
    file: CompareFile,
    out: Path,
    watch: Watch = lambda done, total: None,
    *,
    only: Sequence[str] = (),
    width: float | None = None,
) -> list[Comparison]:
    """Runs every cell that is not finished, and compares.

    Args:
        file: what is compared.
        out: folder for the cells, tables, figures and `index.html`; an earlier comparison in it goes on.
        watch: told of the progress.
        only: strategies that the figures' files show; all by default. Tables and the page have all.
        width: of these figures in inches, for a paper; see `plots.save`.

    Raises:
        RunFileError: there is no such strategy.
        PoolError: cells could not be run; the message gives the first reason.
        JournalError: a cell's folder is damaged or in use.
    """
    known = list(dict.fromkeys(name for runs in file.runs.values() for name in runs))
    for name in only:
        if name not in known:
            raise RunFileError(f"the strategies are {', '.join(known)}, got {name!r}{nearest(name, known)}")
    with claimed(out):
        work = groups(file, out)
        run_groups(work, file.options.pool, watch)
        options = file.options
        comparisons = [
            analysis.compare(problem, cells, options.evaluations, options.baseline, _optimum(file, problem))
            for problem, cells in read_cells(work).items()
        ]
        write(comparisons, out, file.text, only, width)
        if options.simulated_workers is not None:
            for comparison in comparisons:
                _write_by_time(comparison, read_cells(work)[comparison.problem], options.target, out)
    return comparisons


def write(
    comparisons: Sequence[Comparison],
    out: Path,
    settings: str,
    only: Sequence[str] = (),
    width: float | None = None,
) -> Path:
    """Writes CSV tables, PNG, SVG and PDF figures of each problem, and `index.html`; gives the page's path."""
    for comparison in comparisons:
        stem = str(out / comparison.problem)
        tables.write_csv(Path(f"{stem}-table.csv"), tables.final_table(comparison))
        tables.write_csv(Path(f"{stem}-pairs.csv"), tables.pair_table(comparison))
        tables.write_csv(Path(f"{stem}-seeds.csv"), tables.seed_table(comparison))
        tables.write_csv(Path(f"{stem}-curves.csv"), tables.curve_table(comparison))
        tables.write_csv(Path(f"{stem}-attainment.csv"), tables.surface_table(comparison))
        title = f"{comparison.problem}, {len(comparison.seeds)} seeds"
        figure = curves_figure(comparison.curves, comparison.quantity, title, comparison.optimum, comparison.goal, only)
        save(figure, Path(f"{stem}-curves"), width)
        if comparison.surfaces and len(comparison.objectives) == 2:
            surfaces = attainment_figure(comparison.surfaces, comparison.objectives, title, only)
            save(surfaces, Path(f"{stem}-attainment"), width)
    page = out / "index.html"
    write_text(page, render("Comparison", comparisons, settings))
    return page


def _write_by_time(
    comparison: Comparison, cells: Mapping[str, Sequence[Cell]], target: float | None, out: Path
) -> None:
    """Writes `PROBLEM-seconds.csv` and its figure, where there is one objective and something to reach."""
    goal = comparison.optimum if target is None else target
    if goal is None or len(comparison.objectives) > 1:
        return
    found = clock.by_time(cells, goal)
    stem = str(out / comparison.problem)
    tables.write_csv(Path(f"{stem}-seconds.csv"), clock.table(found))
    title = f"{comparison.problem}, {len(comparison.seeds)} seeds"
    save(clock.figure(found, comparison.quantity, title), Path(f"{stem}-seconds"))


def _optimum(file: CompareFile, problem: str) -> float | None:
    """The problem's best value, where it knows it."""
    instance = next(iter(file.runs[problem].values())).problem()
    value = getattr(instance, "optimum", None)
    return None if value is None else float(value)
