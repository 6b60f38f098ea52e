"""A pool that answers from what is known, and asks another pool for the rest."""

from __future__ import annotations

from dataclasses import replace

from typing_extensions import override

from uninas_evo.pool.contract import Activity, Done, Job, Pool

Known = dict[Job, Done]
"""What is scored, see `question` -> what scoring it gave."""
_LINE = 64
"""Jobs that may stand in line: as many candidates as the loop asks ahead."""


def question(job: Job) -> Job:
    """What a job asks, whatever its number is: equal questions have equal answers."""
    return replace(job, number=-1)


class CachingPool(Pool):
    """Shares scores between runs of the same problem and seed that are done one after the other.

    A known score keeps the seconds that it took, so that each run's journal holds what its scores cost. Failures are
    not shared: one may be an accident of its run.

    Args:
        inner: scores what is not known; it is closed with this pool.
        known: the shared scores; new ones join them.
    """

    def __init__(self, inner: Pool, known: Known) -> None:
        self.inner, self.known = inner, known
        self.devices = inner.devices
        self._answers: list[Done] = []
        self._open = 0

    @property
    @override
    def idle(self) -> int:
        return _LINE - self._open

    @override
    def submit(self, job: Job) -> None:
        self._open += 1
        known = self.known.get(question(job))
        if known is None:
            self.inner.submit(job)
        else:
            self._answers.append(replace(known, job=job))

    @override
    def wait(self, timeout_s: float | None = None) -> list[Done]:
        done, self._answers = self._answers, []
        if not done:
            done = self.inner.wait(timeout_s)
            self.known.update({question(one.job): one for one in done if one.failure is None})
        self._open -= len(done)
        return done

    def drain(self) -> None:
        """Waits for what a run left in line when it ended, so that the next one does not get it."""
        while self._open:
            self.wait()

    @override
    def activity(self) -> list[Activity]:
        return self.inner.activity()

    @override
    def close(self) -> None:
        self.inner.close()
