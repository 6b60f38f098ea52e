"""What can be made of one run folder: its plots, and its best member under a limit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uninas_evo.contracts import Cost, Objective
from uninas_evo.errors import BudgetError, GenomeError, JournalError, ObjectiveError
from uninas_evo.files import write_text
from uninas_evo.mistakes import nearest
from uninas_evo.report.pareto_plots import pareto_data, pareto_figure
from uninas_evo.report.plots import curves_figure, progress_figure, save
from uninas_evo.report.record import RunRecord, read_run
from uninas_evo.stats import fronts
from uninas_evo.stats.tests import Curve

PRESET_NAMES = {"resnet": "ResNet", "efficientnet": "EfficientNet", "vit": "ViT", "coatnet": "CoAtNet"}
Marks = dict[str, dict[str, float]]
"""Preset -> its values, parameters and FLOPs among them."""


@dataclass(frozen=True)
class Picked:
    """A member that was picked.

    Attributes:
        number: its candidate's number in the run.
        id: its genome's id.
        cost: its parameters and FLOPs.
        values: objective -> value.
        path: the genome file that was written.
    """

    number: int
    id: str
    cost: Cost
    values: dict[str, float]
    path: Path


def plot_run(folder: Path, out: Path | None = None, *, presets: bool = False) -> list[Path]:
    """Draws a run, also one that is still running, as PNG and SVG.

    One objective: every evaluation with the best so far, and the objective against the parameters. Several: the
    front in the first two or three objectives, and the hypervolume as it grew.

    Args:
        folder: a run folder.
        out: where the files go; the run folder itself by default.
        presets: marks the presets on the run's skeleton, which are scored for that by the run's own problem.

    Returns:
        The paths of the PNG files.

    Raises:
        JournalError: the folder holds no run, or nothing was scored yet.
    """
    record = read_run(folder)
    if not np.isfinite(record.values).all(axis=1).any():
        raise JournalError(f"{folder} has no score yet that could be drawn; wait for the first, or name another run")
    marks = preset_marks(folder, record) if presets else {}
    out = out or folder
    out.mkdir(parents=True, exist_ok=True)
    title = folder.resolve().name
    objectives, points = axes_of(record)
    places = {PRESET_NAMES.get(name, name): [values[one.name] for one in objectives] for name, values in marks.items()}
    figures = {"pareto": pareto_figure(pareto_data(objectives, points, record.ids, places), title)}
    if len(record.objectives) == 1:
        figures["progress"] = progress_figure(record.values[:, 0], record.objectives[0], title, record.errors[:, 0])
    else:
        volume = hypervolume_curve(record)
        figures["hypervolume"] = curves_figure({"front": Curve(volume, volume, volume)}, "hypervolume", title)
    return [save(figure, out / name)[0] for name, figure in figures.items()]


def axes_of(record: RunRecord) -> tuple[list[Objective], fronts.FloatArray]:
    """The two or three objectives of a run's Pareto plot and their points; a single one stands against params."""
    if len(record.objectives) > 1:
        return list(record.objectives[:3]), record.values[:, :3]
    counts = {"params": [cost.params for cost in record.costs], "flops": [cost.flops for cost in record.costs]}
    beside = "flops" if record.objectives[0].name == "params" else "params"
    size = np.array(counts[beside], float)
    return [Objective(beside, "minimize"), record.objectives[0]], np.column_stack([size, record.values[:, 0]])


def hypervolume_curve(record: RunRecord) -> fronts.FloatArray:
    """The front's hypervolume after each evaluation, (T,), as a share of the box around all that was scored."""
    box = fronts.Box.around(record.points)
    volumes: list[float] = []
    before: list[int] | None = None
    for kept in fronts.archives(record.points):
        same = before == kept.tolist()
        volumes.append(volumes[-1] if same else box.hypervolume(record.points[kept]))
        before = kept.tolist()
    return np.array(volumes)


def preset_marks(folder: Path, record: RunRecord) -> Marks:
    """The presets on the run's skeleton, scored by the run's problem with its seed; only those that fit.

    Raises:
        JournalError: the run's own objective is not the recorded one.
    """
    from uninas_evo.engine.journal import read_journal
    from uninas_evo.engine.search import check_sources, reopen
    from uninas_evo.pool.contract import Job
    from uninas_evo.pool.worker import Settings, Worker
    from uninas_evo.spaces.uninas import PRESETS, Genome, preset

    problem = reopen(folder)[0].problem()
    check_sources(problem, read_journal(folder)[0], folder, allowed=False)
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
            marks[name] = {"params": genome.params, "flops": genome.flops, **score.values}
    return marks


def pick(
    folder: Path,
    *,
    max_params: float = float("inf"),
    max_flops: float = float("inf"),
    by: str | None = None,
    out: Path | None = None,
) -> Picked:
    """Writes the best member of a run under limits as a genome file.

    Without limits this is the search's own best: of several objectives the front's knee.

    Args:
        folder: a run folder.
        max_params: most parameters.
        max_flops: most FLOPs.
        by: the objective that decides; by default all, and with a limit those that are no costs: of several the knee
            of their front.
        out: the genome file; `picked.txt` in the run folder by default.

    Raises:
        ObjectiveError: the run has no objective of that name.
        BudgetError: no member with a score is that small.
    """
    record = read_run(folder)
    limited = max_params < np.inf or max_flops < np.inf
    deciding = _deciding(record, by, limited)
    fits = [
        row
        for row, cost in enumerate(record.costs)
        if cost.params <= max_params and cost.flops <= max_flops and np.isfinite(record.points[row]).all()
    ]
    if not fits:
        raise BudgetError(
            f"no member of {folder} with a score is within params <= {max_params:g} and flops <= {max_flops:g}: "
            f"{_smallest(record)}; raise the limit, or search with a smaller budget"
        )
    fits.sort(key=lambda row: record.costs[row].params)
    best = fits[fronts.ranked(record.points[fits][:, deciding])[0]]
    path = out or folder / "picked.txt"
    write_text(path, record.genomes[best])
    values = {one.name: float(value) for one, value in zip(record.objectives, record.values[best], strict=True)}
    return Picked(record.numbers[best], record.ids[best], record.costs[best], values, path)


def _deciding(record: RunRecord, by: str | None, limited: bool) -> list[int]:
    """The objectives that decide: costs do not where they are limited."""
    names = [objective.name for objective in record.objectives]
    if by is None:
        gains = [index for index, name in enumerate(names) if limited and name not in record.costs[0]]
        return gains or list(range(len(names)))
    if by not in names:
        raise ObjectiveError(
            f"--by must name an objective of the run, {', '.join(names)}; got {by!r}{nearest(by, names)}"
        )
    return [names.index(by)]


def _smallest(record: RunRecord) -> str:
    scored = [cost for cost, row in zip(record.costs, record.points, strict=True) if np.isfinite(row).all()]
    if not scored:
        return "nothing has a score"
    return (
        f"the smallest have {min(cost.params for cost in scored):,} parameters and "
        f"{min(cost.flops for cost in scored):,} FLOPs"
    )
