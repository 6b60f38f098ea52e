"""A space of one's own: a table of choices and a function that builds the network of some."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uninas_evo.contracts import Budget, Choose, Cost, Decision, Number, Shape
from uninas_evo.errors import BudgetError, GenomeError, SpaceError
from uninas_evo.spaces.choices.genome import Choices
from uninas_evo.spaces.choices.space import ChoiceSpace
from uninas_evo.spaces.choices.text import index_of, read_answers, write_choices

if TYPE_CHECKING:
    from torch import nn

Value = str | int | float | bool
When = Mapping[str, Mapping[str, Sequence[Value]]]
"""For each conditional choice, the choices that it hangs on and the values at which it counts."""


@dataclass(frozen=True)
class Whole:
    """A whole number from `low` to `high`; on a log scale equal ratios are equal steps."""

    low: int
    high: int
    log: bool = False


@dataclass(frozen=True)
class Real:
    """A real number from `low` to `high`; on a log scale equal ratios are equal steps."""

    low: float
    high: float
    log: bool = False


Table = Mapping[str, Sequence[Value] | Whole | Real]


class Chosen(Mapping[str, Any]):
    """A genome of a space of one's own: the value of every choice that counts, by name; immutable.

    Choices whose condition does not hold are absent, so that genomes of equal networks are equal.
    """

    __slots__ = ("_hash", "_values")

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = dict(values)
        self._hash = hash(tuple(self._values.items()))

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Chosen) and self._values == other._values

    def __reduce__(self) -> tuple[Any, ...]:
        """Hashes of strings differ from process to process: made anew."""
        return Chosen, (self._values,)

    def __repr__(self) -> str:
        return f"Chosen({', '.join(f'{name}={value!r}' for name, value in self.items())})"


@dataclass(frozen=True)
class _Entry:
    """A choice: its decision, and its values by index; None for a number, which knows its own."""

    decision: Decision
    values: tuple[Value, ...] | None

    def value(self, index: int) -> Value:
        if isinstance(self.decision, Number):
            return self.decision.value(index)
        return (self.values or ())[index]

    @property
    def example(self) -> str:
        return f"{self.decision.name} = {self.decision.options[0]}"

    def index(self, value: Any) -> int:
        return self.decision.index(str(value) if self.values is not None else repr(value))


class OwnSpace(ChoiceSpace[Chosen]):
    """All valid answers to a table of choices.

    Args:
        table: for each name the values to choose among, `Whole` or `Real`. Values of one choice are texts, numbers or
            truth values whose texts differ; numbers are taken as ordered.
        build: gives the `torch.nn.Module` of a `Chosen`.
        cost: gives the `Cost` of a `Chosen`, from a formula or by counting; equal ones are asked once.
        image: (C, H, W) of the images that the networks take.
        classes: outputs of the networks.
        when: conditions: ``{"heads": {"kind": ["attention"]}}`` has `heads` count where `kind` is "attention". A
            choice may hang on those before it, and counts where all of them do and have one of their values.
        valid: whether a `Chosen` is a network at all; everything is, by default.
        budget: bounds that no operator leaves.
        start: values where walks begin, by name; None for nowhere in particular.

    Raises:
        SpaceError: a name, value or condition is wrong, or no combination is valid.
        BudgetError: the start lies outside the budget.
    """

    def __init__(
        self,
        table: Table,
        build: Callable[[Chosen], nn.Module],
        cost: Callable[[Chosen], Cost],
        *,
        image: Shape,
        classes: int,
        when: When | None = None,
        valid: Callable[[Chosen], bool] | None = None,
        budget: Budget | None = None,
        start: Mapping[str, Value] | None = None,
    ) -> None:
        if not table:
            raise SpaceError("a space needs a choice, got an empty table; name one such as {'depth': [2, 3, 4]}")
        self.entries = tuple(_entry(name, given) for name, given in table.items())
        self.when = {name: {on: tuple(values) for on, values in (when or {})[name].items()} for name in when or {}}
        self._build, self._cost, self._valid = build, cost, valid
        self._costs: dict[Chosen, Cost] = {}
        _check_conditions(self.when, self.entries)
        super().__init__((entry.decision for entry in self.entries), image, classes, budget)
        if start is not None:
            self.start = self.started(start)
            if not self.admits(self.start):
                raise BudgetError(f"the start must be inside {self.budget}, it costs {self.cost(self.start)}; widen it")

    def genome(self, indices: Iterable[int]) -> Chosen:
        """The values of a list of indices, without those that do not count."""
        values: dict[str, Value] = {}
        for entry, index in zip(self.entries, indices, strict=True):
            if self._counts(entry.decision.name, values):
                values[entry.decision.name] = entry.value(index)
        return Chosen(values)

    def indices(self, genome: Chosen) -> Choices:
        """The index of each decision's value; 0 where it does not count."""
        return Choices(entry.index(genome[n]) if (n := entry.decision.name) in genome else 0 for entry in self.entries)

    def compose(self, choose: Choose) -> Chosen:
        """Asks for every decision that counts; what is invalid or outside the budget becomes a near genome inside."""
        values: dict[str, Value] = {}
        for decision, entry in zip(self.decisions, self.entries, strict=True):
            if self._counts(decision.name, values):
                values[decision.name] = entry.value(decision.index(choose(decision)))
        return self.nearest(self.canonical(Chosen(values)))

    def admits(self, genome: Chosen) -> bool:
        """Whether a genome is valid and inside the budget; what has no bound is not counted."""
        if self._valid is not None and not self._valid(genome):
            return False
        return self.budget == Budget() or super().admits(genome)

    def cost(self, genome: Chosen) -> Cost:
        """What the cost function gives, asked once, and what further costs give."""
        if genome not in self._costs:
            self._costs[genome] = self._cost(genome)
        return self.extended(genome, self._costs[genome])

    def build(self, genome: Chosen) -> nn.Module:
        """What the build function gives."""
        return self._build(genome)

    def nearest(self, genome: Chosen) -> Chosen:
        """A valid genome inside the budget that differs in few choices; the genome itself where it is one.

        Raises:
            BudgetError: none was found.
        """
        try:
            return super().nearest(genome)
        except BudgetError as error:
            raise error if self._valid is None else BudgetError(f"{error}, or let `valid` admit more") from None

    def encode(self, genome: Chosen) -> str:
        """The form, image and classes, and a line for each choice that counts."""
        counting = [entry.decision for entry in self.entries if entry.decision.name in genome]
        indices = [entry.index(genome[entry.decision.name]) for entry in self.entries if entry.decision.name in genome]
        return write_choices(self.form, self.settings(), counting, indices)

    def decode(self, text: str) -> Chosen:
        """The genome of a text.

        Raises:
            GenomeError: the text is not one of this space.
        """
        answers, values = read_answers(text, self.form, self.settings()), dict[str, Value]()
        for entry in self.entries:
            name = entry.decision.name
            if not self._counts(name, values):
                continue
            if name not in answers:
                raise GenomeError(f"the genome's choice {name!r} is missing; add a line such as '{entry.example}'")
            values[name] = entry.value(index_of(entry.decision, answers.pop(name)))
        if answers:
            raise GenomeError(f"{next(iter(answers))[:40]!r} is no choice here, or does not count; remove its line")
        genome = self.canonical(Chosen(values))
        if not (self._valid is None or self._valid(genome)):
            raise GenomeError(f"the space's `valid` refuses {genome}; change a choice")
        return genome

    @property
    def _is_listed(self) -> bool:
        """Never: a cost may be counted on a network that is built for it."""
        return False

    def _excess(self, genome: Chosen) -> float:
        """Infinite for what is invalid, of which nothing can be built."""
        if self._valid is not None and not self._valid(genome):
            return math.inf
        return 0.0 if self.budget == Budget() else super()._excess(genome)

    def _counts(self, name: str, values: Mapping[str, Value]) -> bool:
        """Whether a choice counts beside the values of those before it."""
        return all(on in values and values[on] in allowed for on, allowed in self.when.get(name, {}).items())

    def started(self, start: Mapping[str, Value]) -> Chosen:
        """The genome of the values of a start."""
        return self.answered(f"{name} = {value}" for name, value in start.items())

    def answered(self, lines: Iterable[str]) -> Chosen:
        """The genome of a text without its head: the lines of the choices that count.

        Raises:
            GenomeError: they are not those of a genome.
        """
        settings = (f"{key}: {value}" for key, value in self.settings().items())
        return self.decode("\n".join([self.form, *settings, *lines]))


