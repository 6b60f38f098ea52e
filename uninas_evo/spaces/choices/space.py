"""The base of spaces whose genomes answer a fixed list of decisions: cells, stages, layers of a mobile network.

Operators act on the indices of the options. Genomes are canonical: of several lists of choices that give the same
network, `canonical` names one, and every operator returns that one.
"""

from __future__ import annotations

import copy
import heapq
import itertools
import math
import random
from abc import abstractmethod
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Generic, Self, cast

from typing_extensions import TypeVar

from uninas_evo.contracts import Budget, Choose, Cost, Decision, Number, Shape, Space
from uninas_evo.errors import BudgetError, SpaceError
from uninas_evo.spaces.choices.genome import Choices
from uninas_evo.spaces.choices.numbers import crossed, mutated
from uninas_evo.spaces.choices.text import read_choices, write_choices

C = TypeVar("C", bound=Hashable, default=Choices)

ENUMERABLE = 2**15
"""Spaces of at most so many combinations are listed whole to find the genome nearest to one outside the budget: half a
second of cost formulas, once. NAS-Bench-201 has 15,625."""
REPAIRS = 300
"""How many genomes a repair in a larger space may change in turn. A random genome at twice its budget needs five to
twenty; the rest is for plateaus, where no single change lowers the excess."""
DRAWS = 4
"""Mutants of a number among the changes that a mutation draws from: as likely as a choice of five options."""


