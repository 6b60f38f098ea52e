"""A decision: one question that composing a genome asks, with everything it can be answered by."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from uninas_evo.errors import SpaceError

GRID = 9
"""Points of a number's grid, for searches that know options only: every half octave from 16 to 256, and few enough to
learn a probability for each."""
FINE = 10_000
"""Steps of a real number's scale, so that equal values are equal genomes: 0.1 percent from 1e-5 to 1e-1 on a log scale,
below what scores can tell."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A choice among named options.

    Attributes:
        name: what is decided; the options of a name never change.
        options: at least one text, no two alike.
        ordered: whether neighbors in `options` are alike, as widths and depths are and kinds of operations are not.
    """

    name: str
    options: tuple[str, ...]
    ordered: bool = False

    @property
    def size(self) -> int:
        """How many answers there are, the indices 0 to size − 1."""
        return len(self.options)

    def text(self, index: int) -> str:
        """The answer of an index."""
        return self.options[index]

    def index(self, text: str) -> int:
        """The index of an answer.

        Raises:
            ValueError: it is none.
        """
        return self.options.index(text)

    def draw(self, rng: random.Random) -> str:
        """A uniform answer."""
        return rng.choice(self.options)

    def describe(self) -> str:
        """What an answer must be, for messages."""
        return f"one of {', '.join(self.options)}"


@dataclass(frozen=True, slots=True)
class Number(Decision):
    """A number between bounds, which searches that can draw from the whole range: widths, learning rates.

    Its answers are texts of numbers; `options` is a grid of `GRID` of them, for searches that know options only.

    Args:
        name: what is decided.
        low: the least answer.
        high: the greatest answer.
        log: whether equal ratios are equal steps, which needs a positive `low`.
        whole: whether answers are whole numbers.

    Raises:
        SpaceError: the bounds are not finite, not in order, not whole, or not positive on a log scale.
    """

    options: tuple[str, ...] = field(init=False)
    ordered: bool = field(init=False, default=True)
    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        finite = math.isfinite(self.low) and math.isfinite(self.high)
        whole = not self.whole or (float(self.low).is_integer() and float(self.high).is_integer())
        if not (finite and whole and self.low < self.high and (self.low > 0 or not self.log)):
            raise SpaceError(
                f"the range of {self.name!r} needs finite bounds low < high, whole ones of a whole number, and low > 0 "
                f"on a log scale; got low={self.low}, high={self.high}, log={self.log}, whole={self.whole}; change it"
            )
        places = (self.at(place / (GRID - 1)) for place in range(GRID))
        listed = range(self.size) if self.size <= GRID else dict.fromkeys(places)
        object.__setattr__(self, "options", tuple(map(self.text, listed)))

    @property
    def size(self) -> int:
        """How many answers there are: the whole numbers, or `FINE` steps of the scale and one more."""
        return int(self.high - self.low) + 1 if self.whole else FINE + 1

    def value(self, index: int) -> float:
        """The number of an index."""
        if self.whole:
            return int(self.low) + index
        # As many digits as tell neighbors apart: powers differ in their last one from machine to machine.
        digits = 6 + max(0, math.ceil(math.log10(max(abs(self.low), abs(self.high)) / (self.high - self.low))))
        return min(max(float(f"{self._from_scale(index / FINE):.{digits}g}"), self.low), self.high)

    def place(self, index: int) -> float:
        """Where an index lies on the scale, from 0 for `low` to 1 for `high`."""
        return self._to_scale(self.value(index)) if self.whole else index / FINE

    def at(self, place: float) -> int:
        """The index nearest to a place on the scale."""
        if not self.whole:
            return round(place * FINE)
        return min(max(round(self._from_scale(place)) - int(self.low), 0), self.size - 1)

    def text(self, index: int) -> str:
        """The shortest text of the number of an index."""
        return repr(self.value(index))

    def index(self, text: str) -> int:
        """The index nearest to the number of a text.

        Raises:
            ValueError: it is no number, or none of the range.
        """
        value = int(text) if self.whole else float(text)
        if not self.low <= value <= self.high:
            raise ValueError(text)
        return int(value - self.low) if self.whole else self.at(self._to_scale(value))

    def draw(self, rng: random.Random) -> str:
        """A number of the whole range, uniform on the scale."""
        return self.text(self.at(rng.random()))

    def describe(self) -> str:
        """What an answer must be, for messages."""
        return f"a {'whole ' if self.whole else ''}number from {self.low:g} to {self.high:g}"

    def _to_scale(self, value: float) -> float:
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def _from_scale(self, place: float) -> float:
        if self.log:
            return float(self.low * (self.high / self.low) ** place)
        return self.low + (self.high - self.low) * place


Choose = Callable[[Decision], str]
"""Answers a decision with one of its options, or a number with any text of its range: the one way in for everything
that samples.

A random generator, an Optuna trial, a policy and a supernet's path all answer the same calls.
"""
