"""The contracts that spaces, problems, scorers and strategies meet; everything else knows only these.

One contract a file: `decision`, `costs`, `space`, `problem`, `scorer`, `strategy`, `predictor`, `policy`, `supernet`.

A strategy asks, the loop numbers and scores, the strategy is told::

    strategy = Evolution(problem.space, problem.objectives, seed=0)
    number = 0
    while True:
        for draft in strategy.ask():         # empty: results are awaited; StopSearch: done
            candidate = numbered(draft, number)
            number += 1
            strategy.tell([Result(candidate, problem.evaluate(candidate.genome, "cpu"))])

Every operator takes an explicit `random.Random` last and leaves its arguments unchanged.
"""

from uninas_evo.contracts.costs import Budget, Cost, CostModel
from uninas_evo.contracts.decision import Choose, Decision, Number
from uninas_evo.contracts.policy import Choice, Episode, Policy
from uninas_evo.contracts.predictor import Predictor
from uninas_evo.contracts.problem import Ancestor, Constraint, Goal, Objective, Problem, Progress, violation
from uninas_evo.contracts.scorer import Scorer, Subject
from uninas_evo.contracts.space import (
    Anchored,
    Backbones,
    Canonical,
    G,
    Piece,
    Pieced,
    Rebudgeted,
    Reducible,
    Shape,
    Space,
    Started,
    Trained,
    Variation,
    Varied,
)
from uninas_evo.contracts.strategy import Candidate, Draft, Result, StopSearch, Strategy, numbered
from uninas_evo.contracts.supernet import Chosen, Gated, Learned, Mixture, Supernet, Weights

__all__ = [
    "Ancestor",
    "Anchored",
    "Backbones",
    "Budget",
    "Candidate",
    "Canonical",
    "Choice",
    "Choose",
    "Chosen",
    "Constraint",
    "Cost",
    "CostModel",
    "Decision",
    "Draft",
    "Episode",
    "G",
    "Gated",
    "Goal",
    "Learned",
    "Mixture",
    "Number",
    "Objective",
    "Piece",
    "Pieced",
    "Policy",
    "Predictor",
    "Problem",
    "Progress",
    "Rebudgeted",
    "Reducible",
    "Result",
    "Scorer",
    "Shape",
    "Space",
    "Started",
    "StopSearch",
    "Strategy",
    "Subject",
    "Supernet",
    "Trained",
    "Variation",
    "Varied",
    "Weights",
    "numbered",
    "violation",
]
