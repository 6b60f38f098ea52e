"""How a space is searched: every strategy asks for genomes and is told their results.

| name | strategy | objectives |
|---|---|---|
| `random_walk` | search steps from the start, without selection | any |
| `random` | independent samples of the space | any |
| `derived` | what a learner of shared weights prefers, and draws of its policy | any |
| `grid` | all of a finite space, evenly | any |
| `uninas` | the paper's search: steps from a population, the best kept | any |
| `evolution` | (μ + λ) evolution on a DEAP toolbox | one |
| `aging` | regularized evolution, steady state | one |
| `nsga2`, `nsga3`, `agemoea`, `smsemoa` | Pareto evolution with pymoo | several |
| `bayesian` | Bayesian search with Optuna | any |
| `predictor` | the drafts that a predictor finds most promising | any |
| `ladder` | evolution on rungs of cheap fidelities, ranked by estimates over all of them | one |
| `halving`, `hyperband`, `asha` | samples on rungs of cheap fidelities, the best go up | one |
| `walks` | samples for a bank of trained networks: walks of many lengths | any |
| `ppo`, `reinforce` | policies that learn to compose | one |

A strategy is found by its name among the entry points `uninas_evo.strategies`, so that a package of your own can
add one.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from uninas_evo import registry
from uninas_evo.contracts import Objective, Strategy
from uninas_evo.errors import ObjectiveError, UninasEvoError

__all__ = ["check_objectives"]

_WANTED = {"one": "exactly one objective", "several": "two or more objectives", "any": "one or more objectives"}


def check_objectives(strategy: type[Strategy], objectives: Sequence[Objective]) -> None:
    """Checks that a strategy can follow these objectives.

    Args:
        strategy: the strategy's class.
        objectives: what a problem maximizes or minimizes.

    Raises:
        ObjectiveError: there are too few or too many objectives; the message names the strategies that fit.
    """
    if _fits(strategy, objectives):
        return
    fitting = []
    for name in registry.names("strategy"):
        with suppress(UninasEvoError):  # one that cannot be imported is no answer
            found = registry.find("strategy", name)
            if _fits(found, objectives) and not found.asks_learned:  # these need a learner beside
                fitting.append(name)
    fix = f"choose among the strategies that fit: {', '.join(fitting)}" if fitting else "name one"
    names = ", ".join(objective.name for objective in objectives) or "none"
    raise ObjectiveError(
        f"{strategy.__name__} follows {_WANTED[strategy.objectives_allowed]}, got {len(objectives)} ({names}); {fix}"
    )


def _fits(strategy: type[Strategy], objectives: Sequence[Objective]) -> bool:
    count = len(objectives)
    return {"one": count == 1, "several": count > 1, "any": count > 0}[strategy.objectives_allowed]
