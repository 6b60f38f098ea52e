"""How good candidates are, estimated from all rungs: normal posteriors with the parents' estimates as priors.

A single result of a short training is lucky by more than the candidates differ by. So nobody is ranked by one: each
rung's results are translated into the top rung's units by a line that is fitted as data comes, weighted by the rung's
noise, and shrunk toward what the parents promise. Rungs may have units of their own, such as a score that needs no
training.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

PRIOR = 1.0
"""Deviation of a child from what its parents promise, in spreads of the lowest rung: 1.5 points in the measurement
that the design comes from, where children of a rung spread by 1.5."""
DROP = 0.8
"""By how many spreads a child is expected below its parents: most edits harm (1 to 1.5 points there)."""
NOISE = 1.2
"""Noise of the lowest rung in its spreads, where nothing was measured yet: 1.8 points there."""
WEIGHT = 4
"""Pairs of results that the defaults of a fit are worth."""


@dataclass(eq=False)
class Member:
    """A genome of the search.

    Attributes:
        genome: what it is.
        parents: the members that it was made from.
        kind: the operator that made it.
        numbers: rung -> its candidate there.
        values: rung -> its result there, greater is better; minus infinity for a failure.
        estimate: what it is expected to reach at the top rung; minus infinity where it failed or has no result.
    """

    genome: Any
    parents: tuple[Member, ...]
    kind: str
    numbers: dict[int, int] = field(default_factory=dict)
    values: dict[int, float] = field(default_factory=dict)
    estimate: float = -math.inf

    @property
    def alive(self) -> bool:
        """Whether it has results and never failed."""
        return bool(self.values) and all(map(math.isfinite, self.values.values()))


@dataclass(frozen=True)
class Line:
    """Translates a rung's values into the next one's: offset + slope · value, with the variance around it."""

    offset: float = 0.0
    slope: float = 1.0
    variance: float = 0.0


def estimate(members: Sequence[Member], rungs: int) -> None:
    """Sets the estimates of all members, which stand after their parents."""
    alive = [one for one in members if one.alive]
    spread = spread_of([one.values[0] for one in alive if 0 in one.values])
    lines = [fit(alive, rung, spread if rung == 0 else None) for rung in range(rungs - 1)]
    noise = _noise(lines, spread)
    unit = spread * math.prod(line.slope for line in lines)
    readings = {id(one): _readings(one, lines) for one in alive}
    first = [reading[min(reading)] for reading in readings.values()]
    center = statistics.fmean(first) if first else 0.0
    for one in members:
        if not one.alive:
            one.estimate = -math.inf
            continue
        known = [parent.estimate for parent in one.parents if parent.alive]
        mean = statistics.fmean(known) - DROP * unit if known else center
        deviation = PRIOR * unit if known else 3 * PRIOR * unit
        one.estimate = posterior(mean, deviation**2, ((y, noise[r]) for r, y in readings[id(one)].items()))


def posterior(mean: float, variance: float, readings: Iterable[tuple[float, float]]) -> float:
    """The mean of a normal distribution after independent readings of (value, variance)."""
    weight = 1 / variance
    total = mean * weight
    for value, own in readings:
        total += value / own
        weight += 1 / own
    return total / weight


def spread_of(values: Sequence[float]) -> float:
    """Half of what the middle two thirds span, which is a normal's deviation and heeds no outlier; 1 for too few."""
    if len(values) < 4:
        return 1.0
    ordered = sorted(values)
    low, high = ordered[len(ordered) // 6], ordered[len(ordered) - 1 - len(ordered) // 6]
    return (high - low) / 2 or 1.0


def fit(alive: Sequence[Member], rung: int, spread: float | None) -> Line:
    """The line from a rung to the next one, by least squares drawn toward a slope that keeps the spread."""
    pairs = [(one.values[rung], one.values[rung + 1]) for one in alive if {rung, rung + 1} <= one.values.keys()]
    if not pairs:
        return Line(variance=(NOISE * (1.0 if spread is None else spread)) ** 2)
    x, y = (statistics.fmean(column) for column in zip(*pairs, strict=True))
    xx = sum((a - x) ** 2 for a, _ in pairs)
    yy = sum((b - y) ** 2 for _, b in pairs)
    xy = sum((a - x) * (b - y) for a, b in pairs)
    kept = math.sqrt(yy / xx) if len(pairs) > 2 and xx > 0 and yy > 0 else 1.0
    share = WEIGHT / (WEIGHT + len(pairs))
    slope = share * kept + (1 - share) * max(xy, 0.1 * kept * xx) / xx if xx > 0 else kept
    left = sum((b - y - slope * (a - x)) ** 2 for a, b in pairs)
    default = (NOISE * slope * (spread or spread_of([a for a, _ in pairs]))) ** 2
    return Line(y - slope * x, slope, (left + WEIGHT * default) / (len(pairs) + WEIGHT))


def _readings(one: Member, lines: Sequence[Line]) -> dict[int, float]:
    """Rung -> what a result there says in the top rung's units."""
    found = {}
    for rung, value in one.values.items():
        for line in lines[rung:]:
            value = line.offset + line.slope * value  # noqa: PLW2901 - step by step up
        found[rung] = value
    return found


def _noise(lines: Sequence[Line], spread: float) -> list[float]:
    """The variance of each rung's readings in the top rung's units.

    What two rungs' results of a member differ by holds the noise of both; between the two highest, the upper one is
    taken to have two fifths of it.
    """
    if not lines:
        return [(NOISE / 2 * spread) ** 2]
    found = [0.4 * lines[-1].variance]
    scale = 1.0
    for line in reversed(lines):
        found.insert(0, max(line.variance * scale - found[0], found[0]))
        scale *= line.slope**2
    return found
