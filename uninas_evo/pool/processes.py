"""The pool of worker processes: one joblib (loky) executor per device.

So a crash names its candidate and costs only that device.
"""

from __future__ import annotations

import concurrent.futures
import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from uninas_evo.errors import PoolError, SourceError
from uninas_evo.pool import devices as machine
from uninas_evo.pool import worker
from uninas_evo.pool.contract import Activity, Done, Job, Pool, RunningClock, cause
from uninas_evo.pool.worker import Score, Scores, Settings, Worker

START_LIMIT_S = 300.0
"""A worker must be ready by then; importing torch from a cold network disk takes a minute."""

_LOOK_S = 0.25
"""Seconds between two looks at the workers: a longer gap shows that this process was stopped."""


@dataclass
class _Slot:
    """One worker: its executor, and what it is busy with."""

    number: int
    settings: Settings
    env: Mapping[str, str]
    executor: concurrent.futures.Executor | None = None
    future: concurrent.futures.Future[Any] | None = None
    job: Job | None = None
    deadline: float = float("inf")


class ProcessPool(Pool):
    """One worker process per device.

    A candidate whose worker died is tried once more and then failed; one that outlives its time limit is failed
    and its worker replaced. A device whose worker cannot be started again is given up while others remain.

    Args:
        problem: what is scored; pickled once into each worker.
        devices: a device for each worker, such as ["cuda:0", "cuda:1"] or ["cpu", "cpu"].
        threads: threads of each worker.
        time_limit_s: what scoring one candidate may take.
        memory_limit_bytes: what scoring one candidate on the CPU may allocate.
        sources: the user's files that scoring runs, with their SHA-256: a worker that finds others ends the run.
        worker: what does the jobs in a process, made there of `problem` and its settings; by default a `Worker`, which
            scores genomes. A comparison gives its runs as jobs to another.

    Raises:
        PoolError: a worker cannot be started.
    """

    def __init__(
        self,
        problem: Any,
        devices: Sequence[str],
        *,
        threads: int = 1,
        time_limit_s: float | None = None,
        memory_limit_bytes: int | None = None,
        sources: Mapping[str, str] | None = None,
        worker: Callable[[Any, Settings], Scores] = Worker,
    ) -> None:
        from joblib.externals.loky.cloudpickle_wrapper import dumps

        machine.allow_files(len(devices))
        self._payload = dumps((worker, problem))
        self._time_limit_s = float("inf") if time_limit_s is None else time_limit_s
        self._clock = RunningClock()
        self._queue: deque[Job] = deque()
        self._died: set[Job] = set()  # jobs whose worker died once
        self._slots = []
        for number, name in enumerate(devices):
            device = name.partition(":")[0]
            limit = memory_limit_bytes if device == "cpu" else None
            settings = Settings(device, threads, limit, os.getpid(), tuple((sources or {}).items()))
            self._slots.append(_Slot(number, settings, machine.environment(name, threads)))
        try:
            self.devices = self._start_all()
        except BaseException:
            self.close()
            raise

    def _start_all(self) -> list[str]:
        for slot in self._slots:
            self._open(slot)
        models = []
        for slot in self._slots:
            assert slot.future is not None
            try:
                models.append(str(slot.future.result(START_LIMIT_S)))
            except SourceError:
                raise
            except Exception as error:
                raise PoolError(
                    f"worker {slot.number} cannot start on {slot.settings.device}: {cause(error)}; "
                    f"choose other devices (pool.devices, or --device), or fix what the problem needs"
                ) from error
            slot.future = None
        return models

    def _open(self, slot: _Slot) -> None:
        """Starts a process for a slot; its first task names the device."""
        from joblib.externals.loky import ProcessPoolExecutor

        slot.executor = ProcessPoolExecutor(
            max_workers=1,
            timeout=None,
            initializer=worker.start,
            initargs=(self._payload, slot.settings),
            env=dict(slot.env),
        )
        slot.future = slot.executor.submit(worker.hello, slot.settings.device)
        slot.job, slot.deadline = None, self._clock.now() + START_LIMIT_S

    @property
    @override
    def idle(self) -> int:
        return sum(slot.future is None for slot in self._slots) - len(self._queue)

    @override
    def submit(self, job: Job) -> None:
        self._queue.append(job)
        self._dispatch()

    def _dispatch(self) -> None:
        for slot in self._slots:
            if slot.future is None and self._queue:
                job = self._queue.popleft()
                self._run(slot, job)

    def _run(self, slot: _Slot, job: Job) -> None:
        assert slot.executor is not None
        slot.job, slot.deadline = job, self._clock.now() + self._time_limit_s
        try:
            slot.future = slot.executor.submit(worker.score, job)
        except Exception as error:  # the process died while it was idle
            slot.future = concurrent.futures.Future()
            slot.future.set_exception(error)

    @override
    def wait(self, timeout_s: float | None = None) -> list[Done]:
        end = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        while True:
            busy = [slot for slot in self._slots if slot.future is not None]
            nearest = min((slot.deadline for slot in busy), default=0.0) - self._clock.now()
            concurrent.futures.wait(
                [slot.future for slot in busy if slot.future is not None],
                timeout=max(0.0, min(nearest, _LOOK_S, end - time.monotonic())),
                return_when=concurrent.futures.FIRST_COMPLETED,
            )
            self._clock.now()
            done = [result for slot in busy if (result := self._collect(slot)) is not None]
            self._dispatch()
            if done or not busy or time.monotonic() >= end:
                return done

    def _collect(self, slot: _Slot) -> Done | None:
        """What became of a slot's task; None where it goes on, was a start, or is tried again."""
        future, job = slot.future, slot.job
        assert future is not None
        if not future.done():
            if self._clock.now() < slot.deadline:
                return None
            if job is None:
                self._give_up(slot, TimeoutError(f"not ready after {START_LIMIT_S:g} s"))
                return None
            self._restart(slot)
            return self._failed(slot, job, f"outlived the time limit of {self._time_limit_s:g} s")
        slot.future = slot.job = None
        error = future.exception()
        if error is None and not isinstance(future.result(), str if job is None else Score):
            error = PoolError(f"the worker answered with {type(future.result()).__name__}")
        if error is None:
            return None if job is None else self._done(slot, job, future.result())
        if job is None:
            self._give_up(slot, error)
            return None
        self._restart(slot)
        if job in self._died:
            return self._failed(slot, job, f"killed its worker twice ({cause(error)})")
        self._died.add(job)
        self._queue.appendleft(job)
        return None

    def _done(self, slot: _Slot, job: Job, score: Score) -> Done:
        return Done(
            job,
            score.values,
            score.failure,
            score.seconds,
            self.devices[slot.number],
            slot.number,
            score.memory_bytes,
            score.traceback,
        )

    def _failed(self, slot: _Slot, job: Job, reason: str) -> Done:
        return self._done(slot, job, Score(None, reason, 0.0))

    def _restart(self, slot: _Slot) -> None:
        self._close(slot)
        self._open(slot)

    def _close(self, slot: _Slot) -> None:
        if slot.executor is not None:
            slot.executor.shutdown(wait=True, kill_workers=True)  # type: ignore[call-arg]
            slot.executor = None

    def _give_up(self, slot: _Slot, error: BaseException) -> None:
        """Goes on without a device; an error where it was the last, or where the run's code was changed."""
        self._close(slot)
        if isinstance(error, SourceError):
            raise error
        self._slots.remove(slot)
        if not self._slots:
            raise PoolError(
                f"no worker is left: the last one, on {slot.settings.device}, cannot be started again: "
                f"{cause(error)}; fix the device, then continue with `uninas-evo resume`"
            )

    @override
    def activity(self) -> list[Activity]:
        return [
            Activity(slot.number, self.devices[slot.number], None if slot.job is None else slot.job.number)
            for slot in self._slots
        ]

    @override
    def close(self) -> None:
        for slot in self._slots:
            self._close(slot)
