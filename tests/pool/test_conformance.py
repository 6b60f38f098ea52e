"""The pools of this project under the suite that users' pools pass."""

from __future__ import annotations

from uninas_evo.pool.in_process import InProcessPool
from uninas_evo.pool.processes import ProcessPool
from uninas_evo.testing import PoolConformance


class TestInProcess(PoolConformance):
    def open(self, problem):
        return InProcessPool(problem)


class TestProcesses(PoolConformance):
    def open(self, problem):
        return ProcessPool(problem, ["cpu", "cpu"])
