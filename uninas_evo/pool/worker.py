"""What runs inside a worker process: it holds the problem and scores one genome at a time.

Every accident in scoring is turned into a failure with a reason.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import platform
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from uninas_evo.contracts import Ancestor, Objective, Problem
from uninas_evo.errors import PoolError, SourceError
from uninas_evo.formats import message, printable
from uninas_evo.pool.contract import Job
from uninas_evo.pool.isolation import isolated, seed_all, seeded_libraries
from uninas_evo.pool.traces import place_of, traceback_of
from uninas_evo.sources import changed
from uninas_evo.threads import set_threads

_PR_SET_PDEATHSIG = 1
_LEAK_BYTES = 4 * 10**9
"""Growth of a worker that is taken for a leak: it is replaced between two candidates."""
_MAX_REASON = 400
"""Characters of a failure's reason that are kept: errors of compilers fill pages."""
MOST_VALUES = 256
"""Named values of one candidate: each is recorded, and a journal is read whole."""
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Settings:
    """How a worker is set up; the same for all workers of a run but for the device.

    Attributes:
        device: what the problem scores on, such as "cpu" or "cuda".
        threads: threads of a torch operation; a constant of the run, since sums depend on it.
        memory_limit_bytes: what scoring one candidate on the CPU may allocate, None for no limit.
        parent: process id whose death ends the worker, None for none.
        sources: path and SHA-256 of the user's files that scoring runs, as the run began with them.
    """

    device: str
    threads: int = 1
    memory_limit_bytes: int | None = None
    parent: int | None = None
    sources: tuple[tuple[str, str], ...] = ()


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
        check_sources(settings.sources)  # after the import: what was loaded is what the run began with

    def score(self, job: Job) -> Score:
        """Scores a genome's text, with other random draws where the job has a seed; never raises."""
        begin = time.perf_counter()
        values = failure = trace = None
        try:
            problem = self.problem if job.seed is None else self._with_seed(job.seed)
            further: dict[str, Any] = {} if job.fidelity is None else {"fidelity": job.fidelity}
            if job.lineage:
                further["lineage"] = tuple(
                    Ancestor(problem.space.decode(text), fidelity) for text, fidelity in job.lineage
                )
            values = self._evaluated(problem, job.genome, further)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and _ends_by_signal():
                raise
            failure, trace = reason(error), traceback_of(error)
        seconds, memory = time.perf_counter() - begin, peak_memory_bytes(self.settings.device)
        return Score(values, failure, seconds, memory, trace)

    def _evaluated(self, problem: Problem, text: str, further: Mapping[str, Any]) -> dict[str, float]:
        """The values of a genome; scored again where a library came in meanwhile, whose generator was not seeded."""
        loaded = seeded_libraries()
        with isolated(), _memory_limit(self.settings.memory_limit_bytes):
            seed_all(f"{problem.seed} {text}")
            raw = problem.evaluate(problem.space.decode(text), self.settings.device, **further)
            values = _checked(raw, problem.objectives)
        return values if loaded == seeded_libraries() else self._evaluated(problem, text, further)

    def _with_seed(self, seed: int) -> Problem:
        """The problem with another seed; kept, since finalists are scored with the same few."""
        if seed not in self._reseeded:
            self._reseeded[seed] = self.problem.with_seed(seed)
        return self._reseeded[seed]


def check_sources(recorded: Iterable[tuple[str, str]]) -> None:
    """Compares files of the user's with those that the run began with; one that is not on this machine is not needed.

    Raises:
        SourceError: a file was changed.
    """
    for path in changed(dict(recorded)):
        raise SourceError(
            f"{path} was changed while the run goes on: scores of two versions do not compare, so that the run ends "
            f"here; restore the file and resume, or start a new run"
        )


_worker: Scores | None = None
_broken: PoolError | None = None
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
        process_executor._MAX_MEMORY_LEAK_SIZE = min(_LEAK_BYTES, settings.memory_limit_bytes or _LEAK_BYTES)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends its workers
    if settings.parent is not None:
        die_with(settings.parent)
    try:
        make, problem = loads(payload)
        _worker = make(problem, settings)
    except SourceError as error:
        _broken = error
    except Exception as error:
        _broken = PoolError(f"{type(error).__name__}: {error}")


def hello(device: str) -> str:
    """The model of this worker's device.

    Raises:
        PoolError: this process could not be set up as a worker.
    """
    if _broken is not None:
        raise _broken
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


def _ends_by_signal() -> bool:
    """Whether Ctrl-C raises an exception here, so that one may be the user's and not the objective's own."""
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler


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
    if len(raw) > MOST_VALUES:
        raise ValueError(f"evaluate may return {MOST_VALUES} named values at most, got {len(raw)}; return fewer")
    names = {objective.name for objective in objectives}
    for name in raw:
        if not (isinstance(name, str) and name.isprintable() and len(name) <= _LONGEST_NAME):
            raise TypeError(f"names of values must be printable, up to {_LONGEST_NAME} characters, got {name!r:.80}")
    if missing := names - raw.keys():
        raise KeyError(f"no value for the objective {sorted(missing)[0]!r}, got {sorted(raw)}")
    values = {}
    for name in sorted(raw):
        value = _number(name, raw[name])
        if math.isfinite(value):
            values[name] = value
        elif name in names:
            raise ValueError(f"{name} must be finite, got {value}")
    return values


def _number(name: str, value: Any) -> float:
    """A value as a float: truth values, texts and bytes are no scores, though Python would convert them."""
    is_truth = isinstance(value, bool) or str(getattr(value, "dtype", "")) in ("bool", "torch.bool")
    if not is_truth and not isinstance(value, str | bytes | bytearray):
        with contextlib.suppress(TypeError, ValueError):
            return float(value)
    raise TypeError(f"{name} must be a number, got {value!r:.80}")


def reason(error: BaseException) -> str:
    """One line that says why scoring failed; lack of memory is called so whoever reports it."""
    text = message(error)
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
    return printable(text)[:_MAX_REASON] + printable(place_of(error))


def _free_gpu_memory() -> None:
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()


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
