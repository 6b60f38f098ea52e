"""Who is trained against whom: a search's winners, and presets scaled to the same budget."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from uninas_evo.config.runfile import FILE_NAME
from uninas_evo.contracts import Budget, Space
from uninas_evo.devices.costs import CostOptions, costed
from uninas_evo.engine.journal import read_journal
from uninas_evo.engine.search import reopen
from uninas_evo.errors import BudgetError, JournalError, RunFileError
from uninas_evo.files import decoded
from uninas_evo.report.record import genome_id, record_of
from uninas_evo.spaces.uninas import HEAD_WIDTH, PRESETS, Genome, Skeleton, StepRule, UninasSpace, load_genome, preset
from uninas_evo.spaces.uninas.dialect import dialect
from uninas_evo.spaces.uninas.resize import CHANNEL_STEP, widest

ATTENTION_STEP = HEAD_WIDTH
"""Widths of stages with attention are multiples of a head's."""


def winners(run_dir: str | Path, top: int) -> tuple[Space[Any], list[Any]]:
    """The space of a run and its best genomes; with several objectives those of its Pareto front, the knee first.

    Raises:
        JournalError: there is no run, it has no scored genome, or only the Python that began it knows its space.
    """
    header, events = read_journal(Path(run_dir))
    record = record_of(header, events)
    texts = [record.genomes[row] for row in record.ranking[:top]]
    if not texts:
        raise JournalError(f"the run {run_dir} has no scored genome yet; let it score some, then train its best")
    table = header.run.get("problem", {})
    if table.get("name", "uninas") == "uninas":  # a genome's text tells its skeleton: nothing of the run is executed
        genomes = [load_genome(text) for text in texts]
        rule = StepRule(operations=dialect(table.get("operations"), table.get("without", ())))
        costs = {name: CostOptions.model_validate(one) for name, one in table.get("costs", {}).items()}
        space: Space[Any] = UninasSpace(_start(table) or genomes[0], rule=rule)
        return costed(space, costs, Budget(**table.get("budget", {}))), genomes
    space = reopen(Path(run_dir), trust=False)[0].problem().space
    return space, [space.decode(text) for text in texts]


def _start(problem: Mapping[str, Any]) -> Genome | None:
    """Where a search in the UniNAS space began; None where its run does not tell. A run holds the text of a file."""
    source, skeleton = problem.get("start", ""), problem.get("skeleton")
    if source not in PRESETS and "\n" not in source:
        return None
    return load_genome(source, TypeAdapter(Skeleton | None).validate_python(skeleton))


def train_table(run_dir: str | Path) -> dict[str, Any]:
    """The `[train]` table of a run's file; empty where it has none."""
    header, _ = read_journal(Path(run_dir))
    file = Path(run_dir) / FILE_NAME
    try:
        content = tomllib.loads(decoded(file.read_bytes())) if file.is_file() else header.run
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RunFileError(f"{file} cannot be read: {error}; delete it to take the run as it was started") from None
    return dict(content.get("train") or {})


def training_root(run_dir: str | Path, task: str, data: str) -> Path:
    """Where a run's networks are trained: `train`, with the task's name where it is no classification.

    Data other than that of the run's own `[train]` table adds its name, so that both trainings stand side by side.
    """
    name = "train" if task == "classification" else f"train-{task}"
    own = train_table(run_dir).get("data")
    return Path(run_dir) / (name if own in (None, data) else f"{name}-{Path(data).stem}")


def folder_of(root: Path, label: str, text: str, seed: int) -> Path:
    """Where a network is trained: `root/label-id/seed-n`."""
    return root / f"{label.replace(' ', '-')}-{genome_id(text)}" / f"seed-{seed}"


def scaled_preset(name: str, skeleton: Skeleton, budget: Budget) -> Genome:
    """A preset as wide as the budget admits, with the image size, classes, stem and depths of a skeleton.

    All stages are widened by one factor, rounded down to multiples of `ATTENTION_STEP` where they attend and of
    `CHANNEL_STEP` elsewhere; then, while that fits, by single steps, last stage first and none beyond its successor.

    Raises:
        BudgetError: even the narrowest lies above the budget.
    """
    steps = _steps(name, len(skeleton.channels))

    def make(channels: tuple[int, ...]) -> Genome:
        return preset(name, replace(skeleton, channels=channels))

    found = widest(make, skeleton.channels, steps, lambda genome: _fits(genome, budget))
    if found is None:
        narrow = make(tuple(steps))
        raise BudgetError(
            f"preset {name} does not fit the budget on this skeleton: at its narrowest it has {narrow.params:,} "
            f"params and {narrow.flops:,} FLOPs, got {budget}; widen the budget or leave the preset out"
        )
    return found


def _steps(name: str, stages: int) -> list[int]:
    attends = {"vit": range(stages), "coatnet": range((stages + 1) // 2, stages)}.get(name, range(0))
    return [ATTENTION_STEP if stage in attends else CHANNEL_STEP for stage in range(stages)]


def _fits(genome: Genome, budget: Budget) -> bool:
    return genome.params <= budget.max_params and genome.flops <= budget.max_flops
