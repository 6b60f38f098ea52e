"""What a search found: its evaluations, the best one, the Pareto front."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uninas_evo.contracts import Cost, Objective
from uninas_evo.engine.journal import Note, at_full
from uninas_evo.engine.loop import Loop


@dataclass(frozen=True)
class Evaluation:
    """One genome that was scored.

    Attributes:
        number: its candidate's number in the run.
        genome: what was scored.
        text: its canonical text.
        cost: its named costs.
        values: a value for every objective and whatever else was measured; empty for a failure.
        failure: why there are no values.
        fidelity: index of the problem's fidelity that it was scored at; None for the full one.
    """

    number: int
    genome: Any
    text: str
    cost: Cost
    values: Mapping[str, float]
    failure: str | None = None
    fidelity: int | None = None


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


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        evaluations: every different genome that was scored, at each fidelity, in the order they were asked.
        front: those that no other dominates; with one objective, the best one alone.
        rescored: start, winner and runner-up under fresh seeds; None where that was not asked for.
        end: why the search ended: its kind is "finished", "exhausted" or "interrupted".
        folder: the run folder, None where nothing was written.
    """

    evaluations: list[Evaluation]
    front: list[Evaluation]
    rescored: Rescored | None
    end: Note
    folder: Path | None
    warnings: tuple[str, ...] = ()
    """What to keep in mind before believing the result."""

    @property
    def best(self) -> Evaluation | None:
        """The best evaluation, of a front its first; None where everything failed."""
        return self.front[0] if self.front else None


def evaluations(loop: Loop) -> list[Evaluation]:
    """The different genomes that were told, at each fidelity, in the order they were asked."""
    space = loop.problem.space
    found = []
    for trial in loop.trials[: loop.told]:
        if trial.new:
            event = loop.results[trial.source]
            genome, values = trial.candidate.genome, event.values or {}
            fidelity = trial.candidate.fidelity
            cost = space.cost(genome)
            found.append(Evaluation(trial.source, genome, trial.text, cost, values, event.failure, fidelity))
    return found


def ranked(found: Iterable[Evaluation], objective: Objective) -> list[Evaluation]:
    """What has values at full fidelity, best first; of equals the one asked first."""
    scored = at_full([one for one in found if one.failure is None])
    return sorted(scored, key=lambda one: (-objective.sign * one.values[objective.name], one.number))


def front(found: Iterable[Evaluation], objectives: Sequence[Objective]) -> list[Evaluation]:
    """The evaluations that no other one dominates, in the order they were asked; of equals the first."""
    signs = [-1 if objective.goal == "maximize" else 1 for objective in objectives]

    def point(one: Evaluation) -> tuple[float, ...]:
        return tuple(sign * one.values[objective.name] for sign, objective in zip(signs, objectives, strict=True))

    members: list[tuple[tuple[float, ...], Evaluation]] = []
    for one in at_full([one for one in found if one.failure is None]):
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
