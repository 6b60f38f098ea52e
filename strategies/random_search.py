"""Random search: independent samples of the space, the baseline that every search must beat."""

from __future__ import annotations

from uninas_evo.contracts import Draft
from uninas_evo.strategies.base import Lag, SteadyState


class RandomSearch(SteadyState):
    """Composes every candidate afresh with uniform choices: in the UniNAS space, a restart from the preset.

    Results change nothing; the lag only bounds how many candidates are under way.
    """

    Options = Lag
    objectives_allowed = "any"

    def propose(self) -> Draft:
        """A sample, one that was not asked before where one is found."""
        return self.novel(self.sample)
