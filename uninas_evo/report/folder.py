"""What can be made of one run folder: its plots, and its best member under a limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uninas_evo.contracts import Budget, Cost, Objective
from uninas_evo.errors import BudgetError, GenomeError, JournalError, ObjectiveError
from uninas_evo.files import write_text
from uninas_evo.formats import exact
from uninas_evo.mistakes import nearest
from uninas_evo.report.importance import importance
from uninas_evo.report.pareto_plots import pareto_data, pareto_figure
from uninas_evo.report.plots import HYPERVOLUME, curves_figure, progress_figure, save
from uninas_evo.report.record import LARGEST, RunRecord, read_run
from uninas_evo.report.runplots import importance_figure
from uninas_evo.stats import fronts
from uninas_evo.stats.tests import Curve

PRESET_NAMES = {"resnet": "ResNet", "efficientnet": "EfficientNet", "vit": "ViT", "coatnet": "CoAtNet"}
Marks = dict[str, dict[str, float]]
"""Preset -> its values and costs."""


@dataclass(frozen=True)
class Picked:
    """A member that was picked.

    Attributes:
        number: its candidate's number in the run.
        id: its genome's id.
        cost: its named costs.
        values: objective -> value.
        path: the genome file that was written.
    """

    number: int
    id: str
    cost: Cost
    values: dict[str, float]
    path: Path


def plot_run(
    folder: Path,
    out: Path | None = None,
    *,
    presets: bool = False,
    importances: bool = False,
    width: float | None = None,
    trust: bool = False,
) -> list[Path]:
    """Draws a run, also one that is still running, as PNG, SVG and PDF.

    One objective: every evaluation with the best so far, and the objective against the parameters. Several: the
    front in the first two or three objectives, and the hypervolume as it grew.

    Args:
        folder: a run folder.
        out: where the files go; the run folder itself by default.
        presets: marks the presets on the run's skeleton, which are scored for that by the run's own problem.
        importances: draws how much each decision mattered for each objective that is no cost; see `importance`.
        width: inches, for a paper; see `plots.save`.
        trust: agrees, once and for all, to running what the folder names for that.

    Returns:
        The paths of the PNG files.

    Raises:
        JournalError: the folder holds no run, or nothing was scored yet.
        ObjectiveError: too little was scored yet to tell importances.
    """
    record = read_run(folder)
    if not np.isfinite(record.feasible).all(axis=1).any():
        raise JournalError(f"{folder} has no score yet that could be drawn; wait for the first, or name another run")
    marks = preset_marks(folder, record, trust=trust) if presets else {}
    out = out or folder
    out.mkdir(parents=True, exist_ok=True)
    title = folder.resolve().name
    objectives, points = axes_of(record)
    places = {PRESET_NAMES.get(name, name): [values[one.name] for one in objectives] for name, values in marks.items()}
    figures = {"pareto": pareto_figure(pareto_data(objectives, points, record.ids, places), title)}
    if len(record.objectives) == 1:
        figures["progress"] = progress_figure(record.drawn[:, 0], record.objectives[0], title, record.errors[:, 0])
    else:
        volume = hypervolume_curve(record)
        figures["hypervolume"] = curves_figure({"front": Curve(volume, volume, volume)}, HYPERVOLUME, title)
    if importances:
        for column, objective in enumerate(record.objectives):
            if not objective.is_cost:
                found = importance(record.genomes, record.feasible[:, column], record.seed)
                figures[f"importance-{objective.name}"] = importance_figure(found, objective)
    return [save(figure, out / name, width)[0] for name, figure in figures.items()]


def axes_of(record: RunRecord) -> tuple[list[Objective], fronts.FloatArray]:
    """The two or three objectives of a run's Pareto plot and their points; a single one stands against a cost."""
    if len(record.objectives) > 1:
        return list(record.objectives[:3]), record.drawn[:, :3]
    own = record.objectives[0]
    beside = next(name for name in record.costs[0] if name != own.name)
    size = np.array([cost[beside] for cost in record.costs], float)
    return [Objective(beside, "minimize", is_cost=True), own], np.column_stack([size, record.drawn[:, 0]])


def hypervolume_curve(record: RunRecord) -> fronts.FloatArray:
    """The front's hypervolume after each evaluation, (T,), as a share of the box around all that was scored."""
    points = np.clip(record.points, -LARGEST, LARGEST)
    box = fronts.Box.around(points)
    volumes: list[float] = []
    before: list[int] | None = None
    for kept in fronts.archives(points):
        same = before == kept.tolist()
        volumes.append(volumes[-1] if same else box.hypervolume(points[kept]))
        before = kept.tolist()
    return np.array(volumes)


