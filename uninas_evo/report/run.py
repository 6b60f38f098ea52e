"""What a run folder holds, for its page: read once, derived where it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from uninas_evo.contracts import Space
from uninas_evo.engine.events import Event, Header, Note, RescoreEvent
from uninas_evo.engine.journal import read_journal
from uninas_evo.errors import GenomeError
from uninas_evo.files import parse_json
from uninas_evo.report.history import Ancestor, History
from uninas_evo.report.record import RunRecord, record_of
from uninas_evo.spaces.load import load_space, presets
from uninas_evo.spaces.uninas import Skeleton
from uninas_evo.stats import fronts

ENDS = ("finished", "exhausted", "interrupted")
"""Kinds of notes that end a run."""


@dataclass(frozen=True)
class Run:
    """What a run folder holds.

    Attributes:
        folder: the run folder.
        events: its journal.
        record: the distinct evaluations.
        history: all candidates.
        summary: what the run wrote at its end; empty before.
    """

    folder: Path
    header: Header
    events: Sequence[Event]
    record: RunRecord
    history: History
    summary: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @property
    def end(self) -> Note | None:
        """Why the run ended; None while it goes on, or where it was killed."""
        last = next((event for event in reversed(self.events) if not isinstance(event, RescoreEvent)), None)
        return last if isinstance(last, Note) and last.kind in ENDS else None

    @cached_property
    def front(self) -> list[int]:
        """Rows of the record that no other dominates: of one objective the best."""
        return [int(row) for row in fronts.front(self.record.points)]

    @cached_property
    def winner(self) -> int | None:
        """The best row; of a front, its knee. None where nothing has a score."""
        return self.record.ranking[0] if self.record.ranking else None

    @cached_property
    def line(self) -> list[Ancestor]:
        """The winner's ancestry."""
        return [] if self.winner is None else self.history.ancestry(self.record.numbers[self.winner])

    @cached_property
    def start(self) -> Any:
        """The network that the search began at; None where only the run's own code knows it."""
        problem = self.header.run.get("problem", {})
        if problem.get("image_size") or problem.get("classes"):  # the start was resized; its text is the first asked
            return None
        return genome_of(str(problem.get("start", "")), problem.get("skeleton"))


def genome_of(source: str, skeleton: Mapping[str, Any] | None = None) -> Any:
    """The genome of a text or preset in a run folder; None where it holds none."""
    found = space_of(source, skeleton)
    return None if found is None else found[1]


def space_of(source: str, skeleton: Mapping[str, Any] | None = None) -> tuple[Space[Any], Any] | None:
    """The space and genome of a text or preset in a run folder; None where it holds none.

    A path is never opened: a folder from elsewhere could name any.
    """
    if "\n" not in source and source not in presets():
        return None
    try:
        return load_space(source, None if skeleton is None else Skeleton(**skeleton))
    except (GenomeError, TypeError):
        return None


def read(folder: Path) -> Run:
    """Reads a run folder; nothing in it is executed.

    Raises:
        JournalError: the folder holds no run, or its journal is damaged.
    """
    header, events = read_journal(folder)
    try:
        summary = parse_json((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        summary = {}
    shown = summary if isinstance(summary, dict) else {}
    return Run(folder, header, events, record_of(header, events), History(header, events), shown)
