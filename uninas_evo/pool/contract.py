"""What a pool of workers is: takes jobs while it has idle workers, gives each back done, in whatever order they end."""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from uninas_evo.contracts.problem import Ancestor
from uninas_evo.formats import message, printable

_LONGEST_TICK_S = 0.5
"""More between two looks at a clock means that this process was stopped, or had other things to do."""


@dataclass(frozen=True)
class Job:
    """A genome to score.

    Attributes:
        number: tells jobs apart.
        genome: its text.
        seed: replaces the problem's own where it is given.
        fidelity: index into the problem's fidelities; None for the full one.
        lineage: candidates, by the texts of their genomes, whose trained weights it descends from, oldest first.
    """

    number: int
    genome: str
    seed: int | None = None
    fidelity: int | None = None
    lineage: tuple[Ancestor, ...] = ()


@dataclass(frozen=True)
class Done:
    """A job with its values or the reason of its failure, and where it was scored."""

    job: Job
    values: Mapping[str, float] | None
    failure: str | None
    seconds: float
    device: str
    worker: int
    memory_bytes: int = 0
    traceback: str | None = None


@dataclass(frozen=True)
class Activity:
    """What a worker does now: the number of its job, None while it is idle or starting."""

    worker: int
    device: str
    job: int | None


class RunningClock:
    """Seconds that this process watched its workers: a pause (Ctrl-Z, a suspended machine) is no time of theirs."""

    def __init__(self) -> None:
        self._seconds, self._looked = 0.0, time.monotonic()

    def now(self) -> float:
        """The seconds so far; a gap since the last look counts as a short one."""
        now = time.monotonic()
        self._seconds += min(now - self._looked, _LONGEST_TICK_S)
        self._looked = now
        return self._seconds


class Pool(ABC):
    """Scores jobs; a context manager that ends its workers."""

    devices: Sequence[str]
    """The model of each worker's device."""

    @property
    @abstractmethod
    def idle(self) -> int:
        """Jobs that can be submitted now without waiting in line."""

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Hands a job to a worker."""

    @abstractmethod
    def wait(self, timeout_s: float | None = None) -> list[Done]:
        """Waits until a job is done or the time is up; jobs done since the last call."""

    def now(self) -> float:
        """Seconds of the clock that runs go by; only differences mean anything."""
        return time.monotonic()

    def map(self, jobs: Iterable[Job]) -> Iterator[Done]:
        """Scores jobs, each given back when it is done, in whatever order they end.

        What still ran before, as where a search's time was over, is dropped when it ends.
        """
        waiting, busy = deque(jobs), set[Job]()
        while waiting or busy:
            while waiting and self.idle > 0:
                busy.add(waiting[0])
                self.submit(waiting.popleft())
            for done in self.wait():
                if done.job in busy:
                    busy.remove(done.job)
                    yield done

    def close(self) -> None:  # noqa: B027 - nothing to end in the calling process
        """Ends the workers, also those that are busy."""

    def activity(self) -> list[Activity]:
        """What each worker does."""
        return [Activity(number, device, None) for number, device in enumerate(self.devices)]

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def cause(error: BaseException) -> str:
    """Why an executor's task or process ended, in one line."""
    text = message(error)
    if codes := re.search(r"exit codes of the workers are \{(.+?)\}", text):
        return "exit code " + re.sub(r"EXIT\((\d+)\)", r"\1", codes[1])
    if type(error).__name__ in ("TerminatedWorkerError", "BrokenProcessPool"):
        return "exit code unknown"
    return printable(f"{type(error).__name__}: {text}")[:400]
