"""Random walk: the paper's search step again and again, without selection (arXiv 2510.06035, Algorithm 1)."""

from __future__ import annotations

from typing import Any

from uninas_evo.contracts import Draft
from uninas_evo.strategies.base import MAX_TRIES, Lag, SteadyState, start_of


class RandomWalk(SteadyState):
    """Begins at the space's start and takes one step a candidate; a walk that is stuck begins again.

    Results change nothing; the lag only bounds how many candidates are under way.
    """

    Options = Lag
    objectives_allowed = "any"
    _last: Draft | None = None

    def propose(self) -> Draft:
        """The start, then a step from the candidate before."""
        if self._last is None or (genome := self._step(self._last.genome)) is None:
            self._last = Draft(start_of(self.space), origin="start")
        else:
            self._last = Draft(genome, (self.next_number - 1,), "mutate")
        return self._last

    def _step(self, genome: Any) -> Any | None:
        steps = (self.space.mutate(genome, self.rng) for _ in range(MAX_TRIES))
        return next((step for step in steps if step is not None), None)
