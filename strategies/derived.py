"""What a learner of shared weights prefers, scored by whatever the problem's objectives are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import Field

from uninas_evo.contracts import Draft, Result, StopSearch
from uninas_evo.errors import StrategyError
from uninas_evo.strategies.base import SearchStrategy, StrategyOptions


class DerivedOptions(StrategyOptions):
    """The settings of `derived`."""

    samples: int = Field(0, ge=0, description="draws of the policy behind the genome that it derives")


class Derived(SearchStrategy):
    """Asks for the genome that a learner derived, then for draws of its policy, and stops.

    How it searches: the search was done by the learner, before the first ask. Results change nothing. A draw that was
    asked before is asked again: how often a genome is drawn is what the policy says about it.

    When to use it: with a learner that has a policy (`darts`, `gumbel`, `gdas`, `proxyless`, `unas`, `enas`), to score
    what it found by an objective of any kind, such as `train`, or the accuracy of a benchmark's table.

    Args:
        space: the learner's.
        objectives: one or several; only recorded.
        seed: of the draws.
        options: `samples`, see `DerivedOptions`.

    Raises:
        StrategyError: nothing was learned before the first ask.

    Example:
        ```python
        import random

        from uninas_evo import Objective
        from uninas_evo.spaces.nasbench201.space import NASBench201Space
        from uninas_evo.strategies.derived import Derived


        class Table:
            def derive(self):
                return self.sample(random.Random(1))

            def sample(self, rng):
                return NASBench201Space().sample(rng)


        strategy = Derived(NASBench201Space(), [Objective("accuracy", "maximize")], seed=0, samples=3)
        strategy.learner = Table()
        print([draft.origin for draft in strategy.ask()])  # derived, sample, sample, sample
        ```
    """

    Options = DerivedOptions
    options: DerivedOptions
    objectives_allowed = "any"
    asks_learned = True
    repeats_end = None

    def ask(self) -> Sequence[Draft]:
        """All at once.

        Raises:
            StopSearch: they were asked.
        """
        if self._asked:
            raise StopSearch("everything that the learner derived, and all draws of its policy, were asked")
        return self._register(self._drafts())

    def tell(self, results: Sequence[Result]) -> None:
        """Results change nothing."""
        self._receive(results)

    def _drafts(self) -> Iterator[Draft]:
        if self.learner is None:
            raise StrategyError(
                "derived asks for what a learner's policy prefers, and nothing was learned; set its attribute "
                "`learner`, or name it in a run file with [problem.supernet]"
            )
        yield Draft(self.learner.derive(), origin="derived")
        for _ in range(self.options.samples):
            yield Draft(self.learner.sample(self.rng))
