"""Several proxies as one objective, by rank aggregation against a fixed population of reference networks.

AZ-NAS (Lee & Ham, CVPR 2024, eq. 9) and VKDNW_agg (Tybl & Neumann, CVPR 2025) sum log(rank / T) of a network among the
T networks of a population. In a search the population grows, so that such a value would change after it was told,
and depend on what was scored before. Here the population is fixed: networks of a random walk from the start, drawn
from the run's seed. The share of them that a network beats is smoothed by a normal distribution, so that it goes on
growing beyond the best of them: Σ over proxies of log Φ((score − mean) / deviation), always below 0.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from uninas_evo.contracts import Goal, Objective, Progress, Scorer, Space, Subject
from uninas_evo.errors import ProxyError
from uninas_evo.files import write_text
from uninas_evo.scoring.subject import GenomeSubject

REFERENCES = 24
"""Reference networks: their mean is known to a fifth of a deviation, at the price of as many scores a run."""
STRIDE = 5
"""Search steps between two of them: fewer, and they are near copies of the start."""
_ENOUGH = 6
FILE_NAME = "aggregate.json"
"""Where a run folder keeps the scale."""


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


class AggregateScorer(Scorer):
    """Joins the values of other scorers into `aggregate`.

    Args:
        scorers: whose values are joined; no others are computed for the reference networks.
        goals: the joined values, and which way each is better.
    """

    objectives = (Objective("aggregate", "maximize"),)

    def __init__(self, scorers: Sequence[Scorer], goals: Mapping[str, Goal]) -> None:
        self.scorers, self.goals = tuple(scorers), dict(goals)
        self.scale: Scale | None = None
        self.canonical = all(scorer.canonical for scorer in self.scorers)

    def prepare(self, space: Space[Any], device: str) -> None:
        """Prepares the joined scorers."""
        for scorer in self.scorers:
            scorer.prepare(space, device)

    def make_ready(self, space: Space[Any], seed: int, folder: Path | None, device: str, progress: Progress) -> None:
        """Scores the reference networks, or reads the scale that the run folder keeps."""
        file = None if folder is None else folder / FILE_NAME
        self.scale = self.scale or self._kept(file) or self._scaled(space, seed, device, progress)
        text = json.dumps(asdict(self.scale), indent=2) + "\n"
        self.prepared = hashlib.sha256(text.encode()).hexdigest()
        if file is not None:
            write_text(file, text)

    def _kept(self, file: Path | None) -> Scale | None:
        """The scale of a file, None where there is none, or one of other proxies."""
        try:
            kept = json.loads(file.read_text(encoding="utf-8")) if file is not None else {}
            mean, deviation = ({n: float(kept[side][n]) for n in self.goals} for side in ("mean", "deviation"))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return Scale(mean, deviation, self.goals) if kept.get("goals") == self.goals else None

    def _scaled(self, space: Space[Any], seed: int, device: str, progress: Progress) -> Scale:
        progress(f"scoring {REFERENCES} reference networks of the aggregate")

        def scores(genome: Any) -> Mapping[str, float]:
            return self._scores(GenomeSubject(genome, space, seed), device)

        return scale_of(space, self.goals, seed, scores)

    def _scores(self, subject: Subject, device: str) -> dict[str, float]:
        return {name: value for one in self.scorers for name, value in subject.scored(one, device).items()}

    def score(self, subject: Subject, device: str) -> Mapping[str, float]:
        """`aggregate`, and the values that it joins."""
        if self.scale is None:
            raise ProxyError("the aggregate's reference networks were not scored; call make_ready of its problem first")
        values = self._scores(subject, device)
        return values | {"aggregate": self.scale.value(values)}


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
    """Networks of a random walk from the start (a sample, without one), `STRIDE` steps from one to the next."""
    rng = random.Random(f"reference networks of {seed}")
    genome, found = space.sample(rng) if space.start is None else space.start, []
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
