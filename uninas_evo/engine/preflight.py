"""A look before the start: every worker scores the start network, which tells time, memory and mistakes."""

from __future__ import annotations

import random
from dataclasses import dataclass

from uninas_evo.contracts import Problem
from uninas_evo.errors import PoolError
from uninas_evo.pool.contract import Done, Job, Pool

_STEPS = 1000
"""Single steps from the start that the feasible rate is taken from: they tell it to 2 percent, in milliseconds."""
_WARM_S = 10.0
"""A score that took less is taken twice, since the first one also loads libraries."""


@dataclass(frozen=True)
class Preflight:
    """What is known before a run.

    Attributes:
        devices: the model of each worker's device.
        seconds: what scoring the start network takes on one worker.
        memory_bytes: peak memory of one worker: of the process on a CPU, reserved memory on a GPU.
        feasible: share of search steps from the start that end inside the budget.
        values: the start network's values.
    """

    devices: tuple[str, ...]
    seconds: float
    memory_bytes: int
    feasible: float
    values: dict[str, float]

    def predicted_s(self, evaluations: float) -> float:
        """Seconds that as many evaluations take, if the start network is typical."""
        return self.seconds * evaluations / len(self.devices)


def preflight(problem: Problem, pool: Pool, fidelity: int | None = None) -> Preflight:
    """Has every worker score the start network, at a fidelity; None for the full one.

    Raises:
        PoolError: it cannot be scored; the message has the reason.
    """
    rng = random.Random(0)
    space = problem.space
    genome = space.sample(rng) if space.start is None else space.start
    scores = _score_everywhere(space.encode(genome), pool, fidelity)
    if min(one.seconds for one in scores) < _WARM_S:
        scores = _score_everywhere(space.encode(genome), pool, fidelity)
    feasible = sum(space.attempt(genome, rng) is not None for _ in range(_STEPS))
    return Preflight(
        devices=tuple(pool.devices),
        seconds=max(one.seconds for one in scores),
        memory_bytes=max(one.memory_bytes for one in scores),
        feasible=feasible / _STEPS,
        values=dict(scores[0].values or {}),
    )


def _score_everywhere(text: str, pool: Pool, fidelity: int | None) -> list[Done]:
    count = len(pool.devices)
    for number in range(count):
        pool.submit(Job(-1 - number, text, fidelity=fidelity))
    done: list[Done] = []
    while len(done) < count:
        done += pool.wait()
    for one in done:
        if one.failure is not None:
            raise PoolError(
                f"the start network must be scored before the run begins, and that failed on {one.device}: "
                f"{one.failure}; fix the objective, the limits in [pool], or the start network"
            )
    return done
