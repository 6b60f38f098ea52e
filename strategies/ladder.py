"""The ladder: evolution on short trainings, where a candidate's estimate decides who is trained longer.

Many candidates get the cheapest fidelity, the promising ones the next, few the full one. Its parts come from
successive halving (Jamieson & Talwalkar, AISTATS 2016), freeze-thaw estimates (Swersky et al., arXiv 1406.3896),
regularized evolution with predictors (White et al., BANANAS, AAAI 2021); their combination was measured on trained
networks (docs/truth.md).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pydantic

from uninas_evo.contracts import Draft, Objective, Reducible, Result, Space, Started
from uninas_evo.strategies.base import MOST, Lag, SteadyState
from uninas_evo.strategies.ladder_children import MODEL_NEEDS, Breeder, RidgeModel
from uninas_evo.strategies.ladder_estimate import Member, estimate


class LadderOptions(Lag):
    """Options of `ladder`."""

    starts: int = pydantic.Field(
        18,
        ge=1,
        le=MOST,
        description="first candidates: genomes that the space knows, samples where it knows fewer than `best`",
    )
    best: int = pydantic.Field(10, ge=1, le=MOST, description="members by estimate among which parents are drawn")
    tournament: int = pydantic.Field(
        3, ge=1, le=MOST, description="of these, drawn for each parent; the best one is taken"
    )
    window: int = pydantic.Field(
        48, ge=1, le=MOST, description="latest results of the lowest rung that a candidate is compared with to go up"
    )
    share: float = pydantic.Field(
        0.2,
        gt=0,
        le=1,
        description="best share of the window that may go up, and share of all that does; a fifth "
        "keeps most time for new ones",
    )
    upper_window: int = pydantic.Field(16, ge=1, le=MOST, description="the same for all rungs above")
    upper_share: float = pydantic.Field(0.34, gt=0, le=1, description="the same for all rungs above")
    inherit: bool = pydantic.Field(
        False,
        description="children start from the trained weights of their first parent, at the highest fidelity where it "
        "has a result; whoever goes up starts afresh, so that old lineages do not lead there by longer training",
    )


class Ladder(SteadyState):
    """Children of the best by estimate, each at the cheapest fidelity first.

    How it searches: it begins at the space's starts (presets that spend the budget, and their crosses), makes children
    of the best by several kinds of steps, whose shares follow their success, and evaluates each at the lowest rung. A
    genome's estimate joins all its results and its parents'; the promising ones go up a rung.

    When to use it: where a candidate can be evaluated cheaply first, above all by short trainings; it is how a network
    that trains better is searched for on a few cores.

    Children that compute the same as one before are never asked, where the space can tell.

    Args:
        space: builds and varies genomes; starts, further operators, features and reduced forms are used where it has
            them.
        objectives: exactly one.
        seed: of all draws.
        fidelities: how many the problem has; 0 or 1 for a search without rungs.
        options: see `LadderOptions`.

    Attributes:
        members: every genome that was asked, in order.
        breeder: the kinds of children, and how they fare.

    Example:
        ```python
        from uninas_evo import Objective
        from uninas_evo.spaces.nasbench201.space import NASBench201Space
        from uninas_evo.strategies.ladder import Ladder

        objectives = [Objective("accuracy", "maximize")]
        strategy = Ladder(NASBench201Space(), objectives, seed=0, fidelities=3)
        print(strategy.ask()[0].fidelity)  # 0
        ```
    """

    Options = LadderOptions
    options: LadderOptions
    objectives_allowed = "one"
    climbs: ClassVar[bool] = True

    def __init__(self, space: Space[Any], objectives: Sequence[Objective], *, seed: int, **options: Any) -> None:
        super().__init__(space, objectives, seed=seed, **options)
        self.members: list[Member] = []
        self._order: list[Member] = []
        self.breeder = Breeder(space, self.rng)
        self._by_number: dict[int, tuple[Member, int]] = {}
        self._latest = [
            deque[Member](maxlen=self.options.upper_window if rung else self.options.window)
            for rung in range(self.rungs)
        ]
        self._reduced: set[Any] = set()
        self._features: dict[int, Any] = {}
        self._starts = self._first()
        self.free = min(self.options.starts, max(len(self._starts), self.options.best))
        self._model: RidgeModel | None = None

    def propose(self) -> Draft:
        """A start, else whoever is due to go up, else a child."""
        if self._asked < self.free:
            start = next((one for one in self._starts if not self.asked(one)), None)
            return self._enter(self.novel(self.sample) if start is None else Draft(start, origin="start"))
        due = self._due()
        if due is not None:
            member, rung = due
            return self._at(rung, member, Draft(member.genome, (member.numbers[rung - 1],), "promote"))
        return self._enter(self.novel(self._bred))

    def learn(self, result: Result) -> None:
        """Takes a result into all estimates, and into the success of the kind that made the candidate."""
        member, rung = self._by_number[result.candidate.number]
        (member.values[rung],) = self.fitness(result)
        if rung == 0:
            rivals = sorted(one.values[0] for one in self._latest[0])
            quarter = rivals[3 * len(rivals) // 4] if rivals else -math.inf
            self.breeder.learn(member.kind, member.alive and member.values[0] >= quarter)
        self._latest[rung].append(member)
        estimate(self.members, self.rungs)
        self._order = sorted((one for one in self.members if one.alive), key=lambda one: -one.estimate)
        self._model = None

    def ranking(self) -> Sequence[int]:
        """The candidates at the full fidelity, by the estimates of their members."""
        return [one.numbers[self.rungs - 1] for one in self._order if self.rungs - 1 in one.values]

    def asked(self, genome: Any) -> bool:
        """Whether a genome was asked before, or one that computes the same."""
        return super().asked(genome) or (
            isinstance(self.space, Reducible) and self.space.reduced(genome) in self._reduced
        )

    def _first(self) -> list[Any]:
        if isinstance(self.space, Started):
            return list(self.space.starts())[: self.options.starts]
        return [] if self.space.start is None else [self.space.start]

    def _enter(self, draft: Draft) -> Draft:
        """A new member at the lowest rung."""
        parents = tuple(self._by_number[number][0] for number in draft.parents)
        member = Member(draft.genome, parents, draft.origin)
        self.members.append(member)
        if isinstance(self.space, Reducible):
            self._reduced.add(self.space.reduced(draft.genome))
        return self._at(0, member, draft)

    def _at(self, rung: int, member: Member, draft: Draft) -> Draft:
        member.numbers[rung] = self.next_number
        self._by_number[self.next_number] = member, rung
        return replace(draft, fidelity=None if rung == self.rungs - 1 else rung)

    def _due(self) -> tuple[Member, int] | None:
        """Who goes up, and to which rung: the best by estimate of those who may, highest rungs first."""
        for rung in reversed(range(self.rungs - 1)):
            share = self.options.upper_share if rung else self.options.share
            below = sum(rung in one.values for one in self.members)
            above = sum(rung + 1 in one.numbers for one in self.members)
            if above >= int(share * below):
                continue
            results = sorted(self._latest[rung], key=lambda one: -one.values[rung])
            leading = set(map(id, results[: int(share * len(results))]))
            for one in self._order:
                if id(one) in leading and rung + 1 not in one.numbers:
                    return one, rung + 1
        return None

    def _bred(self) -> Draft | None:
        best = self._order[: self.options.best]
        if not best:
            return None

        def pick() -> Member:
            drawn = self.rng.sample(range(len(best)), min(self.options.tournament, len(best)))
            return best[min(drawn)]

        made = self.breeder.child(pick, self._predicting())
        if made is None:
            return None
        kind, (genome, parents) = made
        numbers = tuple(max(one.numbers.values()) for one in parents)
        first = parents[0]
        inherits = first.numbers[max(first.values)] if self.options.inherit else None
        return Draft(genome, numbers, kind, inherits=inherits)

    def _predicting(self) -> RidgeModel | None:
        """The model of all estimates so far."""
        if self._model is None and len(self._order) >= MODEL_NEEDS:
            alive = [one for one in self.members if one.alive]
            self._model = RidgeModel(list(self._rows(alive)), [one.estimate for one in alive], self.space.features)
        return self._model

    def _rows(self, members: Sequence[Member]) -> Iterator[Any]:
        for one in members:
            if id(one) not in self._features:
                self._features[id(one)] = self.space.features(one.genome)
            yield self._features[id(one)]
