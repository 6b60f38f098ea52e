"""The simulated clock: what many workers would have ended when, without waiting, and the journal of one."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from uninas_evo.contracts import Ancestor, Objective, Problem
from uninas_evo.engine import Journal, Loop, canonical
from uninas_evo.engine.events import ResultEvent
from uninas_evo.pool.contract import Job
from uninas_evo.pool.in_process import InProcessPool
from uninas_evo.pool.simulated import SimulatedPool
from uninas_evo.spaces.nasbench201.space import Cell, NASBench201Space
from uninas_evo.strategies.aging import AgingEvolution
from uninas_evo.strategies.ladder import Ladder
from uninas_evo.strategies.rungs import Asha, Halving, Hyperband


class Timed(Problem):
    """Cells that take one to a hundred seconds, ten times as many at the full fidelity."""

    fidelities = ({"epochs": 1}, {"epochs": 10})

    def __init__(self) -> None:
        self.space = NASBench201Space()
        self.objectives = (Objective("accuracy", "maximize"),)

    @classmethod
    def from_options(cls, options: Any, seed: int) -> Timed:
        raise AssertionError("this problem is made in Python alone")

    def evaluate(
        self, genome: Cell, device: str, *, fidelity: int | None = None, lineage: Sequence[Ancestor] = ()
    ) -> Mapping[str, float]:
        digest = zlib.crc32(genome.text.encode())
        noise = zlib.crc32(f"{genome.text} {fidelity}".encode()) / 2**32
        return {"accuracy": digest / 2**32 + noise / 10, "seconds": (1 + digest % 100) * (1 if fidelity == 0 else 10)}


def run(strategy: type[Any], workers: int, evaluations: int = 60) -> tuple[Journal, float]:
    problem = Timed()
    more = {"fidelities": len(problem.fidelities)} if strategy.climbs else {}
    journal, pool = Journal(None), SimulatedPool(InProcessPool(problem), workers)
    loop = Loop(problem, strategy(problem.space, problem.objectives, seed=0, **more), journal, evaluations=evaluations)
    loop.run(pool)
    return journal, pool.now_s


@pytest.mark.parametrize("strategy", [AgingEvolution, Ladder, Halving, Hyperband, Asha])
def test_workers_change_the_seconds_alone(strategy: type[Any]) -> None:
    """One, two and eight simulated workers write the same journal, and more of them end sooner."""
    runs = [run(strategy, workers) for workers in (1, 2, 8)]
    told = [[event for event in canonical(journal.events) if event["number"] < 60] for journal, _ in runs]
    assert told[0] == told[1] == told[2]
    ends = [end for _, end in runs]
    assert ends[0] > ends[1] > ends[2] > ends[0] / 8.1


def test_one_worker_takes_the_sum() -> None:
    """The clock of one worker shows the seconds of all evaluations, and a journal's times are of that clock."""
    journal, end = run(AgingEvolution, 1)
    results = [event for event in journal.events if isinstance(event, ResultEvent)]
    assert end == sum(event.measured.seconds for event in results)
    assert [event.measured.at for event in results] == sorted(event.measured.at for event in results)
    assert results[-1].measured.at == pytest.approx(end)


def test_results_come_in_the_order_of_their_ends() -> None:
    """A short evaluation that began later overtakes a long one."""
    pool = SimulatedPool(InProcessPool(Timed()), 2)
    problem = Timed()
    cells = sorted(problem.space.cells[:200], key=lambda cell: problem.evaluate(cell, "cpu")["seconds"])
    pool.submit(Job(0, cells[-1].text))
    pool.submit(Job(1, cells[0].text))
    assert pool.idle == 0
    assert [one.job.number for _ in range(2) for one in pool.wait()] == [1, 0]
    assert pool.now() == problem.evaluate(cells[-1], "cpu")["seconds"]
    assert pool.wait() == []
