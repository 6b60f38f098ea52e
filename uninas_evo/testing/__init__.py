"""Conformance suites: what every space, problem, strategy and pool must do, as tests for your own.

::

    from uninas_evo.testing import SpaceConformance

    class TestToy(SpaceConformance):
        space = ToySpace()

pytest runs all tests of the suite on it. Where the attribute depends on a fixture, or to test several at once, set it
in an autouse fixture: ``self.space = ...``. Subjects travel to another process, so that their classes must be
importable there: define them in a module, not in the test file. Only this package imports pytest.
"""

import pytest

pytest.register_assert_rewrite(
    *(f"uninas_evo.testing.{name}" for name in ("pools", "problems", "spaces", "strategies"))
)

from uninas_evo.testing.pools import PoolConformance  # noqa: E402 - after the rewrite is registered
from uninas_evo.testing.problems import ProblemConformance  # noqa: E402
from uninas_evo.testing.spaces import SpaceConformance  # noqa: E402
from uninas_evo.testing.strategies import StrategyConformance, drive  # noqa: E402
from uninas_evo.testing.toys import Bits, BitsProblem  # noqa: E402

__all__ = [
    "Bits",
    "BitsProblem",
    "PoolConformance",
    "ProblemConformance",
    "SpaceConformance",
    "StrategyConformance",
    "drive",
]
