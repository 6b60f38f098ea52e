"""A pool whose clock goes by what the scores say that they took: days of training on many workers, in a second."""

from __future__ import annotations

import heapq
from dataclasses import replace

from typing_extensions import override

from uninas_evo.pool.contract import Done, Job, Pool

SECONDS = "seconds"
"""The value that says how long an evaluation takes, as tables of benchmarks have it."""


class SimulatedPool(Pool):
    """Hands results back in the order in which as many workers would have ended them.

    Args:
        inner: gives the values; it is left open.
        workers: how many evaluations run at once in simulated time.

    Attributes:
        now_s: simulated seconds since the start.
    """

    def __init__(self, inner: Pool, workers: int) -> None:
        self.inner, self.workers = inner, workers
        self.devices = list(inner.devices[:1]) * workers
        self.now_s = 0.0
        self._running: list[tuple[float, int, Done]] = []
        self._submitted = 0

    @property
    @override
    def idle(self) -> int:
        return self.workers - len(self._running)

    @override
    def submit(self, job: Job) -> None:
        self.inner.submit(job)
        done: list[Done] = []
        while not done:
            done = self.inner.wait()
        for one in done:
            seconds = (one.values or {}).get(SECONDS, one.seconds)
            place = self._submitted, replace(one, seconds=seconds)
            heapq.heappush(self._running, (self.now_s + seconds, *place))
            self._submitted += 1

    @override
    def wait(self, timeout_s: float | None = None) -> list[Done]:
        if not self._running:
            return []
        self.now_s, _, done = heapq.heappop(self._running)
        return [done]

    @override
    def now(self) -> float:
        return self.now_s
