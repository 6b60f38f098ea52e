"""Searches that give many genomes a little and few of them much: successive halving, Hyperband, ASHA.

Sources: Jamieson & Talwalkar, "Non-stochastic Best Arm Identification", AISTATS 2016, arXiv 1502.07943 (halving);
Li et al., "Hyperband", JMLR 18, 2018, arXiv 1603.06560, Algorithm 1; Li et al., "A System for Massively Parallel
Hyperparameter Tuning", MLSys 2020, arXiv 1810.05934, Algorithm 2 (ASHA).

Rungs are the problem's fidelities, so that their costs are what the run file says. Genomes are samples of the space,
as in the papers. A problem without fidelities makes each of these a random search.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pydantic

from uninas_evo.contracts import Candidate, Draft, Objective, Result, Space
from uninas_evo.strategies.base import MOST, Generational, Lag, SteadyState, StrategyOptions

ETA = 3
"""The papers' default, and near the best in theory (e)."""


class HalvingOptions(StrategyOptions):
    """Options of `halving` and `hyperband`."""

    eta: int = pydantic.Field(ETA, ge=2, description="one of so many goes up a rung; 3 is the papers' default")
    width: int = pydantic.Field(
        4,
        ge=1,
        le=MOST,
        description="how many times the samples of the papers' brackets: 4 keep as many workers busy at the top",
    )


class AshaOptions(Lag):
    """Options of `asha`."""

    eta: int = pydantic.Field(ETA, ge=2, description="the best of so many at a rung goes up; 3 is the papers' default")


class Halving(Generational):
    """Successive halving, again and again: a bracket of samples, of which the best 1/η go up at each rung.

    How it searches: it samples, and spends more on the better ones only; nothing is bred.

    When to use it: as the plain baseline of searches by rungs, where the cheapest fidelity ranks well.

    A bracket begins with as many samples as leave `width` at the full fidelity.

    Args:
        space: is sampled.
        objectives: exactly one.
        seed: of all draws.
        fidelities: how many the problem has.
        options: see `HalvingOptions`.

    Example:
        ```python
        from uninas_evo import Objective
        from uninas_evo.spaces.nasbench201.space import NASBench201Space
        from uninas_evo.strategies.rungs import Halving

        objectives = [Objective("accuracy", "maximize")]
        strategy = Halving(NASBench201Space(), objectives, seed=0, fidelities=2)
        print(strategy.ask()[0].fidelity)  # 0
        ```
    """

    Options = HalvingOptions
    options: HalvingOptions
    objectives_allowed = "one"
    climbs: ClassVar[bool] = True

    def __init__(self, space: Space[Any], objectives: Sequence[Objective], *, seed: int, **options: Any) -> None:
        super().__init__(space, objectives, seed=seed, **options)
        self._rising: list[Candidate] = []
        self._rung = 0
        self._brackets = 0

    def breed(self) -> Iterator[Draft]:
        """Those that go up, or the samples of a new bracket."""
        if self._rising:
            self._rung += 1
            for one in self._rising:
                yield Draft(one.genome, (one.number,), "promote", _fidelity(self._rung, self.rungs))
            return
        self._rung, count = self.bracket(self._brackets)
        self._brackets += 1
        for _ in range(count):
            yield _at(self.novel(self.sample), self._rung, self.rungs)

    def bracket(self, number: int) -> tuple[int, int]:
        """The lowest rung of a bracket and how many samples it begins with."""
        return 0, self.options.width * self.options.eta ** (self.rungs - 1)

    def select(self, results: Sequence[Result]) -> None:
        """The best 1/η of a rung go up; failures never do."""
        count = len(results) // self.options.eta if self._rung < self.rungs - 1 else 0
        self._rising = [one.candidate for one in _ordered(results, self.fitness)[:count]]


class Hyperband(Halving):
    """Brackets of successive halving that begin at each rung in turn: it hedges against a low rung that misleads.

    When to use it: where it is not known how well the cheapest fidelity ranks.

    Bracket s begins at rung R − 1 − s with ⌈R · η^s / (s + 1)⌉ samples (Algorithm 1), R being the rungs,
    times `width`.

    Example:
        ```python
        from uninas_evo import Objective
        from uninas_evo.spaces.nasbench201.space import NASBench201Space
        from uninas_evo.strategies.rungs import Hyperband

        objectives = [Objective("accuracy", "maximize")]
        strategy = Hyperband(NASBench201Space(), objectives, seed=0, fidelities=2)
        print(strategy.ask()[0].fidelity)  # 0
        ```
    """

    def bracket(self, number: int) -> tuple[int, int]:
        """The most exploring bracket first."""
        s = self.rungs - 1 - number % self.rungs
        return self.rungs - 1 - s, self.options.width * -(-self.rungs * self.options.eta**s // (s + 1))


@dataclass
class _Rung:
    results: list[Result] = field(default_factory=list)
    risen: set[int] = field(default_factory=set)


class Asha(SteadyState):
    """Asynchronous successive halving: whoever is in the best 1/η of a rung goes up, else a new sample is asked.

    How it searches: as `halving`, without waiting for a rung to be full.

    When to use it: with many workers, or where evaluations differ widely in time.

    What goes up when candidate k is asked depends on the results up to k − lag alone, so that the workers' speed
    changes nothing.

    Args:
        space: is sampled.
        objectives: exactly one.
        seed: of all draws.
        fidelities: how many the problem has.
        options: see `AshaOptions`.

    Example:
        ```python
        from uninas_evo import Objective
        from uninas_evo.spaces.nasbench201.space import NASBench201Space
        from uninas_evo.strategies.rungs import Asha

        objectives = [Objective("accuracy", "maximize")]
        strategy = Asha(NASBench201Space(), objectives, seed=0, fidelities=2)
        print(strategy.ask()[0].fidelity)  # 0
        ```
    """

    Options = AshaOptions
    options: AshaOptions
    objectives_allowed = "one"
    climbs: ClassVar[bool] = True

    def __init__(self, space: Space[Any], objectives: Sequence[Objective], *, seed: int, **options: Any) -> None:
        super().__init__(space, objectives, seed=seed, **options)
        self._rungs = [_Rung() for _ in range(self.rungs)]

    def propose(self) -> Draft:
        """Who is due to go up, highest rungs first; else a sample."""
        for level in reversed(range(self.rungs - 1)):
            rung = self._rungs[level]
            best = _ordered(rung.results, self.fitness)[: len(rung.results) // self.options.eta]
            due = next((one.candidate for one in best if one.candidate.number not in rung.risen), None)
            if due is not None:
                rung.risen.add(due.number)
                return Draft(due.genome, (due.number,), "promote", _fidelity(level + 1, self.rungs))
        return _at(self.novel(self.sample), 0, self.rungs)

    def learn(self, result: Result) -> None:
        """A result joins its rung."""
        fidelity = result.candidate.fidelity
        self._rungs[self.rungs - 1 if fidelity is None else fidelity].results.append(result)


def _ordered(results: Sequence[Result], fitness: Any) -> list[Result]:
    """Results that have values, best first; of equals the one asked first."""
    ok = [one for one in results if fitness(one) > (float("-inf"),)]
    return sorted(ok, key=lambda one: (-fitness(one)[0], one.candidate.number))


def _at(draft: Draft, rung: int, rungs: int) -> Draft:
    return Draft(draft.genome, draft.parents, draft.origin, _fidelity(rung, rungs))


def _fidelity(rung: int, rungs: int) -> int | None:
    """What a draft's fidelity is at a rung: the highest one is the full fidelity."""
    return None if rung == rungs - 1 else rung