def _entry(name: str, given: Sequence[Value] | Whole | Real) -> _Entry:
    if not re.fullmatch(r"[A-Za-z_][\w.-]*", name):
        raise SpaceError(f"the name of a choice is letters, digits, '_', '.' and '-', got {name!r}; rename it")
    if isinstance(given, Whole | Real):
        return _Entry(Number(name, given.low, given.high, log=given.log, whole=isinstance(given, Whole)), None)
    values = tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else ()
    texts = tuple(map(str, values))
    plain = all(isinstance(one, str | int | float) and (t := str(one)) == t.strip() and t for one in values)
    if not (values and plain and len(set(values)) == len(set(texts)) == len(values)) or "\n" in "".join(texts):
        raise SpaceError(
            f"the choice {name!r} needs a list of different texts, numbers or truth values, none empty or with spaces "
            f"at its ends, or Whole(low, high) or Real(low, high), got {given!r}; change it"
        )
    numbers = [one for one in values if isinstance(one, int | float) and not isinstance(one, bool)]
    return _Entry(Decision(name, texts, ordered=len(numbers) == len(values) and numbers == sorted(numbers)), values)


def _check_conditions(when: When, entries: Sequence[_Entry]) -> None:
    places = {entry.decision.name: place for place, entry in enumerate(entries)}
    for name, conditions in when.items():
        for on, allowed in conditions.items():
            if not places.get(on, len(places)) < places.get(name, -1):
                raise SpaceError(
                    f"when: a choice may hang on choices before it, and {name!r} hangs on {on!r}; the choices are "
                    f"{', '.join(places)}: rename one, or write them in another order"
                )
            known = entries[places[on]].values
            wrong = [one for one in allowed if known is not None and one not in known]
            if wrong or not allowed:
                raise SpaceError(
                    f"when: {name!r} hangs on values of {on!r}, which are {known}, got {list(allowed)}; change them"
                )
