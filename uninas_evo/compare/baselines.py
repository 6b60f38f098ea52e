"""Who is trained against whom: a search's winners, presets scaled to the same budget, random networks."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from uninas_evo.config.runfile import FILE_NAME
from uninas_evo.contracts import Budget
from uninas_evo.engine.journal import AskEvent, Event, Header, ResultEvent, at_full, read_journal
from uninas_evo.engine.results import dominated
from uninas_evo.errors import BudgetError, JournalError, RunFileError
from uninas_evo.spaces.uninas import HEAD_WIDTH, Genome, Skeleton, UninasSpace, load_genome, preset

CONV_STEP = 8
"""Widths of stages without attention are multiples of it: the group sizes that convolutions are fast at."""
ATTENTION_STEP = HEAD_WIDTH
"""Widths of stages with attention are multiples of a head's."""
SMALLEST = 0.8
"""Random networks have at least this share of the winner's parameters: less would be another size."""
WALK = 300
"""Search steps from the winner to a random network: some times as many as a network has nodes."""
NO_BUDGET = Budget()


def winners(run_dir: str | Path, top: int) -> list[Genome]:
    """The best genomes of a run by its first objective; with several objectives, of its Pareto front.

    Raises:
        JournalError: there is no run, it has no scored genome, or it is of another space.
    """
    header, events = _read(run_dir)
    asks = {e.number: e for e in events if isinstance(e, AskEvent) and e.genome is not None}
    scored = [e for e in events if isinstance(e, ResultEvent) and e.values and e.number in asks]
    full = {ask.number for ask in at_full([asks[e.number] for e in scored])}
    scored = [e for e in scored if e.number in full]
    signs = {name: -1 if goal == "maximize" else 1 for name, goal in header.objectives.items()}
    points = {e.number: tuple(sign * (e.values or {})[n] for n, sign in signs.items()) for e in scored}
    front = [n for n, point in points.items() if len(signs) == 1 or not dominated(point, points.values())]
    best = sorted(front, key=points.__getitem__)
    if not best:
        raise JournalError(f"the run {run_dir} has no scored genome yet; let it score some, then train its best")
    return [load_genome(str(asks[n].genome)) for n in best[:top]]


def budget_of(run_dir: str | Path) -> Budget:
    """The budget that a run searched in."""
    header, _ = _read(run_dir)
    return Budget(**header.run.get("problem", {}).get("budget", {}))


def train_table(run_dir: str | Path) -> dict[str, Any]:
    """The `[train]` table of a run's file; empty where it has none."""
    header, _ = _read(run_dir)
    file = Path(run_dir) / FILE_NAME
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else header.run
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RunFileError(f"{file} cannot be read: {error}; delete it to take the run as it was started") from None
    return dict(content.get("train") or {})


def folder_of(root: Path, label: str, genome: Genome, seed: int) -> Path:
    """Where an entrant is trained: `root/label-id/seed-n`."""
    return root / f"{label.replace(' ', '-')}-{genome.id}" / f"seed-{seed}"


def _read(run_dir: str | Path) -> tuple[Header, list[Event]]:
    header, events = read_journal(Path(run_dir))
    name = header.run.get("problem", {}).get("name", "uninas")
    if name != "uninas":
        raise JournalError(
            f"the run {run_dir} searched the problem {name!r}: only genomes of the UniNAS space (problem 'uninas') "
            "can be trained; name another run"
        )
    return header, events


def scaled_preset(name: str, skeleton: Skeleton, budget: Budget) -> Genome:
    """A preset as wide as the budget admits, with the image size, classes, stem and depths of a skeleton.

    All stages are widened by one factor, rounded down to multiples of `ATTENTION_STEP` where they attend and of
    `CONV_STEP` elsewhere; then, while that fits, by single steps, last stage first and none beyond its successor.

    Raises:
        BudgetError: even the narrowest lies above the budget.
    """
    narrow = _with_widths(name, skeleton, [1] * len(skeleton.channels))
    if not _fits(narrow, budget):
        raise BudgetError(
            f"preset {name} does not fit the budget on this skeleton: at its narrowest it has {narrow.params:,} "
            f"params and {narrow.flops:,} FLOPs, got {budget}; widen the budget or leave the preset out"
        )
    low, high = 0.0, 1.0
    while _fits(_scaled(name, skeleton, high), budget) and high < 2**10:
        low, high = high, 2 * high
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if _fits(_scaled(name, skeleton, middle), budget) else (low, middle)
    best = _scaled(name, skeleton, low)
    while (wider := next((g for g in _one_step_wider(name, best.skeleton) if _fits(g, budget)), None)) is not None:
        best = wider
    return best


def _one_step_wider(name: str, skeleton: Skeleton) -> Iterator[Genome]:
    """The preset with one stage a step wider, last stage first."""
    steps = _steps(name, len(skeleton.channels))
    for stage in reversed(range(len(steps))):
        widths = list(skeleton.channels)
        widths[stage] += steps[stage]
        if stage + 1 == len(widths) or widths[stage] <= widths[stage + 1]:
            yield preset(name, replace(skeleton, channels=tuple(widths)))


def _steps(name: str, stages: int) -> list[int]:
    attends = {"vit": range(stages), "coatnet": range((stages + 1) // 2, stages)}.get(name, range(0))
    return [ATTENTION_STEP if stage in attends else CONV_STEP for stage in range(stages)]


def _scaled(name: str, skeleton: Skeleton, factor: float) -> Genome:
    steps = _steps(name, len(skeleton.channels))
    return _with_widths(name, skeleton, [int(factor * c / s) for c, s in zip(skeleton.channels, steps, strict=True)])


def _with_widths(name: str, skeleton: Skeleton, multiples: Sequence[int]) -> Genome:
    steps = _steps(name, len(multiples))
    widths = tuple(step * max(1, multiple) for step, multiple in zip(steps, multiples, strict=True))
    return preset(name, replace(skeleton, channels=widths))


def _fits(genome: Genome, budget: Budget) -> bool:
    return genome.params <= budget.max_params and genome.flops <= budget.max_flops


def random_networks(winner: Genome, count: int, budget: Budget = NO_BUDGET, seed: int = 0) -> list[Genome]:
    """Random networks on the winner's skeleton with between `SMALLEST` of its parameters and as many.

    Each is the end of a walk of `WALK` search steps from the winner that never leaves these sizes.
    """
    size = Budget(SMALLEST * winner.params, winner.params, 0, max(winner.flops, budget.max_flops))
    space = UninasSpace(winner, size)
    found = []
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")
        genome = winner
        for _ in range(WALK):
            genome = space.mutate(genome, rng) or genome
        found.append(genome)
    return found
