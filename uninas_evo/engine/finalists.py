"""When a search is over: the finalists under fresh seeds, the folder's files, and the table that explains them."""

from __future__ import annotations

import csv
import io
import json
import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from uninas_evo.contracts import Constraint, Cost, Objective, Problem
from uninas_evo.engine.events import Event, RescoreEvent, ResultEvent
from uninas_evo.engine.journal import Journal
from uninas_evo.engine.loop import Loop
from uninas_evo.engine.results import Difference, Evaluation, Rescored, SearchResult
from uninas_evo.files import own_folder, write_text
from uninas_evo.formats import plain_cell
from uninas_evo.pool.contract import Job, Pool
from uninas_evo.stats import means

MOSTLY_SIZE = 0.5
"""Share of a score's rank variance that size must leave unexplained; below, the search may only find size."""
_ENOUGH = 20
"""Evaluations that a rank correlation is told from: of fewer, its error is above 0.2."""
SizeAlarm = dict[str, dict[str, float]]
_START, _WINNER, _RUNNER_UP = "start", "winner", "runner-up"


def preferred(order: Sequence[int], events: Sequence[Event], objective: Objective) -> list[int]:
    """Candidates with those first that fresh seeds know, in the order of their mean fresh scores.

    Only scores under the same seeds compare, so candidates with fewer fresh scores than the others keep their places
    behind. Nothing changes where the best candidate was found after the finalists: it may be better than all of them.
    One found before was known when they were chosen, by a strategy that estimates otherwise.

    Args:
        order: numbers of candidates, the best recorded score first.
        events: a journal's events, at least those from the first fresh score on.
        objective: what the finalists were scored by.
    """
    fresh: dict[int, list[float]] = {}
    later: set[int] = set()
    for event in events:
        if isinstance(event, ResultEvent):
            later.add(event.number)
        elif isinstance(event, RescoreEvent):
            later.clear()
        if isinstance(event, RescoreEvent) and event.number is not None:
            fresh.setdefault(event.number, []).append((event.values or {}).get(objective.name, math.nan))
    most = max(map(len, fresh.values()), default=0)
    known = [number for number in order if len(fresh.get(number, ())) == most]
    if not known or order[0] in later or 0 < len(fresh.get(order[0], ())) < most:
        return list(order)
    gains = {number: objective.sign * means.mean(fresh[number]) for number in known}
    known.sort(key=lambda number: -math.inf if math.isnan(gains[number]) else gains[number], reverse=True)
    return known + [number for number in order if number not in gains]


def rescore(
    problem: Problem, pool: Callable[[], Pool], best: Sequence[Evaluation], seed: int, seeds: int, journal: Journal
) -> Rescored:
    """Scores the start and the finalists with seeds that the search has not used; the best of them is the winner.

    A search picks the luckiest of many noisy scores, so that the best one's own score is too good; its fresh ones are
    not. With values that do not depend on the seed, one seed is enough. Fresh scores are recorded as they arrive, and
    what is recorded is not scored again.

    Args:
        problem: what was searched; its first objective is looked at.
        pool: gives the workers, where any are needed.
        best: the finalists, the best recorded score first.
        seed: the run's seed; the fresh ones follow from it.
        seeds: how many fresh seeds.
        journal: keeps the fresh scores.
    """
    objective = problem.objectives[0]
    finalists: dict[int | None, str] = {one.number: one.text for one in best}
    if problem.space.start is not None:
        start: dict[int | None, str] = {None: problem.space.encode(problem.space.start)}
        finalists = start | finalists
    rng = random.Random(f"fresh seeds of {seed}")
    fresh = [rng.getrandbits(31) for _ in range(seeds)]
    found: dict[int | None, list[float]] = {number: [] for number in finalists}
    noisy = True
    for wave in (fresh[:1], fresh[1:]):
        scores = score_again(pool, [(number, text, one) for one in wave for number, text in finalists.items()], journal)
        for number in finalists:
            found[number] += [scores[number, one].get(objective.name, math.nan) for one in wave]
        if all(found[one.number] == [one.values[objective.name]] for one in best):
            noisy = False
            break  # another seed changed nothing
    numbers = [one.number for one in best]
    order = preferred(numbers, journal.events, objective) if noisy else numbers
    named = dict(zip(_names(len(order)), order, strict=True))
    values = {_START: found[None]} if None in found else {}
    values |= {name: found[number] for name, number in named.items()}
    return Rescored(
        objective.name,
        values,
        difference(values[_WINNER], values[_START], objective.sign) if _START in values else None,
        difference(values[_WINNER], values[_RUNNER_UP], objective.sign) if _RUNNER_UP in values else None,
        noisy=noisy,
        candidates=named,
        best_recorded=numbers[0],
    )


def _names(count: int) -> list[str]:
    """What finalists are called, the best first."""
    return [_WINNER, _RUNNER_UP, *(f"finalist {place}" for place in range(3, count + 1))][:count]


def difference(a: Sequence[float], b: Sequence[float], sign: int) -> Difference | None:
    """The mean paired difference of a over b; beyond noise at the 95 % level of Student's t, or if it is exact."""
    paired = [sign * (x - y) for x, y in zip(a, b, strict=True) if math.isfinite(x - y)]
    if not paired:
        return None
    gain = means.mean(paired)
    if len(paired) == 1:
        return Difference(gain, 0.0, gain > 0)
    from scipy.stats import t

    error = means.deviation(paired) / len(paired) ** 0.5
    return Difference(gain, error, bool(gain > float(t.ppf(0.975, len(paired) - 1)) * error))


