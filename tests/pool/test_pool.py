"""The worker processes under every accident that a candidate can have."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from engine_toy import ToyProblem, ToyStrategy

from uninas_evo.contracts import Problem
from uninas_evo.engine.events import canonical
from uninas_evo.engine.journal import Journal
from uninas_evo.engine.loop import Loop
from uninas_evo.errors import PoolError
from uninas_evo.pool.contract import Done, Job, Pool
from uninas_evo.pool.in_process import InProcessPool
from uninas_evo.pool.open import CpuWorkers, PoolOptions, open_pool
from uninas_evo.pool.processes import ProcessPool
from uninas_evo.pool.worker import Settings, Worker, describe

HARMLESS, HARMFUL = "10000000", "50000000"


def score_all(pool: Pool, texts: Sequence[str]) -> dict[int, Done]:
    jobs = [Job(number, text) for number, text in enumerate(texts)]
    done: dict[int, Done] = {}
    waiting = list(jobs)
    while len(done) < len(jobs):
        while waiting and pool.idle:
            pool.submit(waiting.pop(0))
        done.update({one.job.number: one for one in pool.wait()})
    return done


@pytest.fixture(scope="module")
def two() -> Any:
    with ProcessPool(ToyProblem(), ["cpu", "cpu"]) as pool:
        yield pool


def journal_of(problem: Problem, pool: Pool, evaluations: int = 25) -> list[dict[str, Any]]:
    strategy = ToyStrategy(problem.space, problem.objectives, seed=0)
    loop = Loop(problem, strategy, Journal(None), evaluations=evaluations)
    loop.run(pool)
    return canonical(loop.journal.events)


def test_one_two_four_workers_and_none_write_the_same_journal() -> None:
    """The calling process and 1, 2 or 4 worker processes give the same canonical journal."""
    problem = ToyProblem(sleep_s=0.01, noise=1.0)
    expected = journal_of(problem, InProcessPool(problem))
    for workers in (1, 2, 4):
        with open_pool(PoolOptions(devices=CpuWorkers(cpu=workers)), problem) as pool:
            assert len(pool.devices) == workers
            assert journal_of(problem, pool) == expected


@pytest.mark.parametrize(
    ("accident", "reason"),
    [
        ("raise", "ValueError: no score for 50000000"),
        ("exit", "SystemExit: 3"),
        ("nan", "ValueError: sum must be finite, got nan"),
        ("type", "TypeError: sum must be a number, got 'many'"),
        ("missing", "KeyError: \"no value for the objective 'sum', got ['other']\""),
    ],
)
def test_accidents_that_leave_the_worker_alive(accident: str, reason: str) -> None:
    """The failure says why, and the worker goes on."""
    worker = Worker(ToyProblem(accident=accident), Settings("cpu"))
    score = worker.score(Job(0, HARMFUL))
    assert (score.values, (score.failure or "").partition(" (engine_toy.py, line")[0]) == (None, reason)
    assert worker.score(Job(0, HARMLESS)).values == {"sum": 1.0, "first": 1.0}


def test_a_killed_worker_is_replaced_and_its_candidate_tried_once_more(tmp_path: Path) -> None:
    """Killed once: scored by the second try. Killed twice: failed. The others are scored in any case."""
    with ProcessPool(ToyProblem(accident="kill once", folder=str(tmp_path)), ["cpu", "cpu"]) as pool:
        done = score_all(pool, [HARMLESS, HARMFUL, "20000000"])
    assert [done[number].failure for number in range(3)] == [None, None, None]
    with ProcessPool(ToyProblem(accident="kill"), ["cpu"]) as pool:
        done = score_all(pool, [HARMLESS, HARMFUL, "20000000"])
    assert (done[0].failure, done[2].failure) == (None, None)
    assert done[1].failure is not None
    assert done[1].failure.startswith("killed its worker twice (exit code ")


def test_a_hung_candidate_fails_at_its_time_limit() -> None:
    """Its worker is replaced; the time that a worker needs to start does not count."""
    with ProcessPool(ToyProblem(accident="hang"), ["cpu"], time_limit_s=0.3) as pool:
        done = score_all(pool, [HARMLESS, HARMFUL, "20000000"])
    assert (done[0].failure, done[2].failure) == (None, None)
    assert done[1].failure == "outlived the time limit of 0.3 s"


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts allocations on Linux only")
def test_too_much_memory_fails_the_candidate_alone() -> None:
    """Beyond the limit an allocation fails, and the worker lives on."""
    with ProcessPool(ToyProblem(accident="memory"), ["cpu"], memory_limit_bytes=10**8) as pool:
        done = score_all(pool, [HARMFUL, HARMLESS])
    assert done[0].failure is not None
    assert done[0].failure.startswith("out of memory")
    assert done[1].failure is None


def test_a_worker_killed_from_outside_while_idle_is_replaced(two: ProcessPool) -> None:
    """The next candidate is scored as if nothing had happened."""
    assert score_all(two, [HARMLESS, HARMLESS])[0].failure is None
    for slot in two._slots:
        assert slot.executor is not None
        (pid,) = slot.executor._processes  # type: ignore[attr-defined]
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)
    assert all(one.failure is None for one in score_all(two, [HARMLESS, "20000000"]).values())


def test_a_problem_that_cannot_be_prepared_is_named() -> None:
    """What `prepare` raises in the worker is in the message, with the device and the fix."""

    class Unprepared(ToyProblem):
        def prepare(self, device: str) -> None:
            raise RuntimeError("no driver")

    with pytest.raises(PoolError, match=r"worker 0 cannot start on cpu: .*RuntimeError: no driver.*; choose other"):
        ProcessPool(Unprepared(), ["cpu"])


def test_another_seed_is_another_draw(two: ProcessPool) -> None:
    """A job's own seed replaces the problem's."""
    worker = Worker(ToyProblem(noise=1.0), Settings("cpu"))
    values = [worker.score(Job(0, HARMLESS, seed)).values for seed in (None, 0, 1, 1)]
    assert values[0] == values[1] != values[2] == values[3]


def test_global_generators_are_fixed_by_genome_and_seed_and_put_back() -> None:
    """An objective that draws from `random` stays a function of genome and seed, and leaves no trace."""

    class Careless(ToyProblem):
        def evaluate(self, genome: Any, device: str) -> dict[str, float]:
            return {"sum": random.random()}

    worker = Worker(Careless(), Settings("cpu"))
    random.seed(5)
    before = random.getstate()
    first = [worker.score(Job(0, text)).values for text in (HARMLESS, HARMFUL)]
    assert random.getstate() == before
    random.seed(6)
    assert [worker.score(Job(0, text)).values for text in (HARMFUL, HARMLESS)] == first[::-1]
    assert first[0] != first[1]


def test_no_worker_outlives_a_killed_parent(tmp_path: Path) -> None:
    """`kill -9` of the parent alone ends its workers too."""
    script = (
        "import time\nfrom engine_toy import ToyProblem\nfrom uninas_evo.pool.processes import ProcessPool\n"
        "pool = ProcessPool(ToyProblem(), ['cpu'])\n"
        "print(*pool._slots[0].executor._processes, flush=True)\ntime.sleep(100)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(100):
        if not _alive(pid):
            return
        time.sleep(0.05)
    pytest.fail(f"worker {pid} outlived its parent")


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_dask_gives_the_same_journal() -> None:
    """A Dask cluster of two worker processes writes the journal of the calling process."""
    distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    problem = ToyProblem(noise=1.0)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        options = PoolOptions.model_validate({"devices": {"dask": cluster.scheduler_address}})
        with open_pool(options, problem) as pool:
            assert journal_of(problem, pool) == journal_of(problem, InProcessPool(problem))
            pool.submit(Job(0, problem.space.encode(problem.space.start)))
            assert [one.job for one in pool.activity()] == [0, None]
            done: list[Done] = []
            while not done:
                done = pool.wait()
            assert done[0].device == describe("cpu")
            assert done[0].memory_bytes > 0


def test_a_cluster_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address and the fix are in the message."""
    distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")

    def client(address: str, timeout: float) -> None:
        raise OSError("timed out")

    monkeypatch.setattr(distributed, "Client", client)
    options = PoolOptions.model_validate({"devices": {"dask": "tcp://127.0.0.1:9"}})
    with pytest.raises(PoolError, match=r"tcp://127.0.0.1:9' does not answer: timed out; start one"):
        open_pool(options, ToyProblem())


