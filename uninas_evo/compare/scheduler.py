"""Where the cells of a comparison run: one process a device, one group of cells at a time in each."""

from __future__ import annotations

import concurrent.futures
import os
import signal
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, closing
from typing import Any

from uninas_evo.compare.cells import Group, run_group
from uninas_evo.errors import PoolError
from uninas_evo.pool import worker
from uninas_evo.pool.devices import environment
from uninas_evo.pool.open import DaskCluster, PoolOptions, device_names


class Lane:
    """A device, and the process that runs cells on it; a dead process is replaced at the next start."""

    def __init__(self, device: str, threads: int) -> None:
        self.device = device
        self.threads = threads
        self._executor: Any = None

    def start(self, group: Group) -> concurrent.futures.Future[None]:
        """Runs a group in the lane's process."""
        from joblib.externals.loky import ProcessPoolExecutor

        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                max_workers=1,
                timeout=None,
                initializer=_begin,
                initargs=(os.getpid(),),
                env=environment(self.device, self.threads),
            )
        future: concurrent.futures.Future[None] = self._executor.submit(run_group, group, self.device.partition(":")[0])
        return future

    def close(self) -> None:
        """Ends the process, also a busy one: what was scored is in the journals."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, kill_workers=True)
            self._executor = None


def _begin(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends its lanes
    worker.die_with(parent)


def run_groups(groups: Sequence[Group], options: PoolOptions, watch: Callable[[int, int], None]) -> None:
    """Runs all groups; one whose process dies is continued once, and the others go on when one fails.

    Args:
        groups: what to run.
        options: on which devices; "in-process" runs here, one group after the other.
        watch: told how many groups are done, and how many there are.

    Raises:
        PoolError: groups failed; the message gives the first reason.
    """
    if options.devices == "in-process":
        for number, group in enumerate(groups, 1):
            run_group(group, "cpu")
            watch(number, len(groups))
        return
    if isinstance(options.devices, DaskCluster):
        raise PoolError("a comparison runs on the devices of one machine, not on a cluster; name some in pool.devices")
    with ExitStack() as stack:
        names = device_names(options.devices, options.threads)
        free = [stack.enter_context(closing(Lane(name, options.threads))) for name in names]
        failures = _drive(deque(groups), free, lambda done: watch(done, len(groups)))
    if failures:
        raise PoolError(
            f"{len(failures)} of {len(groups)} groups of runs failed, the first with: {failures[0]}; "
            f"fix that and compare again: what is finished is kept"
        )


def _drive(waiting: deque[Group], free: list[Lane], watch: Callable[[int], None]) -> list[str]:
    """Keeps all lanes busy until nothing waits; the reasons of those that failed."""
    running: dict[concurrent.futures.Future[None], tuple[Lane, Group]] = {}
    died: list[Group] = []
    failures: list[str] = []
    done = 0
    while waiting or running:
        while waiting and free:
            lane, group = free.pop(), waiting.popleft()
            running[lane.start(group)] = (lane, group)
        ended, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
        for future in ended:
            lane, group = running.pop(future)
            free.append(lane)
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                lane.close()
                if group not in died:
                    died.append(group)
                    waiting.append(group)
                    continue
            if error is not None:
                failures.append(f"{group.problem}, seed {group.seed}: {error}")
            done += 1
            watch(done)
    return failures