def score_again(
    pool: Callable[[], Pool], wanted: Sequence[tuple[int | None, str, int]], journal: Journal
) -> dict[tuple[int | None, int], Mapping[str, float]]:
    """Values under fresh seeds, empty for a failure: from the journal, else scored and recorded as they arrive.

    Args:
        pool: gives the workers, where any are needed.
        wanted: number of the candidate (None: the space's start), its genome's text, and the seed.
        journal: what is recorded there is not scored again.

    Returns:
        The values by number and seed.
    """
    known = {(one.number, one.seed): one for one in journal.events if isinstance(one, RescoreEvent)}
    missing = [one for one in wanted if (one[0], one[2]) not in known]
    if missing:
        jobs = [Job(place, text, seed) for place, (_, text, seed) in enumerate(missing)]
        for done in pool().map(jobs):
            number, _, seed = missing[done.job.number]
            values = None if done.values is None else dict(done.values)
            known[number, seed] = RescoreEvent(number=number, seed=seed, values=values, failure=done.failure)
            journal.append(known[number, seed])
    return {key: event.values or {} for key, event in known.items()}


def write_folder(folder: Path, problem: Problem, loop: Loop, result: SearchResult, size: SizeAlarm) -> None:
    """Writes the winner or the front, and the summary."""
    encode = problem.space.encode
    if len(problem.objectives) == 1:
        for best in result.front:
            write_text(folder / "winner.txt", encode(best.genome))
    elif result.front:
        members = {f"{one.number}.txt": encode(one.genome) for one in result.front}
        front = own_folder(folder / "front")
        for name, text in members.items():
            write_text(front / name, text)
        for file in front.glob("*.txt"):
            if file.stem.isdigit() and file.name not in members:  # left the front when the run went on
                file.unlink()
        write_text(folder / "front.csv", _front_csv(result.front, problem))
    write_text(folder / "summary.json", json.dumps(summary(loop, result, size), indent=2) + "\n")


def summary(loop: Loop, result: SearchResult, size: SizeAlarm) -> dict[str, Any]:
    """What a run came to, as numbers; all of it follows from the journal and the rescoring."""
    failures = Counter(one.failure.partition(":")[0] for one in result.evaluations if one.failure is not None)
    return {
        "end": result.end.text,
        "evaluations": loop.scored,
        "candidates": loop.told,
        "saved": _saved(loop),
        "seconds": round(loop.elapsed_s, 3),
        "failures": dict(failures),
        "best": [_facts(one) for one in result.front],
        "start": _start_facts(loop),
        "rescored": None if result.rescored is None else asdict(result.rescored),
        "size": size,
    }


def _saved(loop: Loop) -> float:
    """The share of different genomes that needed no evaluation, since another one scores alike."""
    told = loop.trials[: loop.told]
    different = len({(trial.text, trial.candidate.fidelity) for trial in told})
    return round(1 - loop.scored / different, 4) if different else 0.0


def size_alarm(
    objectives: Sequence[Objective], costs: Sequence[Cost], values: Mapping[str, Sequence[float]]
) -> SizeAlarm:
    """For each objective that is no cost: how far size alone explains it (see `stats.ranks.size_correlation`).

    Args:
        objectives: what was optimized.
        costs: of the T networks that have values.
        values: objective -> their values, (T,).
    """
    named = [objective.name for objective in objectives if not objective.is_cost]
    if len(costs) < _ENOUGH or not named:
        return {}
    from uninas_evo.stats.ranks import size_correlation

    sizes = {name: [cost[name] for cost in costs] for name in costs[0]}
    return {name: size_correlation(values[name], sizes) for name in named}


def warnings(size: SizeAlarm, rescored: Rescored | None) -> tuple[str, ...]:
    """What to keep in mind before believing a result."""
    told = [
        f"{name} is mostly size here: costs explain {1 - found['unexplained']:.0%} of its ranks; "
        f"compare the winner with networks of its own size"
        for name, found in size.items()
        if found["unexplained"] < MOSTLY_SIZE
    ]
    if rescored is not None and rescored.over_start is not None and not rescored.over_start.significant:
        told.append(f"the winner's {rescored.objective} is not above the start's beyond noise: search longer")
    return tuple(told)


def unmet(scored: Sequence[Evaluation], constraints: Sequence[Constraint]) -> tuple[str, ...]:
    """What to tell where candidates were scored, and none of them meets the constraints."""
    if not scored:
        return ()
    near = min(scored, key=lambda one: one.violation)
    values = ", ".join(f"{one.name} {near.values.get(one.name, math.nan):.6g}" for one in constraints)
    return (f"no candidate meets the constraints; candidate {near.number} comes nearest, with {values}: widen them",)


def _facts(one: Evaluation) -> dict[str, Any]:
    return {"number": one.number, **one.cost, "values": dict(one.values)}


def _start_facts(loop: Loop) -> dict[str, Any] | None:
    space = loop.problem.space
    return None if space.start is None else dict(space.cost(space.start))


def _front_csv(front: Sequence[Evaluation], problem: Problem) -> str:
    names = [objective.name for objective in problem.objectives]
    names += [name for name in front[0].cost if name not in names]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["number", *map(plain_cell, names), "genome"])
    for one in front:
        known = dict(one.cost) | dict(one.values)
        writer.writerow([one.number, *(known[name] for name in names), f"front/{one.number}.txt"])
    return out.getvalue()
