"""How the runs of one seed share their scores, how long a strategy takes, and what fresh seeds say of the finalists."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from uninas_evo.compare.analysis import finalists
from uninas_evo.contracts import Draft, Result, Strategy
from uninas_evo.engine.events import AskEvent, RescoreEvent, ResultEvent, lineage
from uninas_evo.engine.finalists import score_again
from uninas_evo.engine.journal import FILE_NAME, Journal, read_journal
from uninas_evo.pool.caching import Known, question
from uninas_evo.pool.contract import Done, Job, Pool
from uninas_evo.report.record import read_run

if TYPE_CHECKING:
    from uninas_evo.contracts import Learned
    from uninas_evo.contracts.array import Array


class Timed(Strategy):
    """A strategy with a stopwatch: `asking_s` counts CPU seconds inside `ask` and `tell`.

    CPU time, since waiting for other programs on the machine is not the strategy's fault.
    """

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy
        self.asking_s = 0.0

    def ask(self) -> Sequence[Draft]:
        """Asks the strategy."""
        with self._watch():
            return self.strategy.ask()

    def tell(self, results: Sequence[Result]) -> None:
        """Tells the strategy."""
        with self._watch():
            self.strategy.tell(results)

    @property
    def climbs(self) -> bool:  # type: ignore[override]
        """The strategy's own."""
        return self.strategy.climbs

    @property
    def asks_learned(self) -> bool:  # type: ignore[override]
        """The strategy's own."""
        return self.strategy.asks_learned

    @property
    def learner(self) -> Learned | None:
        """What the strategy was given."""
        return self.strategy.learner

    @learner.setter
    def learner(self, learner: Learned | None) -> None:
        self.strategy.learner = learner

    def ranking(self) -> Sequence[int] | None:
        """The strategy's own."""
        return self.strategy.ranking()

    def snapshot(self) -> Mapping[str, Array] | None:
        """The strategy's own."""
        return self.strategy.snapshot()

    def restore(self, state: Mapping[str, Array]) -> None:
        """Gives the strategy its state back."""
        self.strategy.restore(state)

    @contextmanager
    def _watch(self) -> Iterator[None]:
        begin = time.thread_time()
        try:
            yield
        finally:
            self.asking_s += time.thread_time() - begin


def recall(folder: Path) -> Known:
    """The scores that a run's journal holds, those under fresh seeds too."""
    _, events = read_journal(folder)
    asks = {event.number: event for event in events if isinstance(event, AskEvent)}
    known: Known = {}
    for event in events:
        if isinstance(event, ResultEvent) and event.values is not None:
            ask, measured = asks[event.number], event.measured
            job = Job(event.number, ask.genome or "", fidelity=ask.fidelity, lineage=lineage(asks, ask.number))
            known[question(job)] = Done(job, event.values, None, measured.seconds, measured.device, measured.worker)
        elif isinstance(event, RescoreEvent) and event.values is not None and event.number is not None:
            job = Job(event.number, asks[event.number].genome or "", event.seed)
            known[question(job)] = Done(job, event.values, None, 0.0, "", 0)
    return known


def rescored(folder: Path, pool: Pool, seeds: Sequence[int]) -> dict[str, dict[str, float]]:
    """Genome text -> mean values over fresh seeds, of what a run ever held as best; empty without seeds.

    Each fresh score joins the run's journal. A genome that fails with all seeds has no values: it counts as a failure.
    """
    if not seeds:
        return {}
    record = read_run(folder)
    best = {record.numbers[row]: record.genomes[row] for row in finalists(record)}
    wanted = [(number, text, seed) for number, text in best.items() for seed in seeds]
    with closing(Journal(folder / FILE_NAME)) as journal:
        scores = score_again(lambda: pool, wanted, journal)
    return {text: means([scores[number, seed] for seed in seeds]) for number, text in best.items()}


def means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each value over the rows that have it: a side value may be missing where it was not finite."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: fmean(row[name] for row in rows if name in row) for name in names}


def fresh_seeds(seed: int, count: int) -> list[int]:
    """Seeds that no run uses, the same for all strategies of a paired seed."""
    rng = random.Random(f"fresh seeds of the comparison's seed {seed}")
    return [rng.getrandbits(31) | 1 << 31 for _ in range(count)]
