"""Random search: independent samples of the space, the baseline that every search must beat."""

from __future__ import annotations

from uninas_evo.contracts import Draft
from uninas_evo.strategies.base import Lag, SteadyState


class RandomSearch(SteadyState):
    """Composes every candidate afresh with uniform choices: in the UniNAS space, a restart from the preset.

    How it searches: it does not; results change nothing, and the lag only bounds how many candidates are under way. A
    genome that was asked before is drawn again.

    When to use it: as the baseline of every comparison, and to fill a bank of networks without any bias.

    Args:
        space: is sampled.
        objectives: one or several; only recorded.
        seed: of all draws.
        options: `lag`, see `Lag`.

    Example:
        ```python
        from uninas_evo import Objective
        from uninas_evo.spaces.nasbench201.space import NASBench201Space
        from uninas_evo.strategies.random_search import RandomSearch

        strategy = RandomSearch(NASBench201Space(), [Objective("accuracy", "maximize")], seed=0)
        print(strategy.ask()[0].origin)  # sample
        ```
    """

    Options = Lag
    objectives_allowed = "any"

    def propose(self) -> Draft:
        """A sample, one that was not asked before where one is found."""
        return self.novel(self.sample)
