"""What runs inside a worker process: it holds the problem and scores one genome at a time.

Every accident in scoring is turned into a failure with a reason.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import math
import os
import platform
import random
import resource
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from uninas_evo.contracts import Objective, Problem
from uninas_evo.errors import PoolError
from uninas_evo.pool.contract import Job
from uninas_evo.pool.traces import place_of, traceback_of
from uninas_evo.threads import set_threads

_PR_SET_PDEATHSIG = 1
_LEAK_BYTES = 4 * 10**9
"""Growth of a worker that is taken for a leak: it is replaced between two candidates."""
_MAX_REASON = 400
"""Characters of a failure's reason that are kept: errors of compilers fill pages."""


@dataclass(frozen=True)
class Settings:
    """How a worker is set up; the same for all workers of a run but for the device.

    Attributes:
        device: what the problem scores on, such as "cpu" or "cuda".
        threads: threads of a torch operation; a constant of the run, since sums depend on it.
        memory_limit_bytes: what scoring one candidate on the CPU may allocate, None for no limit.
        parent: process id whose death ends the worker, None for none.
    """

    device: str
    threads: int = 1
    memory_limit_bytes: int | None = None
    parent: int | None = None


@dataclass(frozen=True)
class Score:
    """The values of a genome or the reason why there are none, the seconds it took, the worker's peak memory."""

    values: dict[str, float] | None
    failure: str | None
    seconds: float
    memory_bytes: int = 0
    traceback: str | None = None


class Scores(Protocol):
    """Does jobs in a worker process."""

    def score(self, job: Job) -> Score:
        """Does one job; an accident becomes a failure with its reason."""


class Worker:
    """Scores genomes of one problem on one device.

    Args:
        problem: what is scored; `prepare` is called here.
        settings: see `Settings`.
    """

    def __init__(self, problem: Problem, settings: Settings) -> None:
        self.problem = problem
        self.settings = settings
        self._reseeded: dict[int, Problem] = {}
        set_threads(settings.threads)
        problem.prepare(settings.device)

    def score(self, job: Job) -> Score:
        """Scores a genome's text, with other random draws where the job has a seed; never raises."""
        begin = time.perf_counter()
        values = failure = trace = None
        try:
            problem = self.problem if job.seed is None else self._with_seed(job.seed)
            further: dict[str, Any] = {} if job.fidelity is None else {"fidelity": job.fidelity}
            if job.lineage:
                further["lineage"] = tuple(map(problem.space.decode, job.lineage))
            with _seeded(f"{problem.seed} {job.genome}"), _memory_limit(self.settings.memory_limit_bytes):
                raw = problem.evaluate(problem.space.decode(job.genome), self.settings.device, **further)
            values = _checked(raw, problem.objectives)
        except (Exception, SystemExit) as error:
            failure, trace = _reason(error), traceback_of(error)
        seconds, memory = time.perf_counter() - begin, peak_memory_bytes(self.settings.device)
        return Score(values, failure, seconds, memory, trace)

    def _with_seed(self, seed: int) -> Problem:
        """The problem with another seed; kept, since finalists are scored with the same few."""
        if seed not in self._reseeded:
            self._reseeded[seed] = self.problem.with_seed(seed)
        return self._reseeded[seed]


_worker: Scores | None = None
_broken: str | None = None
"""Why this process could not be set up as a worker."""


def start(payload: bytes, settings: Settings) -> None:
    """Sets this process up as a worker; the pool calls it once in each new process.

    Args:
        payload: what makes the worker and its problem, straight from the parent's memory; no file is unpickled.
        settings: how to set up.
    """
    global _worker, _broken  # noqa: PLW0603 - a worker process is one worker
    from joblib.externals.loky import process_executor
    from joblib.externals.loky.cloudpickle_wrapper import loads

    # Loky replaces a worker that has grown by 300 MB, which torch's own caches do at once: 3 s of imports each time.
    if hasattr(process_executor, "_MAX_MEMORY_LEAK_SIZE"):
        process_executor._MAX_MEMORY_LEAK_SIZE = _LEAK_BYTES
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends its workers
    if settings.parent is not None:
        die_with(settings.parent)
    try:
        make, problem = loads(payload)
        _worker = make(problem, settings)
    except Exception as error:
        _broken = _reason(error)


