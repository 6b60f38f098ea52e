"""The pool that scores on a Dask cluster, through the same futures as the worker processes."""

from __future__ import annotations

import concurrent.futures
import time
from typing import Any

from typing_extensions import override

from uninas_evo.contracts import Problem
from uninas_evo.errors import MissingExtraError, PoolError
from uninas_evo.pool import worker
from uninas_evo.pool.contract import Activity, Done, Job, Pool, cause
from uninas_evo.pool.worker import Score, Settings

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
        self._task = (dumps(problem), Settings("auto", threads, memory_limit_bytes))
        self._executor: Any = self._client.get_executor(pure=False)
        self._time_limit_s = float("inf") if time_limit_s is None else time_limit_s
        self._running: dict[Any, tuple[Job, float]] = {}

    @property
    @override
    def idle(self) -> int:
        return len(self.devices) - len(self._running)

    @override
    def submit(self, job: Job) -> None:
        future = self._executor.submit(worker.score_anywhere, *self._task, job)
        self._running[future] = (job, time.monotonic())

    @override
    def wait(self, timeout_s: float | None = None) -> list[Done]:
        concurrent.futures.wait(self._running, timeout=timeout_s or 1.0, return_when=concurrent.futures.FIRST_COMPLETED)
        done = []
        for future, (job, begin) in list(self._running.items()):
            seconds = time.monotonic() - begin
            if future.done():
                error = future.exception()
                score, device = future.result() if error is None else (Score(None, cause(error), seconds), _UNKNOWN)
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

    @override
    def activity(self) -> list[Activity]:
        """Which jobs run; Dask decides where, so that they are told in the order of the workers."""
        jobs: list[int | None] = [job.number for job, _ in self._running.values()]
        jobs += [None] * len(self.devices)
        return [Activity(number, device, jobs[number]) for number, device in enumerate(self.devices)]

    @override
    def close(self) -> None:
        self._client.close()
