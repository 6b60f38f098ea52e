"""Where the cells of a comparison run: one process a device, one group of cells at a time in each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from uninas_evo.compare.cells import Group, run_group
from uninas_evo.contracts import Problem
from uninas_evo.errors import PoolError
from uninas_evo.pool.contract import Job, Pool
from uninas_evo.pool.in_process import InProcessPool
from uninas_evo.pool.open import DaskCluster, PoolOptions, device_names, memory_limit_bytes, open_pool
from uninas_evo.pool.processes import ProcessPool
from uninas_evo.pool.worker import Score, Settings


@dataclass(frozen=True)
class Work:
    """What the processes of a comparison are given: the groups, and the limits for one candidate."""

    groups: Sequence[Group]
    limits: PoolOptions


class GroupWorker:
    """Runs groups in a pool's process; each search there scores in a pool of its own, of one worker under the limits.

    So a candidate that hangs, or takes its process down, is failed like in any search, and its run goes on.
    """

    def __init__(self, work: Work, settings: Settings) -> None:
        self.work, self.settings = work, settings

    def score(self, job: Job) -> Score:
        """Runs the group that the job's number names; never raises."""
        begin, failure = time.perf_counter(), None
        try:
            run_group(self.work.groups[job.number], self._start)
        except Exception as error:
            failure = str(error)
        return Score({}, failure, time.perf_counter() - begin)

    def _start(self, problem: Problem) -> Pool:
        if problem.lookup:
            return InProcessPool(problem, self.settings.device, self.settings.threads)
        return open_pool(self.work.limits.model_copy(update={"devices": [self.settings.device]}), problem)


def run_groups(groups: Sequence[Group], options: PoolOptions, watch: Callable[[int, int], None]) -> None:
    """Runs all groups; one whose process dies is continued once, and the others go on when one fails.

    Args:
        groups: what to run.
        options: on which devices, and what one candidate may take; "in-process" runs here, without limits.
        watch: told how many groups are done, and how many there are.

    Raises:
        PoolError: groups failed; the message gives the first reason.
    """
    if options.devices == "in-process":
        for number, group in enumerate(groups, 1):
            run_group(group, lambda problem: InProcessPool(problem, threads=options.threads))
            watch(number, len(groups))
        return
    if isinstance(options.devices, DaskCluster):
        raise PoolError("a comparison runs on the devices of one machine, not on a cluster; name some in pool.devices")
    names = device_names(options.devices, options.threads)[: len(groups)]
    share = memory_limit_bytes(options, len(names))
    limits = options.model_copy(update={"memory_limit_gb": share / 1e9})
    failures = []
    with ProcessPool(Work(groups, limits), names, threads=options.threads, worker=GroupWorker) as pool:
        for done, one in enumerate(pool.map(Job(number, "") for number in range(len(groups))), 1):
            if one.failure is not None:
                group = groups[one.job.number]
                failures.append(f"{group.problem}, seed {group.seed}: {one.failure}")
            watch(done, len(groups))
    if failures:
        raise PoolError(
            f"{len(failures)} of {len(groups)} groups of runs failed, the first with: {failures[0]}; "
            f"fix that and compare again: what is finished is kept"
        )
