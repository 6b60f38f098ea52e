"""The pool that scores on a Dask cluster, through the same futures as the worker processes."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from uninas_evo.contracts import Problem
from uninas_evo.errors import MissingExtraError, PoolError, SourceError
from uninas_evo.pool import worker
from uninas_evo.pool.contract import Activity, Done, Job, Pool, RunningClock, cause
from uninas_evo.pool.worker import Score, Settings

_LOOK_S = 0.25
_CHECK_S = 5.0
"""Seconds between two questions whether the cluster is still there."""
_UNKNOWN = "dask"
"""The device of a job that never came back."""


class DaskPool(Pool):
    """Scores on the workers of a Dask cluster, as many jobs at a time as it has workers.

    Dask itself tries a job again whose worker died. A candidate that outlives its time limit is failed; its worker
    is left to finish, since Dask has no way to end a running task.

    Args:
        problem: what is scored.
        address: the scheduler, such as "tcp://10.0.0.1:8786".
        threads: threads of each worker.
        time_limit_s: what scoring one candidate may take.
        memory_limit_bytes: what scoring one candidate on the CPU may allocate.
        sources: the user's files that scoring runs, with their SHA-256: a worker that finds others ends the run.

    Raises:
        PoolError: the scheduler does not answer, or has no workers.
        MissingExtraError: Dask is not installed.
    """

    def __init__(
        self,
        problem: Problem,
        address: str,
        *,
        threads: int = 1,
        time_limit_s: float | None = None,
        memory_limit_bytes: int | None = None,
        sources: Mapping[str, str] | None = None,
    ) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise MissingExtraError("dask[distributed]", "cluster") from None
        from joblib.externals.loky.cloudpickle_wrapper import dumps

        try:
            connect: Any = Client
            self._client = connect(address, timeout=10)
        except (OSError, TimeoutError, ValueError) as error:
            raise PoolError(
                f"the Dask scheduler at {address!r} does not answer: {error}; "
                f"start one with `dask scheduler`, or fix pool.devices"
            ) from error
        workers = sorted(self._client.scheduler_info(n_workers=-1)["workers"])
        if not workers:
            raise PoolError(f"the Dask scheduler at {address!r} has no workers; start some with `dask worker`")
        self.devices = [str(name) for name in workers]
        self._task = (
            dumps(problem),
            Settings("auto", threads, memory_limit_bytes, None, tuple((sources or {}).items())),
        )
        self._executor: Any = self._client.get_executor(pure=False)
        self._time_limit_s = float("inf") if time_limit_s is None else time_limit_s
        self._address, self._checked, self._clock = address, float("-inf"), RunningClock()
        self._running: dict[Any, tuple[Job, float]] = {}

    @property
    @override
    def idle(self) -> int:
        return len(self.devices) - len(self._running)

    @override
    def submit(self, job: Job) -> None:
        future = self._executor.submit(worker.score_anywhere, *self._task, job)
        self._running[future] = (job, self._clock.now())

    @override
    def wait(self, timeout_s: float | None = None) -> list[Done]:
        concurrent.futures.wait(
            self._running, timeout=min(timeout_s or _LOOK_S, _LOOK_S), return_when=concurrent.futures.FIRST_COMPLETED
        )
        self._check()
        done = []
        for future, (job, begin) in list(self._running.items()):
            seconds = self._clock.now() - begin
            if future.done():
                score, device = self._answer(future, seconds)
            elif seconds > self._time_limit_s:
                future.cancel()
                score = Score(None, f"outlived the time limit of {self._time_limit_s:g} s", seconds)
                device = _UNKNOWN
            else:
                continue
            del self._running[future]
            values, memory = score.values, score.memory_bytes
            done.append(Done(job, values, score.failure, score.seconds, device, 0, memory, score.traceback))
        return done

    def _check(self) -> None:
        """Looks after the cluster from time to time.

        Raises:
            PoolError: it has lost its scheduler, or all of its workers.
        """
        if time.monotonic() - self._checked < _CHECK_S:
            return
        try:
            workers = self._client.scheduler_info(n_workers=-1)["workers"]
            lost = "" if workers else "has no workers any more"
        except Exception as error:  # whatever the connection raises
            lost = f"does not answer any more: {cause(error)}"
        if self._client.status != "running":
            lost = "does not answer any more"
        if lost:
            raise PoolError(
                f"the Dask scheduler at {self._address!r} {lost}; start it again, then continue with "
                f"`uninas-evo resume`: nothing that was scored is lost"
            )
        self._checked = time.monotonic()

    def _answer(self, future: Any, seconds: float) -> tuple[Score, str]:
        """What became of a job.

        Raises:
            PoolError: the cluster went away with it.
            SourceError: a worker has another version of the user's code.
        """
        try:
            match future.result():
                case (Score() as score, str() as device):
                    return score, device
                case other:
                    return Score(None, f"the cluster answered with {type(other).__name__}", seconds), _UNKNOWN
        except SourceError:
            raise
        except (Exception, concurrent.futures.CancelledError) as error:
            self._checked = float("-inf")
            self._check()
            return Score(None, cause(error), seconds), _UNKNOWN

    @override
    def activity(self) -> list[Activity]:
        """Which jobs run; Dask decides where, so that they are told in the order of the workers."""
        jobs: list[int | None] = [job.number for job, _ in self._running.values()]
        jobs += [None] * len(self.devices)
        return [Activity(number, device, jobs[number]) for number, device in enumerate(self.devices)]

    @override
    def close(self) -> None:
        self._client.close()
