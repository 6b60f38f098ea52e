"""What every pool must do: the promises of `pool.contract.Pool`."""

from __future__ import annotations

import random
from typing import Any

from uninas_evo.contracts import Problem
from uninas_evo.pool.contract import Done, Job, Pool
from uninas_evo.testing.toys import BitsProblem


class PoolConformance:
    """Tests of a pool: override `open`."""

    def open(self, problem: Problem) -> Pool:
        """A pool that scores by a problem."""
        raise NotImplementedError("give the pool that is tested: def open(self, problem): return MyPool(problem)")

    def test_every_job_is_done_once(self) -> None:
        """More jobs than workers are each scored once, and as the calling process scores them."""
        problem = BitsProblem()
        jobs = _jobs(problem, 12)
        done = self._score(problem, jobs)
        assert sorted(done) == [job.number for job in jobs]
        for job in jobs:
            assert done[job.number].job == job
            assert done[job.number].failure is None
            assert done[job.number].values == problem.evaluate(problem.space.decode(job.genome), "cpu")
            assert done[job.number].seconds >= 0

    def test_failures_are_data(self) -> None:
        """What raises or is not a number fails with its reason, and the others are scored."""
        for accident, reason in (("raise", "ValueError: the first bit is set"), ("nan", "must be finite")):
            problem = BitsProblem(accident=accident)  # type: ignore[arg-type]
            jobs = _jobs(problem, 8)
            for one in self._score(problem, jobs).values():
                fails = problem.space.decode(one.job.genome)[0] == 1
                assert (one.values is None) == fails
                assert reason in (one.failure or "") if fails else one.failure is None

    def test_a_text_that_is_no_genome_fails(self) -> None:
        """It costs its own job alone."""
        problem = BitsProblem()
        (good,) = _jobs(problem, 1)
        done = self._score(problem, [good, Job(1, "no genome")])
        assert done[0].failure is None
        assert done[1].values is None
        assert "GenomeError" in (done[1].failure or "")

    def test_a_jobs_own_seed_counts(self) -> None:
        """It replaces the problem's."""
        problem = BitsProblem()
        text = problem.space.encode(problem.space.start)
        done = self._score(problem, [Job(0, text), Job(1, text, seed=0), Job(2, text, seed=1)])
        assert done[0].values == done[1].values != done[2].values

    def test_idle_counts_what_can_be_submitted(self) -> None:
        """It falls with a submitted job, and is what it was once the job is given back."""
        problem = BitsProblem()
        (job,) = _jobs(problem, 1)
        with self.open(problem) as pool:
            before = pool.idle
            assert before >= 1
            pool.submit(job)
            assert pool.idle == before - 1
            assert [done.job for done in pool.wait()] == [job]
            assert pool.idle == before
            assert pool.wait(timeout_s=0) == []
            assert len(pool.activity()) == len(pool.devices) >= 1

    def test_map_gives_back_its_own_jobs_alone(self) -> None:
        """What was submitted before is dropped, and nothing is taken for something else."""
        problem = BitsProblem()
        earlier, *jobs = _jobs(problem, 4)
        with self.open(problem) as pool:
            pool.submit(Job(0, earlier.genome))
            done = {one.job: one.values for one in pool.map(jobs)}
            assert done == {job: problem.evaluate(problem.space.decode(job.genome), "cpu") for job in jobs}

    def test_it_can_be_closed_twice(self) -> None:
        """Closing ends the workers; once more does nothing."""
        pool = self.open(BitsProblem())
        pool.close()
        pool.close()

    def _score(self, problem: Any, jobs: list[Job]) -> dict[int, Done]:
        with self.open(problem) as pool:
            return {done.job.number: done for done in pool.map(jobs)}


def _jobs(problem: BitsProblem, count: int) -> list[Job]:
    rng = random.Random(0)
    return [Job(number, problem.space.encode(problem.space.sample(rng))) for number in range(count)]
