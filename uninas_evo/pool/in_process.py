"""Scoring in the calling process."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping

from typing_extensions import override

from uninas_evo.contracts import Problem
from uninas_evo.pool import worker
from uninas_evo.pool.contract import Done, Job, Pool
from uninas_evo.pool.worker import Settings
from uninas_evo.threads import fixed_threads


class InProcessPool(Pool):
    """Scores in the calling process, one job after the other: for tests, debugging and notebooks.

    It cannot end a candidate that hangs, nor survive one that kills the process. With `debug` it prints the whole
    traceback of every failure when it happens.
    """

    def __init__(
        self,
        problem: Problem,
        device: str = "cpu",
        threads: int = 1,
        *,
        sources: Mapping[str, str] | None = None,
        debug: bool = False,
    ) -> None:
        self._threads, self._debug = threads, debug
        with fixed_threads(threads):
            self._worker = worker.Worker(problem, Settings(device, threads, sources=tuple((sources or {}).items())))
        self.devices = [worker.describe(device)]
        self._jobs: deque[Job] = deque()

    @property
    @override
    def idle(self) -> int:
        return 1 - len(self._jobs)

    @override
    def submit(self, job: Job) -> None:
        self._jobs.append(job)

    @override
    def wait(self, timeout_s: float | None = None) -> list[Done]:
        if not self._jobs:
            return []
        job = self._jobs.popleft()
        with fixed_threads(self._threads):
            score = self._worker.score(job)
        if self._debug and score.traceback is not None:
            print(f"candidate {job.number} failed:\n{score.traceback}", file=sys.stderr, flush=True)
        return [
            Done(
                job, score.values, score.failure, score.seconds, self.devices[0], 0, score.memory_bytes, score.traceback
            )
        ]
