"""Where a run's genomes came from: ancestors of one, and which edits were tried, accepted and paid off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from uninas_evo.contracts import Cost
from uninas_evo.engine.events import AskEvent, Event, Header, ResultEvent
from uninas_evo.errors import GenomeError
from uninas_evo.report.record import objectives_of
from uninas_evo.spaces.uninas.diff import Edit, text_edits


@dataclass(frozen=True, slots=True)
class Ancestor:
    """One step of an ancestry.

    Attributes:
        number: the candidate's number.
        origin: the operator that made it.
        parents: all its parents' numbers; the ancestry follows the first.
        cost: its parameters and FLOPs.
        values: its values; empty for a failure.
        edits: what was changed in its first parent; None where that cannot be told node by node.
    """

    number: int
    origin: str
    parents: tuple[int, ...]
    cost: Cost
    values: Mapping[str, float]
    edits: tuple[Edit, ...] | None


@dataclass(slots=True)
class Tally:
    """How one kind of edit fared: children that had it, that became parents, that were better than their parent."""

    tried: int = 0
    accepted: int = 0
    paid: int = 0


class History:
    """The candidates of a run by number, with the result that each shares.

    Args:
        header: a journal's header.
        events: the events after it.
    """

    def __init__(self, header: Header, events: Sequence[Event]) -> None:
        self.objectives = objectives_of(header, events)
        self.asks = [event for event in events if isinstance(event, AskEvent)]
        self._edits: dict[int, tuple[Edit, ...] | None] = {}
        self.results = {event.number: event for event in events if isinstance(event, ResultEvent)}

    def source(self, number: int) -> int:
        """The candidate whose result it shares."""
        same = self.asks[number].same_as
        return number if same is None else same

    def text(self, number: int) -> str:
        """The candidate's genome."""
        return self.asks[number].genome or self.asks[self.source(number)].genome or ""

    def values(self, number: int) -> Mapping[str, float]:
        """The candidate's values; empty where it failed or waits."""
        result = self.results.get(self.source(number))
        return (result.values or {}) if result else {}

    def edits(self, number: int) -> tuple[Edit, ...] | None:
        """What was changed in the first parent; None without one, or in another space; found once."""
        if number not in self._edits:
            self._edits[number] = self._compared(number)
        return self._edits[number]

    def _compared(self, number: int) -> tuple[Edit, ...] | None:
        parents = self.asks[number].parents
        try:
            return text_edits(self.text(parents[0]), self.text(number)) if parents else None
        except GenomeError:
            return None

    def ancestry(self, number: int) -> list[Ancestor]:
        """From the first ancestor to the candidate itself, along first parents."""
        line = [number]
        while self.asks[line[-1]].parents:
            line.append(self.asks[line[-1]].parents[0])
        steps = []
        for one in reversed(line):
            ask = self.asks[one]
            steps.append(Ancestor(one, ask.origin, ask.parents, ask.cost, self.values(one), self.edits(one)))
        return steps

    def better(self, a: int, b: int) -> bool:
        """Whether a candidate is better than another: in no objective worse, in one better."""
        first, second = self.values(a), self.values(b)
        if not (first and second):
            return False
        gains = [one.sign * (first[one.name] - second[one.name]) for one in self.objectives]
        return max(gains) > 0 and min(gains) >= 0

    def tallies(self) -> dict[tuple[str, str, int], Tally]:
        """(added or removed, operation, stage) -> how it fared, over scored children of one parent, duplicates once."""
        parents = {self.source(parent) for ask in self.asks for parent in ask.parents}
        found: dict[tuple[str, str, int], Tally] = {}
        for ask in self.asks:
            if ask.same_as is not None or len(ask.parents) != 1 or ask.number not in self.results:
                continue
            better = self.better(ask.number, ask.parents[0])
            for key in {(edit.change, edit.operation, edit.stage) for edit in self.edits(ask.number) or ()}:
                tally = found.setdefault(key, Tally())
                tally.tried += 1
                tally.accepted += ask.number in parents
                tally.paid += better
        return found
