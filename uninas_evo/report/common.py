"""What the best genomes of a search have in common: the answer that most of them gave to each decision.

UniNet's paper looks at the five best of its search in this way (Liu et al., ECCV 2022, Table 8).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uninas_evo.contracts import Goal
from uninas_evo.report.importance import ABSENT, facts_of
from uninas_evo.stats.fronts import minimized

if TYPE_CHECKING:
    from uninas_evo.stats.fronts import FloatArray

BEST = 5
"""Genomes that are looked at: as many as UniNet's paper trains in full."""


@dataclass(frozen=True)
class Common:
    """The answer to a decision that most of the best genomes share.

    Attributes:
        decision: its name.
        answer: the most frequent one, the earliest in rank among equals.
        best: how many of the best gave it.
        everywhere: the share of all evaluations that compare and gave it.
    """

    decision: str
    answer: str
    best: int
    everywhere: float


def in_common(texts: Sequence[str], values: FloatArray, goal: Goal, best: int = BEST) -> list[Common]:
    """What at least two of the best genomes decided alike; nothing for graphs, which decide nothing by name.

    Args:
        texts: of the genomes.
        values: (T,) of them, NaN for what does not compare.
        goal: which values are better.
        best: how many genomes are looked at.
    """
    rows = np.flatnonzero(np.isfinite(values))
    if len(rows) <= best:
        return []
    order = rows[np.argsort(minimized(values[rows], [goal])[:, 0], kind="stable")]
    facts = [facts_of(texts[row]) for row in order]
    names = list(dict.fromkeys(name for one in facts for name in one))
    if not all(isinstance(one.get(name, ABSENT), str) for one in facts for name in names):
        return []
    found = []
    for name in names:
        answers = [str(one.get(name, ABSENT)) for one in facts]
        answer, count = Counter(answers[:best]).most_common(1)[0]
        if count > 1 and len(set(answers)) > 1:
            found.append(Common(name, answer, count, answers.count(answer) / len(answers)))
    return found
