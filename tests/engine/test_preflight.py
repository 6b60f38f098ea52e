"""The look before the start."""

from __future__ import annotations

import random

import pytest
from engine_toy import ToyProblem

from uninas_evo.contracts import Budget
from uninas_evo.engine.preflight import preflight
from uninas_evo.pool.in_process import InProcessPool
from uninas_evo.problems.uninas import UninasProblem
from uninas_evo.spaces.uninas import Skeleton, StepRule, UninasSpace, preset
from uninas_evo.spaces.uninas.step import step

START = preset("coatnet", Skeleton(image_size=16, classes=10, stem=(8, 8), channels=(16, 32), depths=(1, 1)))


def test_the_share_of_feasible_steps_is_that_of_single_steps() -> None:
    """In a tight budget the share is far from 1, and equals what single steps give."""
    space = UninasSpace(START, Budget(max_params=1.01 * START.params, min_params=0.99 * START.params))
    problem = UninasProblem(space, ["params"])
    told = preflight(problem, InProcessPool(problem)).feasible
    rng = random.Random(1)
    tries = [step(START, space.budget, StepRule(), rng) is not None for _ in range(2000)]
    assert told == pytest.approx(sum(tries) / len(tries), abs=0.05)
    assert told < 0.95


def test_a_space_without_start_is_looked_at_too() -> None:
    """A sample stands for the start where there is none."""
    problem = ToyProblem()
    problem.space.start = None  # type: ignore[assignment]
    assert preflight(problem, InProcessPool(problem)).values.keys() == {"sum", "first"}
