"""What a search found: its evaluations, the best one, the Pareto front."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uninas_evo.contracts import Cost, Objective
from uninas_evo.engine.loop import Loop


@dataclass(frozen=True)
class Evaluation:
    """One genome that was scored.

    Attributes:
        number: its candidate's number in the run.
        genome: what was scored.
        text: its canonical text.
        cost: parameters and FLOPs.
        values: a value for every objective and whatever else was measured; empty for a failure.
        failure: why there are no values.
    """

    number: int
    genome: Any
    text: str
    cost: Cost
    values: Mapping[str, float]
    failure: str | None = None


def evaluations(loop: Loop) -> list[Evaluation]:
    """The different genomes that were told, in the order they were asked."""
    space = loop.problem.space
    found = []
    for trial in loop.trials[: loop.told]:
        if trial.new:
            event = loop.results[trial.source]
            cost = space.cost(trial.candidate.genome)
            found.append(
                Evaluation(trial.source, trial.candidate.genome, trial.text, cost, event.values or {}, event.failure)
            )
    return found


def ranked(found: Iterable[Evaluation], objective: Objective) -> list[Evaluation]:
    """What has values, best first; of equals the one asked first."""
    sign = -1 if objective.goal == "maximize" else 1
    scored = [one for one in found if one.failure is None]
    return sorted(scored, key=lambda one: (sign * one.values[objective.name], one.number))


def front(found: Iterable[Evaluation], objectives: Sequence[Objective]) -> list[Evaluation]:
    """The evaluations that no other one dominates, in the order they were asked; of equals the first."""
    signs = [-1 if objective.goal == "maximize" else 1 for objective in objectives]

    def point(one: Evaluation) -> tuple[float, ...]:
        return tuple(sign * one.values[objective.name] for sign, objective in zip(signs, objectives, strict=True))

    members: list[tuple[tuple[float, ...], Evaluation]] = []
    for one in found:
        if one.failure is not None:
            continue
        new = point(one)
        if any(_covers(other, new) for other, _ in members):
            continue
        members = [(other, kept) for other, kept in members if not _covers(new, other)]
        members.append((new, one))
    return [one for _, one in members]


def dominated(point: Sequence[float], others: Iterable[Sequence[float]]) -> bool:
    """Whether one of the others is as good everywhere and better somewhere, less being better."""
    return any(other != point and _covers(other, point) for other in others)


def _covers(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether a is at least as good as b everywhere, less being better."""
    return all(x <= y for x, y in zip(a, b, strict=True))
