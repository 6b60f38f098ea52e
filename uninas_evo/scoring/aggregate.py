"""Several proxies as one objective, by rank aggregation against a fixed population of reference networks.

AZ-NAS (Lee & Ham, CVPR 2024, eq. 9) and VKDNW_agg (Tybl & Neumann, CVPR 2025) sum log(rank / T) of a network among the
T networks of a population. In a search the population grows, so that such a value would change after it was told,
and depend on what was scored before. Here the population is fixed: networks of a random walk from the start, drawn
from the run's seed. The share of them that a network beats is smoothed by a normal distribution, so that it goes on
growing beyond the best of them: Σ over proxies of log Φ((score − mean) / deviation), always below 0.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uninas_evo.contracts import Goal, Space
from uninas_evo.errors import ProxyError

REFERENCES = 24
"""Reference networks: their mean is known to a fifth of a deviation, at the price of as many scores a worker."""
STRIDE = 5
"""Search steps between two of them: fewer, and they are near copies of the start."""
_ENOUGH = 6


@dataclass(frozen=True)
class Scale:
    """Mean and deviation of each proxy over the reference networks."""

    mean: Mapping[str, float]
    deviation: Mapping[str, float]
    goals: Mapping[str, Goal]

    def value(self, scores: Mapping[str, float]) -> float:
        """Σ over proxies of log Φ of the standardized score; larger is better."""
        return sum(
            log_normal_share(
                (1 if goal == "maximize" else -1) * (scores[name] - self.mean[name]) / self.deviation[name]
            )
            for name, goal in self.goals.items()
        )


def scale_of(
    space: Space[Any], goals: Mapping[str, Goal], seed: int, score: Callable[[Any], Mapping[str, float]]
) -> Scale:
    """Scores the reference networks.

    Args:
        space: the walk goes through it, from its start and inside its budget.
        goals: the proxies, and which way each is better.
        seed: of the walk.
        score: the proxies' values of a genome.

    Raises:
        ProxyError: fewer than six of the networks can be scored.
    """
    rows = []
    for genome in references(space, seed):
        try:
            rows.append(score(genome))
        except ProxyError:
            continue
    if len(rows) < _ENOUGH:
        raise ProxyError(
            f"an aggregate needs {_ENOUGH} reference networks near the start, and the proxies {', '.join(goals)} could "
            f"score {len(rows)} of {REFERENCES}; leave out the proxy that fails"
        )
    columns = {name: [row[name] for row in rows] for name in goals}
    return Scale(
        {name: statistics.fmean(column) for name, column in columns.items()},
        {name: statistics.stdev(column) or 1.0 for name, column in columns.items()},
        goals,
    )


def references(space: Space[Any], seed: int) -> Sequence[Any]:
    """Networks of a random walk from the start, `STRIDE` steps from one to the next."""
    rng = random.Random(f"reference networks of {seed}")
    genome, found = space.start, []
    for _ in range(REFERENCES):
        for _ in range(STRIDE):
            genome = space.mutate(genome, rng) or genome
        found.append(genome)
    return found


def log_normal_share(z: float) -> float:
    """Log Φ(z): the log of a standard normal distribution's share below z, strictly growing from −38 to 38."""
    if z > 0:
        return math.log1p(-0.5 * math.erfc(z / math.sqrt(2)))
    return math.log(max(0.5 * math.erfc(-z / math.sqrt(2)), 5e-324))
