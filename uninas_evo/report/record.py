"""What a run folder holds, as numbers: the distinct evaluations of its journal, in the order they were asked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from uninas_evo.contracts import Cost, Objective, violation
from uninas_evo.engine.events import AskEvent, Event, Header, RescoreEvent, ResultEvent, at_full
from uninas_evo.engine.finalists import preferred
from uninas_evo.engine.journal import stream
from uninas_evo.stats.fronts import FloatArray, minimized, ranked

LARGEST = 1e300
"""Axes, and boxes around points, need room for margins below the greatest float."""


@dataclass(frozen=True, slots=True, repr=False)
class RunRecord:
    """The distinct evaluations of one run; T counts them.

    Attributes:
        run: the resolved run file.
        seed: the run's seed.
        objectives: what was optimized, O of them.
        numbers: the candidates' numbers, (T,).
        genomes: their texts, (T,).
        costs: their named costs, (T,).
        values: the objectives' values, (T, O); a row of NaN for a failure.
        errors: the values' standard errors, (T, O), as recorded beside them under the objective's name and `_se`; NaN
            where none was.
        seconds: what scoring each took, (T,).
        at: seconds since the run began when each result came, (T,).
        full: whether each was scored at the full fidelity, (T,); only such ones compare.
        violations: by how much each violates the run's constraints, (T,); 0 where it meets them.
        ranking: rows, what the run hands back first: the finalist that fresh seeds prefer, or the knee of the front.
    """

    run: dict[str, Any]
    seed: int
    objectives: tuple[Objective, ...]
    numbers: tuple[int, ...]
    genomes: tuple[str, ...]
    costs: tuple[Cost, ...]
    values: FloatArray
    errors: FloatArray
    seconds: FloatArray
    at: FloatArray = field(default_factory=lambda: np.empty(0))
    full: tuple[bool, ...] = ()
    violations: FloatArray = field(default_factory=lambda: np.empty(0))
    ranking: tuple[int, ...] = ()

    def __repr__(self) -> str:
        """In a line: what was followed, how much was evaluated, and which came first."""
        followed = ", ".join(objective.name for objective in self.objectives)
        best = f", best {self.numbers[self.ranking[0]]}" if self.ranking else ""
        return f"<RunRecord of {followed}: {len(self.numbers)} evaluations{best}>"

    @property
    def points(self) -> FloatArray:
        """The values with less being better in all objectives, (T, O); NaN for what does not compare.

        That is what violates a constraint or was scored at a lower fidelity.
        """
        return minimized(self.feasible, [objective.goal for objective in self.objectives])

    @property
    def feasible(self) -> FloatArray:
        """The values (T, O), NaN for what does not compare."""
        return _comparable(self.values, self.violations, self.full)

    @property
    def drawn(self) -> FloatArray:
        """As `feasible`, within what axes can show."""
        return np.clip(self.feasible, -LARGEST, LARGEST)

    @property
    def ids(self) -> tuple[str, ...]:
        """The genomes' ids, (T,)."""
        return tuple(genome_id(text) for text in self.genomes)


def genome_id(text: str) -> str:
    """The first 12 hexadecimal digits of the text's SHA-256, as a genome's own `id`."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def read_run(folder: Path) -> RunRecord:
    """Reads a run folder, also one that is being written; nothing in it is executed.

    Raises:
        JournalError: there is no journal, or it is damaged.
    """
    events = stream(folder)
    return record_of(cast("Header", next(events)), events)


def record_of(header: Header, events: Iterable[Event]) -> RunRecord:
    """The distinct evaluations among a journal's events; of each only what the record keeps is held."""
    names = list(header.objectives)
    asked: dict[int, _Asked] = {}
    scored: dict[int, _Scored] = {}
    rescored: list[Event] = []  # and the results that came after
    first: AskEvent | None = None
    for event in events:
        if isinstance(event, AskEvent):
            first = first or event
            if event.genome is not None:
                asked[event.number] = _Asked(event.genome, event.cost, event.fidelity)
        elif isinstance(event, ResultEvent):
            scored[event.number] = _Scored.of(event, names, header)
            if rescored:
                rescored.append(event)
        elif isinstance(event, RescoreEvent):
            rescored.append(event)
    objectives = objectives_of(header, [] if first is None else [first])
    numbers = tuple(number for number in asked if number in scored)
    asks, results = [asked[number] for number in numbers], [scored[number] for number in numbers]
    compared = {id(ask) for ask in at_full([ask for ask, one in zip(asks, results, strict=True) if one.succeeded])}
    table = np.array([one.values for one in results], float).reshape(len(asks), len(objectives))
    violations = np.array([one.violation for one in results], float)
    height = tuple(id(ask) in compared for ask in asks)
    points = minimized(_comparable(table, violations, height), [objective.goal for objective in objectives])
    ranking = [int(row) for row in ranked(points)]
    if len(objectives) == 1 and rescored:
        places = {numbers[row]: row for row in ranking}
        ranking = [places[number] for number in preferred(list(places), rescored, objectives[0])]
    return RunRecord(
        run=header.run,
        seed=header.seed,
        objectives=objectives,
        numbers=numbers,
        genomes=tuple(ask.genome for ask in asks),
        costs=tuple(ask.cost for ask in asks),
        values=table,
        errors=np.array([one.errors for one in results], float).reshape(len(asks), len(objectives)),
        seconds=np.array([one.seconds for one in results], float),
        violations=violations,
        ranking=tuple(ranking),
        at=np.array([one.at for one in results], float),
        full=height,
    )


class _Asked(NamedTuple):
    genome: str
    cost: Cost
    fidelity: int | None


class _Scored(NamedTuple):
    succeeded: bool
    values: tuple[float, ...]
    errors: tuple[float, ...]
    violation: float
    seconds: float
    at: float

    @classmethod
    def of(cls, event: ResultEvent, names: Sequence[str], header: Header) -> _Scored:
        row = event.values or {}
        return cls(
            bool(row),
            tuple(row.get(name, np.nan) for name in names),
            tuple(row.get(f"{name}_se", np.nan) for name in names),
            violation(row, header.bounds) if row else 0.0,
            event.measured.seconds,
            event.measured.at,
        )


def _comparable(values: FloatArray, violations: FloatArray, full: Sequence[bool]) -> FloatArray:
    """Values (T, O), NaN where a constraint is violated or the fidelity was lower."""
    kept = values.copy()
    if len(violations):
        kept[violations > 0] = np.nan
    if not all(full):
        kept[~np.array(full)] = np.nan
    return kept


def objectives_of(header: Header, events: Iterable[Event]) -> tuple[Objective, ...]:
    """What a recorded run optimized; an objective is a cost where the candidates' costs have its name."""
    first = next((event for event in events if isinstance(event, AskEvent)), None)
    costs = () if first is None else first.costs
    return tuple(
        Objective(name, goal, unit=header.units.get(name, ""), is_cost=name in costs)
        for name, goal in header.objectives.items()
    )
