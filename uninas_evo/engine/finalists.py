"""When a search is over: the finalists under fresh seeds, the folder's files, and the table that explains them."""

from __future__ import annotations

import csv
import io
import json
import math
import random
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uninas_evo.contracts import Objective, Problem
from uninas_evo.engine.loop import Loop
from uninas_evo.engine.results import Evaluation
from uninas_evo.files import write_text
from uninas_evo.pool.open import Job, Pool

if TYPE_CHECKING:
    from uninas_evo.engine.search import SearchResult

MOSTLY_SIZE = 0.5
"""Share of a score's rank variance that size must leave unexplained; below, the search may only find size."""
_ENOUGH = 20
"""Evaluations that a rank correlation is told from: of fewer, its error is above 0.2."""
SizeAlarm = dict[str, dict[str, float]]
_START, _WINNER, _RUNNER_UP = "start", "winner", "runner-up"


@dataclass(frozen=True)
class Difference:
    """A paired difference, better being positive: mean, standard error, and whether it lies beyond noise."""

    mean: float
    error: float
    significant: bool


@dataclass(frozen=True)
class Rescored:
    """Finalists scored with fresh seeds, the same ones for all.

    Attributes:
        objective: whose values these are.
        values: by finalist, a value for each seed.
        over_start: winner against start; None where a score failed.
        over_runner_up: winner against runner-up; None where there is none.
        noisy: whether another seed changes a value at all.
    """

    objective: str
    values: dict[str, list[float]]
    over_start: Difference | None
    over_runner_up: Difference | None
    noisy: bool


def rescore(problem: Problem, pool: Pool, best: Sequence[Evaluation], seed: int, seeds: int) -> Rescored | None:
    """Scores the start and the best with seeds that the search has not used.

    A search picks the luckiest of many noisy scores, so that the winner's own score is too good; its fresh ones are
    not. With values that do not depend on the seed, one seed is enough.

    Args:
        problem: what was searched; its first objective is looked at.
        pool: scores them.
        best: the winner, and the runner-up where there is one.
        seed: the run's seed; the fresh ones follow from it.
        seeds: how many fresh seeds.
    """
    objective = problem.objectives[0]
    texts = dict(zip((_WINNER, _RUNNER_UP), (one.text for one in best), strict=False))
    texts = {_START: problem.space.encode(problem.space.start)} | texts
    rng = random.Random(f"fresh seeds of {seed}")
    fresh = [rng.getrandbits(31) for _ in range(seeds)]
    values: dict[str, list[float]] = {name: [] for name in texts}
    recorded = best[0].values[objective.name]
    for wave in (fresh[:1], fresh[1:]):
        jobs = [
            Job(number, text, one) for number, (one, text) in enumerate((s, t) for s in wave for t in texts.values())
        ]
        scores = _score(pool, jobs, objective.name)
        for job, name in zip(jobs, list(texts) * len(wave), strict=True):
            values[name].append(scores[job.number])
        if values[_WINNER] == [recorded]:
            break  # another seed changed nothing
    sign = 1 if objective.goal == "maximize" else -1
    return Rescored(
        objective.name,
        values,
        difference(values[_WINNER], values[_START], sign),
        difference(values[_WINNER], values[_RUNNER_UP], sign) if _RUNNER_UP in values else None,
        noisy=values[_WINNER] != [recorded],
    )


def difference(a: Sequence[float], b: Sequence[float], sign: int) -> Difference | None:
    """The mean paired difference of a over b; beyond noise at the 95 % level of Student's t, or if it is exact."""
    paired = [sign * (x - y) for x, y in zip(a, b, strict=True) if math.isfinite(x - y)]
    if not paired:
        return None
    mean = statistics.fmean(paired)
    if len(paired) == 1:
        return Difference(mean, 0.0, mean > 0)
    from scipy.stats import t

    error = statistics.stdev(paired) / len(paired) ** 0.5
    return Difference(mean, error, bool(mean > float(t.ppf(0.975, len(paired) - 1)) * error))


