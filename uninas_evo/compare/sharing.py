"""How the runs of one seed share their scores, how long a strategy takes, and what fresh seeds say of the finalists."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from typing_extensions import override

from uninas_evo.compare.analysis import finalists
from uninas_evo.contracts import Draft, Problem, Result, Strategy
from uninas_evo.engine.journal import AskEvent, ResultEvent, read_journal
from uninas_evo.pool.contract import Done, Job, Pool
from uninas_evo.pool.in_process import InProcessPool
from uninas_evo.report.record import read_run

Scores = dict[tuple[str, int | None], Done]
"""Genome text and seed (None: the run's own) -> what scoring it gave."""
_QUEUE = 64
_TOGETHER_S = 0.1
"""Results within a tenth of a second are recorded together: a disk takes milliseconds to make a record safe."""


class SharingPool(InProcessPool):
    """Scores in this process, and answers from what runs of the same problem and seed have scored.

    A shared score keeps the seconds that it took, so that each run's journal holds what its scores cost. Results
    that come quickly are handed over together, so that the journal waits for the disk once for all of them.

    Args:
        problem: what is scored.
        known: the shared scores; new ones join them, failures do not.
        device: where, such as "cpu" or "cuda".
        threads: threads of a torch operation.
    """

    def __init__(self, problem: Problem, known: Scores, device: str = "cpu", threads: int = 1) -> None:
        super().__init__(problem, device, threads)
        self.known = known

    @property
    @override
    def idle(self) -> int:
        return _QUEUE - len(self._jobs)

    @override
    def wait(self, timeout_s: float | None = None) -> list[Done]:
        begin = time.monotonic()
        done: list[Done] = []
        while self._jobs and (not done or time.monotonic() - begin < _TOGETHER_S):
            done.append(self._known_or_new())
        return done

    def _known_or_new(self) -> Done:
        job = self._jobs[0]
        key = (job.genome, job.seed)
        if key in self.known:
            return replace(self.known[key], job=self._jobs.popleft())
        (done,) = super().wait()
        if done.failure is None:
            self.known[key] = done
        return done


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

    @contextmanager
    def _watch(self) -> Iterator[None]:
        begin = time.thread_time()
        try:
            yield
        finally:
            self.asking_s += time.thread_time() - begin


def recall(folder: Path) -> Scores:
    """The scores that a run's journal holds."""
    _, events = read_journal(folder)
    texts = {event.number: event.genome for event in events if isinstance(event, AskEvent)}
    known: Scores = {}
    for event in events:
        if isinstance(event, ResultEvent) and event.values is not None:
            text, measured = texts[event.number] or "", event.measured
            job = Job(event.number, text)
            known[text, None] = Done(job, event.values, None, measured.seconds, measured.device, measured.worker)
    return known


def rescored(folder: Path, pool: Pool, seeds: Sequence[int]) -> dict[str, dict[str, float]]:
    """Genome text -> mean values over fresh seeds, of what a run ever held as best; empty without seeds.

    A genome that fails with all of them has no values: it counts as a failure.
    """
    fresh = {}
    for text in finalists(read_run(folder)) if seeds else ():
        rows = []
        for number, seed in enumerate(seeds):
            pool.submit(Job(number, text, seed))
            rows += [done.values for done in pool.wait() if done.values is not None]
        fresh[text] = {name: fmean(row[name] for row in rows) for name in (rows[0] if rows else ())}
    return fresh


def fresh_seeds(seed: int, count: int) -> list[int]:
    """Seeds that no run uses, the same for all strategies of a paired seed."""
    rng = random.Random(f"fresh seeds of the comparison's seed {seed}")
    return [rng.getrandbits(31) | 1 << 31 for _ in range(count)]
