"""The loop: ask, record, score, record, tell in ask order; a resumed run is the same loop over recorded results.

Nothing here depends on time or on the number of workers. Results wait until all candidates before them are told,
and the strategy is asked after each tell, so one, two or eight workers write the same journal.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uninas_evo.contracts import Ancestor, Candidate, Draft, Problem, Result, StopSearch, Strategy, numbered
from uninas_evo.engine import snapshots
from uninas_evo.engine.events import AskEvent, Measured, Note, ResultEvent, SnapshotEvent
from uninas_evo.engine.journal import Journal
from uninas_evo.engine.versions import differences
from uninas_evo.errors import JournalError, StrategyError
from uninas_evo.pool.contract import Done, Job, Pool

if TYPE_CHECKING:
    from uninas_evo.contracts.array import Array

LOOKAHEAD = 64
"""Candidates that may wait for results before the strategy is asked again; it bounds strategies that never wait.
A constant of every run, since it decides after which results a strategy is asked."""
MAX_REPEATS = 2000
"""Candidates in a row that were scored before: beyond that, what the strategy can reach is taken as exhausted."""
_POLL_S = 0.25
"""How soon a Ctrl-C or the end of the time is noticed while workers are busy."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate of the run, and which result is its own.

    Attributes:
        candidate: what was asked.
        text: its genome's text.
        source: the number of the first candidate with this genome and fidelity, or one that scores alike (see
            `Problem.standing_for`); its own where it is new.
        rank: how many different evaluations were asked before this one.
    """

    candidate: Candidate
    text: str
    source: int
    rank: int

    @property
    def new(self) -> bool:
        """Whether no candidate before it shares its result."""
        return self.source == self.candidate.number


class Loop:
    """One run: a strategy, a problem and a journal, driven until an end is reached.

    Args:
        problem: what is scored.
        strategy: what asks; fresh, since the journal's events are replayed to it.
        journal: the record, which may hold an earlier part of the run.
        evaluations: different genomes to score, None for no limit.
        time_limit_s: seconds that the run may take, its earlier parts included, None for no limit.
        watch: called with the loop after every change, for showing progress.

    Raises:
        JournalError: the journal is that of another run: the strategy asks something else than it recorded.
        StrategyError: the strategy breaks its contract.
    """

    def __init__(
        self,
        problem: Problem,
        strategy: Strategy,
        journal: Journal,
        *,
        evaluations: int | None = None,
        time_limit_s: float | None = None,
        watch: Callable[[Loop], None] = lambda loop: None,
    ) -> None:
        self.problem = problem
        self.strategy = strategy
        if strategy.used:
            raise StrategyError(
                f"this {type(strategy).__name__} object has searched already, and a strategy keeps what it learned; "
                f"make a new one, also to go on with a run (with resume=True)"
            )
        strategy.constraints = problem.constraints
        self.journal = journal
        self.evaluations = float("inf") if evaluations is None else evaluations
        self.time_limit_s = float("inf") if time_limit_s is None else time_limit_s
        self.watch = watch
        self.trials: list[Trial] = []
        self.results = {event.number: event for event in journal.events if isinstance(event, ResultEvent)}
        self.told = 0
        self.scored = 0
        """Different genomes whose results were told."""
        self.pool: Pool | None = None
        self._recorded = [event for event in journal.events if isinstance(event, AskEvent)]
        self._first: dict[tuple[str, int | None], int] = {}
        self._unwritten: list[AskEvent] = []
        """Asked while replaying, beyond what the journal holds: written when the run goes on."""
        self._next = 0
        self._repeats = 0
        self._stopped: str | None = None
        self._interrupted = False
        earlier = [event.measured.at for event in self.results.values()]
        # A run that its time ended got its last result before that.
        earlier += [event.at for event in journal.events if isinstance(event, Note)]
        self._earlier_s = max(earlier, default=0.0)
        self._begin: float | None = None

    @property
    def elapsed_s(self) -> float:
        """Seconds that the run has taken, starts of workers and pauses before a resume left out."""
        return self._earlier_s + (0.0 if self._begin is None or self.pool is None else self.pool.now() - self._begin)

    def replay(self) -> None:
        """Tells everything that the journal holds: scores nothing, writes nothing, and heeds no limit.

        What was recorded was inside the limits when it was recorded; how long that took says nothing now.
        """
        with _interrupts(self._interrupt):
            self._restore()
            self._ask()
            while not self._interrupted and self._tell_next():
                self._ask()

    def run(self, pool: Pool) -> Note:
        """Goes on until an end is reached, and records which.

        Args:
            pool: scores the candidates; it is left open.

        Returns:
            The journal's last note: its kind is "finished", "exhausted" or "interrupted".
        """
        self.pool = pool
        self._begin = pool.now()
        if not self.trials:
            self.replay()
        if self.ended() is None:
            self._write()
        with _interrupts(self._interrupt):
            while (end := self.ended()) is None:
                if self._tell_next():
                    if self.ended() is None:
                        self._ask()
                        self._write()
                        self._snapshot()
                else:
                    self._wait(pool)
                self.watch(self)
            while self._tell_next():  # what was recorded counts, also where the time ended the run in between
                pass
        self.journal.append(end)
        return end

    def ended(self) -> Note | None:
        """Why the run is over, None while it goes on."""
        if self.scored >= self.evaluations:
            return self._note("finished", f"all {self.scored} evaluations are done")
        if self.elapsed_s >= self.time_limit_s:
            return self._note("finished", f"the time of {self.time_limit_s:g} s is over")
        if self._repeats >= MAX_REPEATS:
            return self._note("exhausted", f"the last {MAX_REPEATS} candidates were all scored before")
        if self._stopped is not None and self.told == len(self.trials):
            return self._note("exhausted", self._stopped)
        if self._interrupted:
            return self._note("interrupted", f"interrupted after {self.scored} evaluations")
        return None

    def _note(self, kind: Any, text: str) -> Note:
        return Note(kind=kind, text=text, at=self.elapsed_s)

    def _interrupt(self) -> None:
        self._interrupted = True

    def _ask(self) -> None:
        """Asks until the strategy waits."""
        self.strategy.used = True
        try:
            while self._stopped is None and len(self.trials) - self.told < LOOKAHEAD:
                drafts = self.strategy.ask()
                if not drafts:
                    break
                for draft in drafts:
                    self._number(draft)
        except StopSearch as stop:
            self._stopped = str(stop) or "the strategy has nothing more to ask"

    def _number(self, draft: Draft) -> None:
        """Makes a draft the next trial, which must be what the journal holds, as far as it holds anything."""
        text, number = self.problem.space.encode(draft.genome), len(self.trials)
        recorded = self._recorded[number] if number < len(self._recorded) else None
        if recorded is not None and recorded.genome == text:
            text = recorded.genome  # one copy of each: a long run has many
        trial = self._trial(draft, text)
        if recorded is not None:
            _compare(recorded, trial, self._identity(trial), self.journal)
        else:
            self._unwritten.append(self._event(trial))

    def _trial(self, draft: Draft, text: str) -> Trial:
        number, rank = len(self.trials), len(self._first)
        scored = self.problem.standing_for(draft.genome)
        key = text if scored is draft.genome else self.problem.space.encode(scored), draft.fidelity
        trial = Trial(numbered(draft, number), text, self._first.setdefault(key, number), rank)
        self.trials.append(trial)
        return trial

    def _snapshot(self) -> None:
        """Saves the strategy's state, where it has one and it is time."""
        if self.journal.path is None or self.told % snapshots.EVERY:
            return
        state = self.strategy.snapshot()
        if state is not None:
            folder = self.journal.path.parent
            self.journal.append(snapshots.write(folder, self.told, len(self.trials), state))

    def _restore(self) -> None:
        """Takes up the last snapshot that is whole, with what was asked and told before it."""
        if self.journal.path is None:
            return
        for event in reversed(self.journal.events):
            if isinstance(event, SnapshotEvent):
                state = snapshots.read(self.journal.path.parent, event)
                if state is not None and event.asked <= len(self._recorded):
                    self._take_up(event, state)
                    return

    def _take_up(self, event: SnapshotEvent, state: Mapping[str, Array]) -> None:
        self.strategy.restore(state)
        for ask in self._recorded[: event.asked]:
            text = ask.genome or (None if ask.same_as is None else self.trials[ask.same_as].text)
            genome = self.problem.space.decode(text or "")
            self._trial(Draft(genome, ask.parents, ask.origin, ask.fidelity, ask.inherits), text or "")
        for trial in self.trials[: event.told]:
            self._count(trial)

    def _count(self, trial: Trial) -> None:
        self.told += 1
        self.scored += trial.new
        self._repeats = 0 if trial.new else self._repeats + 1

    def _write(self) -> None:
        """Records what was asked, in one write."""
        if self._unwritten:
            self.journal.append(*self._unwritten)
            self._unwritten.clear()

    def _event(self, trial: Trial) -> AskEvent:
        candidate = trial.candidate
        cost = self.problem.space.cost(candidate.genome)
        if not self.problem.space.budget.admits(cost):
            raise StrategyError(
                f"candidate {candidate.number} ({candidate.origin}) must lie inside the budget "
                f"{self.problem.space.budget}, got {cost}; make candidates with the space's operators, "
                f"or have your own return None there"
            )
        return AskEvent(
            number=candidate.number,
            **self._identity(trial),
            parents=candidate.parents,
            origin=candidate.origin,
            fidelity=candidate.fidelity,
            inherits=candidate.inherits,
            costs=dict(cost),
        )

    def _identity(self, trial: Trial) -> dict[str, Any]:
        """What an ask records of the genome: its text, unless another candidate has it, and whose result it shares."""
        known = not trial.new and trial.text == self.trials[trial.source].text
        return {"genome": None if known else trial.text, "same_as": None if trial.new else trial.source}

    def _values(self, trial: Trial, values: Mapping[str, float]) -> Mapping[str, float]:
        """The values of a trial, from those of the candidate whose result it shares: its costs are its own."""
        if trial.text == self.trials[trial.source].text:
            return values
        cost = self.problem.space.cost(trial.candidate.genome)
        return {name: float(cost[name]) if name in cost else value for name, value in values.items()}

    def _tell_next(self) -> bool:
        """Tells the next result in ask order; False where it is not there yet."""
        if self.told == len(self.trials):
            return False
        trial = self.trials[self.told]
        event = self.results.get(trial.source)
        if event is None:
            return False
        values = self._values(trial, event.values or {})
        self.strategy.tell([Result(trial.candidate, values, event.failure)])
        self._count(trial)
        return True

    def _wait(self, pool: Pool) -> None:
        """Keeps the workers busy until a result arrives or it is time to look around.

        Raises:
            StrategyError: there is nothing to wait for.
        """
        if self.told == len(self.trials):
            raise StrategyError(
                f"{type(self.strategy).__name__} asks for nothing although all {self.told} results are told; "
                f"`ask` must return drafts or raise StopSearch then"
            )
        self._submit(pool)
        self._receive(pool.wait(_POLL_S))

    def _submit(self, pool: Pool) -> None:
        """Gives idle workers the next candidates in ask order, up to the number of evaluations."""
        while pool.idle > 0 and self._next < len(self.trials):
            trial = self.trials[self._next]
            if trial.rank >= self.evaluations:
                return
            self._next += 1
            candidate = trial.candidate
            if trial.new and candidate.number not in self.results:
                pool.submit(
                    Job(candidate.number, trial.text, fidelity=candidate.fidelity, lineage=self._lineage(candidate))
                )

    def _lineage(self, candidate: Candidate) -> tuple[Ancestor, ...]:
        """The candidates whose trained weights one descends from, oldest first; one asked before is its first self."""
        found: list[Ancestor] = []
        while candidate.inherits is not None:
            trial = self.trials[self.trials[candidate.inherits].source]
            candidate = trial.candidate
            found.append(Ancestor(trial.text, candidate.fidelity))
        return tuple(reversed(found))

    def _receive(self, done: Sequence[Done]) -> None:
        """Records results as they arrive."""
        events = [
            ResultEvent(
                number=one.job.number,
                values=None if one.values is None else dict(one.values),
                failure=one.failure,
                traceback=one.traceback,
                measured=Measured(seconds=one.seconds, device=one.device, worker=one.worker, at=self.elapsed_s),
            )
            for one in done
        ]
        if not events:
            self.journal.sync()
            return
        self.journal.append(*events)
        self.results.update({event.number: event for event in events})


def _compare(recorded: AskEvent, trial: Trial, identity: Mapping[str, Any], journal: Journal) -> None:
    """A replayed ask must equal the recorded one, or the rest of the record means nothing."""
    candidate = trial.candidate
    asked = {
        **identity,
        "parents": candidate.parents,
        "origin": candidate.origin,
        "fidelity": candidate.fidelity,
        "inherits": candidate.inherits,
    }
    for name, value in asked.items():
        if getattr(recorded, name) != value:
            installed = {} if journal.header is None else journal.header.versions
            raise JournalError(
                f"{journal.path} cannot be continued: the strategy must ask what it asked before, and candidate "
                f"{candidate.number} differs in its {name}: recorded {getattr(recorded, name)!r:.200}, now "
                f"{value!r:.200}; {differences(installed)}"
            )


@contextmanager
def _interrupts(notice: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the run between two steps; a second one ends the program at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handler(number: int, frame: object) -> None:
        for each, action in earlier.items():  # the second signal, of either kind, ends the program
            signal.signal(each, action)
        notice()

    earlier: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in earlier:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, action in earlier.items():
            signal.signal(number, action)
