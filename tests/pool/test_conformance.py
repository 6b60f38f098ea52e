"""The pools of this project under the suite that users' pools pass."""

from __future__ import annotations

import pytest

from uninas_evo.pool.dask import DaskPool
from uninas_evo.pool.in_process import InProcessPool
from uninas_evo.pool.processes import ProcessPool
from uninas_evo.pool.simulated import SimulatedPool
from uninas_evo.testing import PoolConformance


class TestInProcess(PoolConformance):
    def open(self, problem):
        return InProcessPool(problem)


class TestProcesses(PoolConformance):
    def open(self, problem):
        return ProcessPool(problem, ["cpu", "cpu"])


class TestSimulated(PoolConformance):
    def open(self, problem):
        return SimulatedPool(InProcessPool(problem), workers=3)


@pytest.fixture(scope="module")
def scheduler():
    """The address of a cluster of two workers."""
    distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as made:
        yield made.scheduler_address


class TestDask(PoolConformance):
    @pytest.fixture(autouse=True)
    def address_of(self, scheduler):
        self.address = scheduler

    def open(self, problem):
        return DaskPool(problem, self.address)