def _score(pool: Pool, jobs: Sequence[Job], objective: str) -> dict[int, float]:
    """Values of jobs by number; NaN for a failure."""
    values: dict[int, float] = {}
    waiting = list(reversed(jobs))
    while len(values) < len(jobs):
        while waiting and pool.idle > 0:
            pool.submit(waiting.pop())
        for done in pool.wait():
            values[done.job.number] = (done.values or {}).get(objective, float("nan"))
    return values


def write_folder(folder: Path, problem: Problem, loop: Loop, result: SearchResult, size: SizeAlarm) -> None:
    """Writes the winner or the front, and the summary."""
    encode = problem.space.encode
    if len(problem.objectives) == 1:
        for best in result.front:
            write_text(folder / "winner.txt", encode(best.genome))
    elif result.front:
        (folder / "front").mkdir(exist_ok=True)
        for one in result.front:
            write_text(folder / "front" / f"{one.number}.txt", encode(one.genome))
        write_text(folder / "front.csv", _front_csv(result.front, problem))
    write_text(folder / "summary.json", json.dumps(summary(loop, result, size), indent=2) + "\n")


def summary(loop: Loop, result: SearchResult, size: SizeAlarm) -> dict[str, Any]:
    """What a run came to, as numbers; all of it follows from the journal and the rescoring."""
    failures = Counter(one.failure.partition(":")[0] for one in result.evaluations if one.failure is not None)
    return {
        "end": result.end.text,
        "evaluations": loop.scored,
        "candidates": loop.told,
        "seconds": round(loop.elapsed_s, 3),
        "failures": dict(failures),
        "best": [_facts(one) for one in result.front],
        "start": _start_facts(loop),
        "rescored": None if result.rescored is None else asdict(result.rescored),
        "size": size,
    }


def size_alarm(objectives: Sequence[Objective], found: Sequence[Evaluation]) -> SizeAlarm:
    """For each objective that is no cost: how far size alone explains it (see `proxies.size_correlation`)."""
    scored = [one for one in found if one.failure is None]
    named = [objective.name for objective in objectives if objective.name not in ("params", "flops")]
    if len(scored) < _ENOUGH or not named:
        return {}
    from uninas_evo.stats.ranks import size_correlation

    params, flops = [one.cost.params for one in scored], [one.cost.flops for one in scored]
    return {name: size_correlation([one.values[name] for one in scored], params, flops) for name in named}


def warnings(size: SizeAlarm, rescored: Rescored | None) -> tuple[str, ...]:
    """What to keep in mind before believing a result."""
    told = [
        f"{name} is mostly size here: params and FLOPs explain {1 - found['unexplained']:.0%} of its ranks; "
        f"compare the winner with networks of its own size"
        for name, found in size.items()
        if found["unexplained"] < MOSTLY_SIZE
    ]
    if rescored is not None and rescored.over_start is not None and not rescored.over_start.significant:
        told.append(f"the winner's {rescored.objective} is not above the start's beyond noise: search longer")
    return tuple(told)


def _facts(one: Evaluation) -> dict[str, Any]:
    return {"number": one.number, "params": one.cost.params, "flops": one.cost.flops, "values": dict(one.values)}


def _start_facts(loop: Loop) -> dict[str, Any]:
    cost = loop.problem.space.cost(loop.problem.space.start)
    return {"params": cost.params, "flops": cost.flops}


def _front_csv(front: Sequence[Evaluation], problem: Problem) -> str:
    names = [objective.name for objective in problem.objectives]
    names += [name for name in ("params", "flops") if name not in names]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["number", *names, "genome"])
    for one in front:
        known = {"params": one.cost.params, "flops": one.cost.flops} | dict(one.values)
        writer.writerow([one.number, *(known[name] for name in names), f"front/{one.number}.txt"])
    return out.getvalue()
