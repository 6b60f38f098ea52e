"""Grid search: all of a finite space, in an order that covers it evenly from the first candidates on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from uninas_evo.contracts import Decision, Draft, Objective, Space
from uninas_evo.errors import StrategyError
from uninas_evo.strategies.base import Lag, SteadyState

GOLDEN = (math.sqrt(5) - 1) / 2
"""Steps of this share of a circle leave no large gap, however many are taken (Knuth, "The Art of Computer Programming",
volume 3, section 6.4)."""
LIMIT = 1_000_000
"""Largest number of combinations: they are counted before the first is scored, within a minute."""


class Grid(SteadyState):
    """Asks for every genome of a space once; numbers are decided on their grid.

    How it searches: results change nothing. The combinations of all options, in the order of their digits, are walked
    around in steps of the golden section, so that at any moment every option of every decision was asked about
    equally often. Combinations that stand for a genome asked before, or for none inside the budget, are left out.

    When to use it: where a whole space is wanted, such as the few settings of a training, or a table that strategies
    are judged by. `evaluations` must be the number of genomes, which is told where it is not: nobody walks a large
    space by mistake. For a part of a space `random` does as well.

    Args:
        space: one with a list of decisions, of at most `LIMIT` combinations.
        objectives: one or several; only recorded.
        seed: of no use.
        options: `lag`, see `Lag`.

    Raises:
        StrategyError: the space has no list of decisions, or too many combinations.

    Example:
        ```python
        from uninas_evo import Objective
        from uninas_evo.spaces.nasbench201.space import NASBench201Space
        from uninas_evo.strategies.grid import Grid

        strategy = Grid(NASBench201Space(), [Objective("accuracy", "maximize")], seed=0)
        print(strategy.exactly)  # 15625
        ```
    """

    Options = Lag
    objectives_allowed = "any"

    def __init__(self, space: Space[Any], objectives: Sequence[Objective], *, seed: int, **options: Any) -> None:
        super().__init__(space, objectives, seed=seed, **options)
        decisions: Sequence[Decision] = getattr(space, "decisions", ())
        self._sizes = [len(decision.options) for decision in decisions]
        if not decisions or math.prod(self._sizes) > LIMIT:
            size = f"{math.prod(self._sizes):,} combinations" if decisions else "no list of decisions"
            raise StrategyError(
                f"grid asks for all of a space with a list of decisions and at most {LIMIT:,} combinations, and "
                f"{type(space).__name__} has {size}; use random, or give fewer options"
            )
        self._names = [decision.name for decision in decisions]
        self._waiting = self._genomes()

    @property
    def exactly(self) -> int:
        """How many candidates it asks for; a run must be given as many evaluations."""
        return self._count

    @cached_property
    def _count(self) -> int:
        return len(set(self._genomes()))

    def propose(self) -> Draft:
        """The next genome that was not asked before."""
        for genome in self._waiting:
            if not self.asked(genome):
                return Draft(genome, origin="grid")
        raise self.exhausted()

    def _genomes(self) -> Iterator[Any]:
        """The genome of each combination that lies inside the budget; several may stand for one."""
        count = math.prod(self._sizes)
        step = max(1, round(count * GOLDEN))
        while math.gcd(step, count) > 1:
            step += 1
        for place in range(count):
            answers = self._answers(place * step % count)
            yield self.space.compose(partial(_answer, answers))

    def _answers(self, number: int) -> dict[str, int]:
        """The digits of a combination's number, the last decision's first."""
        digits: dict[str, int] = {}
        for name, size in zip(reversed(self._names), reversed(self._sizes), strict=True):
            number, digits[name] = divmod(number, size)
        return digits


def _answer(answers: Mapping[str, int], decision: Decision) -> str:
    return decision.options[answers[decision.name]]