class Cluster:
    """A Dask client whose jobs never end."""

    status = "running"

    def __init__(self, workers: Sequence[str]) -> None:
        self.workers = dict.fromkeys(workers)
        self.futures: list[Future[Any]] = []

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        return {"workers": self.workers}

    def get_executor(self, pure: bool) -> Cluster:
        return self

    def submit(self, *_: Any) -> Future[Any]:
        self.futures.append(Future())
        return self.futures[-1]

    def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize("accident", ["none", "workers", "scheduler", "nonsense"])
def test_a_cluster_that_dies_ends_the_run(accident: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start or later, the message says what is missing and how to go on; nobody waits for ever."""
    distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    cluster = Cluster([] if accident == "none" else ["tcp://a:1"])
    monkeypatch.setattr(distributed, "Client", lambda address, timeout: cluster)
    options, problem = PoolOptions.model_validate({"devices": {"dask": "tcp://a:8786"}}), ToyProblem()
    if accident == "none":
        with pytest.raises(PoolError, match="has no workers; start some with `dask worker`"):
            open_pool(options, problem)
        return
    with open_pool(options, problem) as pool:
        pool.submit(Job(0, problem.space.encode(problem.space.start)))
        if accident == "nonsense":
            cluster.futures[0].set_result(7)
            assert pool.wait()[0].failure == "the cluster answered with int"
            return
        if accident == "workers":
            cluster.workers = {}
        else:
            cluster.status = "closed"
        lost = "has no workers any more" if accident == "workers" else "does not answer any more"
        with pytest.raises(PoolError, match=f"{lost}; start it again, then continue with `uninas-evo resume`"):
            pool.wait()
