"""What a search found: its evaluations, the best one, the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from uninas_evo.contracts import Cost, Objective, violation
from uninas_evo.engine.events import Note, at_full
from uninas_evo.engine.loop import Loop
from uninas_evo.errors import MissingExtraError
from uninas_evo.stats import fronts
from uninas_evo.stats.fronts import FloatArray


@dataclass(frozen=True, repr=False)
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
        violation: by how much it violates the problem's constraints; 0 where it meets them.
    """

    number: int
    genome: Any
    text: str
    cost: Cost
    values: Mapping[str, float]
    failure: str | None = None
    fidelity: int | None = None
    violation: float = 0.0

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value:.6g}" for name, value in self.values.items()) or self.failure
        return f"<Evaluation {self.number}: {values}>"


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
        candidates: by finalist, its candidate's number.
        best_recorded: the candidate with the best score in the search; fresh seeds may prefer another one.
    """

    objective: str
    values: dict[str, list[float]]
    over_start: Difference | None
    over_runner_up: Difference | None
    noisy: bool
    candidates: Mapping[str, int] = field(default_factory=dict)
    best_recorded: int | None = None


@dataclass(frozen=True, repr=False)
class SearchResult:
    """What a search found.

    Attributes:
        evaluations: every different genome that was scored, at each fidelity, in the order they were asked.
        front: those that no other dominates, the knee first; with one objective, the best one alone.
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
    objectives: tuple[Objective, ...] = ()
    """What was followed."""

    @property
    def best(self) -> Evaluation | None:
        """The best evaluation, of a front its knee; None where everything failed."""
        return self.front[0] if self.front else None

    def __repr__(self) -> str:
        failed = sum(one.failure is not None for one in self.evaluations)
        told = f"{len(self.evaluations)} evaluations" + (f", {failed} failed" if failed else "")
        many = f", a front of {len(self.front)}" if len(self.front) > 1 else ""
        return f"<SearchResult: {self.end.kind}, {told}{many}, best {self.best!r}>"

    def frame(self) -> Any:
        """Every evaluation as a row of a pandas data frame: number, values, costs, failure and text.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise MissingExtraError("pandas", "notebook") from None
        rows = [
            {"number": one.number, **one.cost, **one.values, "failure": one.failure, "genome": one.text}
            for one in self.evaluations
        ]
        return pandas.DataFrame(rows)

    def _repr_html_(self) -> str:
        """The front, at most ten members, for notebooks."""
        names = list(dict.fromkeys(name for one in self.front[:1] for name in (*one.values, *one.cost)))
        head = "".join(f"<th>{escape(name)}</th>" for name in ("candidate", *names))
        rows = "".join(
            f"<tr><td>{one.number}</td>"
            + "".join(f"<td>{dict(one.cost, **one.values).get(name, math.nan):.6g}</td>" for name in names)
            + "</tr>"
            for one in self.front[:10]
        )
        return f"<p>{escape(self.end.text)}</p><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def evaluations(loop: Loop) -> list[Evaluation]:
    """The different genomes that were told, at each fidelity, in the order they were asked."""
    space = loop.problem.space
    found = []
    for trial in loop.trials[: loop.told]:
        if trial.new:
            event = loop.results[trial.source]
            genome, values = trial.candidate.genome, event.values or {}
            over = 0.0 if event.failure else violation(values, loop.problem.constraints)
            fidelity = trial.candidate.fidelity
            cost = space.cost(genome)
            found.append(Evaluation(trial.source, genome, trial.text, cost, values, event.failure, fidelity, over))
    return found


def ranked(found: Sequence[Evaluation], objectives: Sequence[Objective]) -> list[Evaluation]:
    """What a search hands back, the best first; failures and what was scored at a lower fidelity are left out.

    With one objective everything that has values, of equals the one asked first; with several the evaluations that no
    other one dominates, the front's knee first.
    """
    scored = at_full([one for one in found if one.failure is None])
    return [scored[row] for row in fronts.ranked(points(scored, objectives))]


def points(found: Sequence[Evaluation], objectives: Sequence[Objective]) -> FloatArray:
    """The objectives' values with less being better, (T, O); NaN for failures and what violates a constraint."""
    values = [
        [math.nan if one.violation else one.values.get(objective.name, math.nan) for objective in objectives]
        for one in found
    ]
    return fronts.minimized(values, [objective.goal for objective in objectives])
