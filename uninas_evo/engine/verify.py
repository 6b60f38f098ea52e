"""Verifying a run: recorded genomes are scored again and compared with what was recorded."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from uninas_evo.contracts import Objective, Problem, violation
from uninas_evo.engine.events import AskEvent, Event, ResultEvent, lineage
from uninas_evo.engine.finalists import preferred
from uninas_evo.engine.identity import check_prepared, check_sources, current_sources
from uninas_evo.engine.journal import read_journal
from uninas_evo.engine.search import reopen
from uninas_evo.errors import JournalError
from uninas_evo.pool.contract import Done, Job
from uninas_evo.pool.open import make_ready, open_pool, pool_on
from uninas_evo.stats import fronts, means

MEASUREMENTS = 5
"""How often a measured value is taken again, for its spread."""
SPREAD = 0.1
"""The least deviation that a measured value is taken to have, relative: five short times say little about the next."""
TOLERANCE = 1e-3
"""Relative difference that two kinds of devices may have: their sums round differently, and entropies of deciles
move little by it."""


@dataclass(frozen=True)
class Row:
    """One value of one candidate: recorded and now, and whether they agree."""

    number: int
    name: str
    recorded: float | str
    now: float | str
    rule: str
    agrees: bool


def verify(
    folder: Path,
    count: int | None = None,
    *,
    device: str | None = None,
    allow_changed_objective: bool = False,
    trust: bool = False,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> list[Row]:
    """Scores the winner, or random entries, again.

    Args:
        folder: a run folder.
        count: how many random entries; None for the winner (the front's members with several objectives).
        device: where to score; by default as the run file says.
        allow_changed_objective: runs the user's own objective although its file is not the recorded one.
        trust: agrees, once and for all, to running what the folder names.
        watch: is told how many of how many are scored.

    Raises:
        JournalError: the folder cannot be read, or holds nothing that was scored.
    """
    header, events = read_journal(folder)
    run, _ = reopen(folder, trust=trust or allow_changed_objective, header=header)
    problem = run.problem()
    if {one.name for one in problem.objectives} != header.objectives.keys():
        raise JournalError(
            f"{folder} records the objectives {', '.join(header.objectives)}, and its problem has "
            f"{', '.join(one.name for one in problem.objectives)}; restore the folder from a copy"
        )
    sources = current_sources(problem)
    check_sources(sources, header, allowed=allow_changed_objective)
    asks = {event.number: event for event in events if isinstance(event, AskEvent)}
    results = {event.number: event for event in events if isinstance(event, ResultEvent) and event.values}
    chosen = _choose(results, problem, events, count)
    if not chosen:
        raise JournalError(f"{folder} holds no scored genome to verify; let the run score some first")
    options = run.options.pool if device is None else pool_on(device, run.options.pool.threads)
    rows: list[Row] = []
    make_ready(options, problem, folder, lambda _: None)
    check_prepared(problem, header)
    with open_pool(options, problem, sources) as pool:
        jobs = [
            Job(number, asks[number].genome or "", fidelity=asks[number].fidelity, lineage=lineage(asks, number))
            for number in chosen
        ]
        times = 1 if all(one.repeats for one in problem.objectives) else MEASUREMENTS
        again: dict[int, list[Done]] = {number: [] for number in chosen}
        for count_done, done in enumerate(pool.map(jobs * times), start=1):
            again[done.job.number].append(done)
            watch(count_done, len(jobs) * times)
        for number, scores in again.items():
            rows += _rows(results[number], scores, problem.objectives)
    return sorted(rows, key=lambda row: row.number)


def _choose(results: dict[int, ResultEvent], problem: Problem, events: Sequence[Event], count: int | None) -> list[int]:
    if count is not None:
        return sorted(random.SystemRandom().sample(sorted(results), min(count, len(results))))
    objectives = problem.objectives
    feasible = [number for number in results if not violation(results[number].values or {}, problem.constraints)]
    numbers = sorted(feasible or results)
    values = [[(results[number].values or {})[one.name] for one in objectives] for number in numbers]
    order = fronts.ranked(fronts.minimized(values, [one.goal for one in objectives]))
    best = [numbers[row] for row in order]
    return preferred(best, events, objectives[0])[:1] if len(objectives) == 1 else best


def _rows(recorded: ResultEvent, scores: list[Done], objectives: tuple[Objective, ...]) -> list[Row]:
    """One row an objective: exact on the same kind of device; what is measured is compared with its spread."""
    done = next((one for one in scores if one.values is None), scores[0])
    exact = recorded.measured.device == done.device
    rule = "bit for bit" if exact else f"within {TOLERANCE:g} (recorded on {recorded.measured.device})"
    rows = []
    for objective in objectives:
        before = (recorded.values or {})[objective.name]
        if done.values is None:
            rows.append(Row(done.job.number, objective.name, before, done.failure or "failed", rule, False))
            continue
        now = done.values[objective.name]
        agrees = before == now if exact else math.isclose(before, now, rel_tol=TOLERANCE)
        said = rule
        if not objective.repeats:
            now, agrees = _measured(before, [(one.values or {})[objective.name] for one in scores])
            said = f"measured: within 3 deviations of {len(scores)} more"
            if not exact:
                said, agrees = f"not compared: measured on {recorded.measured.device}", True
        rows.append(Row(done.job.number, objective.name, before, now, said, agrees))
    return rows


def _measured(before: float, again: list[float]) -> tuple[float, bool]:
    """The mean of new measurements, and whether the recorded one lies within three of their deviations."""
    mean, deviation = means.mean(again), means.deviation(again)
    return mean, abs(before - mean) <= 3 * max(deviation, SPREAD * abs(mean))