def preset_marks(folder: Path, record: RunRecord, *, trust: bool = False) -> Marks:
    """The presets on the run's skeleton, scored by the run's problem with its seed; only those that fit.

    Raises:
        JournalError: the run's own objective is not the recorded one.
    """
    from uninas_evo.engine.identity import check_sources
    from uninas_evo.engine.journal import read_header
    from uninas_evo.engine.search import reopen
    from uninas_evo.pool.contract import Job
    from uninas_evo.pool.worker import Settings, Worker
    from uninas_evo.sources import hashes
    from uninas_evo.spaces.uninas import PRESETS, Genome, preset

    header = read_header(folder)
    problem = reopen(folder, trust=trust, header=header)[0].problem()
    check_sources(hashes(problem.sources), header)
    if not isinstance(problem.space.start, Genome):
        return {}
    worker = Worker(problem, Settings("cpu"))
    marks = {}
    for name in PRESETS:
        try:
            genome = preset(name, problem.space.start.skeleton)
        except GenomeError:
            continue  # attention cannot stand on the first stages of every skeleton
        score = worker.score(Job(0, genome.text))
        if score.values is not None:
            marks[name] = {**problem.space.cost(genome), **score.values}
    return marks


def pick(folder: Path, *, by: str | None = None, out: Path | None = None, **bounds: float) -> Picked:
    """Writes the best member of a run within bounds on its costs and values as a genome file.

    Without bounds this is the search's own best: of several objectives the front's knee. Within them, of equals it is
    the smallest.

        pick(Path("runs/pareto"), max_params=5e6, max_latency_ms=3)

    Args:
        folder: a run folder.
        by: the objective that decides; by default all, and with bounds those that are no costs: of several the knee
            of their front.
        out: the genome file; `picked.txt` in the run folder by default.
        bounds: ``max_NAME`` and ``min_NAME`` of any recorded cost or objective, as in a budget.

    Raises:
        ObjectiveError: the run has no objective of that name.
        BudgetError: the run has no cost or objective of that name, or no member with a score lies within the bounds.
    """
    record = read_run(folder)
    budget, limited = Budget(**bounds), [name.partition("_")[2] for name in bounds]
    deciding = _deciding(record, by, limited)
    scored = np.flatnonzero(np.isfinite(record.points).all(axis=1)).tolist()
    known = {row: record.costs[row].extended(**_values(record, row, costs=False)) for row in scored}
    for name in limited:
        if scored and name not in known[scored[0]]:
            names = list(known[scored[0]])
            raise BudgetError(
                f"a limit is on a cost or an objective of the run, {', '.join(names)}; got {name!r}"
                f"{nearest(name, names)}"
            )
    fits = [row for row in scored if budget.admits(known[row])]
    if not fits:
        raise BudgetError(
            f"no member of {folder} with a score is within {budget}: "
            f"{_smallest(list(known.values()))}; loosen the limit, or search with a smaller budget"
        )
    fits.sort(key=lambda row: record.costs[row].params)
    free = not bounds and by is None
    best = record.ranking[0] if free else fits[fronts.ranked(record.points[fits][:, deciding])[0]]
    path = out or folder / "picked.txt"
    write_text(path, record.genomes[best])
    return Picked(record.numbers[best], record.ids[best], record.costs[best], _values(record, best), path)


def _values(record: RunRecord, row: int, costs: bool = True) -> dict[str, float]:
    """The objectives of an evaluation by name, with those that are costs or without."""
    pairs = zip(record.objectives, record.values[row], strict=True)
    return {one.name: float(value) for one, value in pairs if costs or not one.is_cost}


def _deciding(record: RunRecord, by: str | None, limited: Sequence[str]) -> list[int]:
    """The objectives that decide: where anything is limited neither costs nor what is limited."""
    names = [objective.name for objective in record.objectives]
    if by is None:
        rest = [index for index, one in enumerate(record.objectives) if not one.is_cost and one.name not in limited]
        gains = rest if limited else []
        return gains or list(range(len(names)))
    if by not in names:
        raise ObjectiveError(
            f"--by must name an objective of the run, {', '.join(names)}; got {by!r}{nearest(by, names)}"
        )
    return [names.index(by)]


def _smallest(costs: Sequence[Cost]) -> str:
    if not costs:
        return "nothing has a score"
    return "the smallest have " + ", ".join(f"{name} {exact(min(cost[name] for cost in costs))}" for name in costs[0])