class ChoiceSpace(Space[C], Generic[C]):
    """All answers to a list of decisions inside a budget; a subclass adds `cost` and `build`.

    Args:
        decisions: what a genome decides, in the order of its indices; names differ.
        image: (C, H, W) of the images that the networks take.
        classes: outputs of the networks.
        budget: bounds that no operator leaves; none by default.
        start: where walks begin; None for nowhere in particular.

    Attributes:
        form: the first line of the texts of its genomes, such as ``"toy 1"``: a name and the version of the text.

    Raises:
        SpaceError: two decisions share a name, or one has no option.
        BudgetError: the start lies outside the budget.
    """

    form: str = "choices 1"

    def __init__(
        self,
        decisions: Iterable[Decision],
        image: Shape,
        classes: int,
        budget: Budget | None = None,
        start: C | None = None,
    ) -> None:
        self.decisions = tuple(decisions)
        self.image, self.classes = image, classes
        self.budget = budget or Budget()
        names = [decision.name for decision in self.decisions]
        wrong = [d.name for d in self.decisions if not d.options or names.count(d.name) > 1]
        if wrong:
            raise SpaceError(
                f"each decision needs a name of its own and at least one option, got {wrong[0]!r} "
                f"{names.count(wrong[0])} times; rename it or give it options"
            )
        if start is not None and not self.admits(start):
            raise BudgetError(
                f"the start must be inside {self.budget}, it costs {self.cost(start)}; "
                "widen the budget or start elsewhere"
            )
        self.start = start

    @abstractmethod
    def cost(self, genome: C) -> Cost:
        """Exact parameters and FLOPs, from formulas; ends with `return self.extended(genome, cost)`."""

    def genome(self, indices: Iterable[int]) -> C:
        """The genome of a list of indices; a subclass with a genome class of its own overrides it."""
        return cast(C, Choices(indices))

    def indices(self, genome: C) -> Choices:
        """The index of each decision's option; overridden with `genome` where genomes are no `Choices`."""
        return cast(Choices, genome)

    def canonical(self, genome: C) -> C:
        """The one genome that stands for all that give the same network: `genome` itself by default.

        A subclass sets decisions that do not matter (layers beyond the depth) to the first option, and orders what
        has no order (the two inputs of a node). Applied twice it must change nothing more.
        """
        return genome

    def with_budget(self, budget: Budget) -> Self:
        """The same space inside another budget, begun at the admitted genome nearest to this start."""
        other = copy.copy(self)
        other.__dict__.pop("genomes", None)
        other.budget = budget
        other.start = None if self.start is None else other.nearest(self.start)
        return other

    def admits(self, genome: C) -> bool:
        """Whether a genome's costs lie within the budget."""
        return self.budget.admits(self.cost(genome))

    @property
    def count(self) -> int:
        """How many combinations of options there are, inside the budget or not, before `canonical` unites any.

        A number counts by the options of its grid.
        """
        return math.prod(len(decision.options) for decision in self.decisions)

    @cached_property
    def genomes(self) -> tuple[C, ...]:
        """Every genome inside the budget, in the order of the options.

        Raises:
            SpaceError: the space has more than `ENUMERABLE` combinations.
        """
        if self.count > ENUMERABLE:
            raise SpaceError(
                f"only spaces of at most {ENUMERABLE:,} combinations are listed, this one has {self.count:,}; "
                "sample it instead"
            )
        every = map(self.genome, itertools.product(*(map(d.index, d.options) for d in self.decisions)))
        return tuple(filter(self.admits, dict.fromkeys(map(self.canonical, every))))

    def nearest(self, genome: C) -> C:
        """A genome inside the budget that differs in few decisions; the genome itself where it is inside.

        In a space that can be listed it differs in the fewest possible; in a larger one changes are made one by one,
        each time to the genome of least excess. The same genome always gives the same one.

        Raises:
            BudgetError: none was found.
        """
        if self.admits(genome):
            return genome
        if not self._is_listed:
            return self._repaired(genome)
        if not self.genomes:
            raise BudgetError(f"no genome of {type(self).__name__} is inside {self.budget}; widen the budget")
        return min(self.genomes, key=lambda inside: self._distance(inside, genome))

    @property
    def _is_listed(self) -> bool:
        """Whether the nearest genome is found among all: there are few, and costs are formulas."""
        return self.count <= ENUMERABLE and not self._fine

    def compose(self, choose: Choose) -> C:
        """Asks for every decision in turn; a genome outside the budget becomes the nearest one inside."""
        indices = [decision.index(choose(decision)) for decision in self.decisions]
        return self.nearest(self.canonical(self.genome(indices)))

    def mutate(self, genome: C, rng: random.Random) -> C | None:
        """Another option for one decision, uniform over all that change the network and are inside the budget.

        Numbers that have more answers than options change by polynomial mutation, `DRAWS` draws each.
        """
        changes = [*self._changes(genome, self._fine), *self._moves(genome, rng)]
        rng.shuffle(changes)
        for position, index in changes:
            child = self.canonical(self.genome(self.indices(genome).replaced(position, index)))
            if child != genome and self.admits(child):
                return child
        return None

    def crossover(self, a: C, b: C, rng: random.Random) -> C | None:
        """Uniform crossover: each decision from either parent; None where the child is outside the budget.

        Numbers that have more answers than options are crossed by simulated binary crossover.
        """
        pairs = enumerate(zip(self.indices(a), self.indices(b), strict=True))
        child = self.canonical(
            self.genome(
                crossed(self._fine[place], *pair, rng) if place in self._fine else rng.choice(pair)
                for place, pair in pairs
            )
        )
        return child if self.admits(child) else None

    def features(self, genome: C) -> Mapping[str, float]:
        """The costs, and of each decision the index of its option, or a 0 or 1 for each one that is not ordered.

        Numbers are places from 0 to 1 on their scale.
        """
        numbers: dict[str, float] = {}
        for decision, chosen in zip(self.decisions, self.indices(genome), strict=True):
            if isinstance(decision, Number):
                numbers[decision.name] = decision.place(chosen)
            elif decision.ordered:
                numbers[decision.name] = float(chosen)
            else:
                numbers |= {f"{decision.name}={o}": float(i == chosen) for i, o in enumerate(decision.options)}
        return numbers | dict(self.cost(genome))

    def settings(self) -> Mapping[str, str]:
        """What a text says of the space itself, by name; two spaces of equal settings read each other's texts."""
        return {"image": " ".join(map(str, self.image)), "classes": str(self.classes)}

    def encode(self, genome: C) -> str:
        """The form, the settings, and a line per decision (see `uninas_evo.spaces.choices.text`)."""
        return write_choices(self.form, self.settings(), self.decisions, self.indices(genome))

    def decode(self, text: str) -> C:
        """The genome of a text.

        Raises:
            GenomeError: the text is not one of this space.
        """
        return self.canonical(self.genome(read_choices(text, self.form, self.settings(), self.decisions)))

    @cached_property
    def _fine(self) -> Mapping[int, Number]:
        """The numbers that have more answers than options, by their position."""
        return {
            place: decision
            for place, decision in enumerate(self.decisions)
            if isinstance(decision, Number) and decision.size > len(decision.options)
        }

    def _changes(self, genome: C, but: Collection[int] = ()) -> Iterator[tuple[int, int]]:
        """(position, index) of every single change to another option, but at some positions."""
        for position, (decision, chosen) in enumerate(zip(self.decisions, self.indices(genome), strict=True)):
            if position not in but:
                options = map(decision.index, decision.options) if position in self._fine else range(decision.size)
                yield from ((position, index) for index in options if index != chosen)

    def _moves(self, genome: C, rng: random.Random) -> Iterator[tuple[int, int]]:
        """(position, index) of mutated numbers."""
        for position, number in self._fine.items():
            chosen = self.indices(genome)[position]
            yield from ((position, mutated(number, chosen, rng)) for _ in range(DRAWS))

    def _repaired(self, genome: C) -> C:
        """Best-first search over single changes, by excess and then by the number of changed decisions."""
        waiting = [(self._excess(genome), 0, self.indices(genome), genome)]
        seen = {genome}
        for _ in range(REPAIRS):
            if not waiting:
                break
            excess, _, _, best = heapq.heappop(waiting)
            if excess <= 0 and self.admits(best):
                return best
            for position, index in self._changes(best):
                child = self.canonical(self.genome(self.indices(best).replaced(position, index)))
                if child not in seen:
                    seen.add(child)
                    entry = (
                        self._excess(child),
                        self._distance(child, genome),
                        self.indices(child),
                        child,
                    )
                    heapq.heappush(waiting, entry)
        raise BudgetError(
            f"no genome of {type(self).__name__} inside {self.budget} was found in {REPAIRS} changes; widen the budget"
        )

    def _excess(self, genome: C) -> float:
        """By how much a genome lies outside."""
        return self.budget.excess(self.cost(genome))

    def _distance(self, a: C, b: C) -> int:
        """How many decisions differ."""
        return sum(mine != other for mine, other in zip(self.indices(a), self.indices(b), strict=True))