def hello(device: str) -> str:
    """The model of this worker's device.

    Raises:
        PoolError: this process could not be set up as a worker.
    """
    if _broken is not None:
        raise PoolError(_broken)
    return describe(device)


def score(job: Job) -> Score:
    """Scores a genome in this worker process."""
    if _worker is None:
        raise RuntimeError("the worker was not started: call `start` first")
    result = _worker.score(job)
    if result.failure and "CUDA error" in result.failure:
        os._exit(70)  # the device's context is lost: only a new process can go on
    return result


def score_anywhere(payload: bytes, settings: Settings, job: Job) -> tuple[Score, str]:
    """Scores a genome in a process that may not have been started yet (a Dask worker); also its device's model."""
    remote = _remote(payload, settings)
    return remote.score(job), describe(remote.settings.device)


@lru_cache(maxsize=1)
def _remote(payload: bytes, settings: Settings) -> Worker:
    from joblib.externals.loky.cloudpickle_wrapper import loads

    device = settings.device
    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    return Worker(loads(payload), replace(settings, device=device))


def describe(device: str) -> str:
    """The model of a device, as it stands in journals: results are equal bit for bit on one model only."""
    if device.startswith("cuda"):
        import torch

        return str(torch.cuda.get_device_name(device))
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def peak_memory_bytes(device: str) -> int:
    """The most memory that this worker has held: on the GPU where it scores on one, else of the process."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_reserved(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def die_with(parent: int) -> None:
    """Has the kernel kill this process when its parent dies, so that no worker outlives a killed run."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def _checked(raw: Any, objectives: Sequence[Objective]) -> dict[str, float]:
    """The values as floats, in the order of their names; other values than objectives may be left out."""
    if not isinstance(raw, Mapping):
        raise TypeError(f"evaluate must return a mapping of names to numbers, got {type(raw).__name__}")
    names = {objective.name for objective in objectives}
    if missing := names - raw.keys():
        raise KeyError(f"no value for the objective {sorted(missing)[0]!r}, got {sorted(map(str, raw))}")
    values = {}
    for name in sorted(raw):
        try:
            value = float(raw[name])
        except (TypeError, ValueError):
            raise TypeError(f"{name} must be a number, got {raw[name]!r:.80}") from None
        if math.isfinite(value):
            values[name] = value
        elif name in names:
            raise ValueError(f"{name} must be finite, got {value}")
    return values


def _reason(error: BaseException) -> str:
    """One line that says why scoring failed; lack of memory is called so whoever reports it."""
    text = " ".join(str(error).split())
    lowered = text.lower()
    if (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "allocate memory" in lowered
        or "not enough memory" in lowered
    ):
        _free_gpu_memory()
        text = f"out of memory ({text or type(error).__name__})"
    else:
        text = f"{type(error).__name__}: {text}"
    return text[:_MAX_REASON] + place_of(error)


def _free_gpu_memory() -> None:
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()


@contextlib.contextmanager
def _seeded(key: str) -> Iterator[None]:
    """Fixes the global generators by a key and puts them back.

    So a user's function that draws from them stays a function of genome and seed.
    """
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")
    states: list[tuple[Any, Any]] = [(random.setstate, random.getstate())]
    random.seed(seed)
    if "numpy" in sys.modules:
        import numpy as np

        states.append((np.random.set_state, np.random.get_state()))
        np.random.seed(seed)
    if "torch" in sys.modules:
        import torch

        states.append((torch.set_rng_state, torch.get_rng_state()))
        torch.manual_seed(seed)
    try:
        yield
    finally:
        for restore, state in states:
            restore(state)


@contextlib.contextmanager
def _memory_limit(limit_bytes: int | None) -> Iterator[None]:
    """Lets allocations beyond the limit fail with an error that can be caught, before the kernel kills at random.

    RLIMIT_DATA counts private writable memory, which is what tensors are made of; address space that libraries
    merely reserve (RLIMIT_AS) says nothing.
    """
    if limit_bytes is None or sys.platform != "linux":
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    held = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (held + limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
