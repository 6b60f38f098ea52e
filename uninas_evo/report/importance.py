"""Which decisions mattered: how much of the differences between evaluations each decision of a genome explains.

Choices are rated by Optuna's functional analysis of variance (Hutter et al., "An Efficient Approach for Assessing
Hyperparameter Importance", ICML 2014); genomes that are no list of choices, such as graphs, by how much worse a forest
predicts held-out evaluations when one of their features is permuted (Breiman, "Random Forests", 2001, section 10).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from uninas_evo.contracts import Objective
from uninas_evo.errors import ObjectiveError
from uninas_evo.report.plots import label
from uninas_evo.report.run import space_of
from uninas_evo.spaces.choices import ChoiceSpace, OwnSpace
from uninas_evo.spaces.joint import PREFIX, FixedSpace, JointSpace

if TYPE_CHECKING:
    from uninas_evo.stats.fronts import FloatArray

FEWEST = 20
"""Evaluations below which nothing is said: a forest of fewer rates noise."""
MOST = 200
"""Evaluations that are looked at, evenly spread over the run: more take minutes and change no order."""
TREES = 16
"""Of a forest; Optuna has 64, which take four times as long and rate alike."""
FOLDS, REPEATS = 5, 3
"""Parts that are held out in turn, and permutations of each feature."""
ABSENT = "not decided"
"""The value of a choice that does not count in a genome."""

FEW = 5
"""Numbers of at most so many values are rated one by one: a trend need not join them."""
WIDE = 100
"""Numbers whose greatest is so many times their least are on a log scale."""

Facts = Mapping[str, str | float]
"""Of a genome: its choices by name, as texts, or its features, as numbers."""


@dataclass(frozen=True)
class Importance:
    """How much decisions mattered.

    Attributes:
        shares: of the decisions and features by name, the greatest first; they sum to 1.
        evaluations: how many were looked at.
        explained: share of the variance of held-out evaluations that a forest on features predicts, below 0 for
            nothing; None for choices.
    """

    shares: Mapping[str, float]
    evaluations: int
    explained: float | None = None


def importance(texts: Sequence[str], values: FloatArray, seed: int = 0) -> Importance:
    """The importance of the decisions of genomes for their values.

    Args:
        texts: of the genomes.
        values: (T,) of them, NaN for what does not compare.
        seed: of forests.

    Raises:
        ObjectiveError: fewer than `FEWEST` evaluations compare, or nothing differs.
    """
    rows = np.flatnonzero(np.isfinite(values)).tolist()
    if len(rows) < FEWEST:
        raise ObjectiveError(
            f"importance needs {FEWEST} evaluations that compare, and there are {len(rows)}; search longer"
        )
    if len(rows) > MOST:
        rows = [rows[place * (len(rows) - 1) // (MOST - 1)] for place in range(MOST)]
    facts, kept = [facts_of(texts[row]) for row in rows], _scaled(values[rows])
    names = [name for name in dict.fromkeys(name for one in facts for name in one) if _differs(facts, name)]
    if not names or np.ptp(kept) == 0:
        raise ObjectiveError(f"importance needs evaluations that differ, and these {len(rows)} do not; search longer")
    if all(isinstance(one.get(name, ""), str) for one in facts for name in names):
        return Importance(_of_choices(facts, names, kept, seed), len(rows))
    return _of_features(facts, names, kept, seed)


def _scaled(values: FloatArray) -> FloatArray:
    """Within −1 to 1 by a power of two, which changes no share: squares of the greatest floats are none."""
    return np.asarray(np.ldexp(values, -np.frexp(np.abs(values).max())[1]), float)


def told(found: Importance, objective: Objective) -> str:
    """What an importance is, in a sentence."""
    way = (
        "shares of the variance by a functional analysis of variance (fANOVA)"
        if found.explained is None
        else "how much worse a forest predicts held-out evaluations when a feature is permuted; it explains "
        f"{max(found.explained, 0):.0%} of their variance"
    )
    return f"Importance of decisions for {label(objective)}, over {found.evaluations} evaluations: {way}."


def facts_of(text: str) -> Facts:
    """What a genome decided: the lines of its choices where its space is known to nothing but its own run."""
    found = space_of(text)
    if found is None:
        pairs = (line.partition(" = ") for line in text.splitlines())
        return {name: value for name, equals, value in pairs if equals}
    return _facts(*found)


def _facts(space: Any, genome: Any) -> Facts:
    match space:
        case JointSpace():
            settings = {PREFIX + name: str(value) for name, value in genome.training.items()}
            return {**settings, **_facts(space.networks, genome.network)}
        case FixedSpace():
            return {}
        case OwnSpace():
            return {name: str(value) for name, value in genome.items()}
        case ChoiceSpace():
            pairs = zip(space.decisions, space.indices(genome), strict=True)
            return {decision.name: decision.text(index) for decision, index in pairs}
    features: Facts = space.features(genome)
    return features


def _differs(facts: Sequence[Facts], name: str) -> bool:
    return len({one.get(name) for one in facts}) > 1


def _of_choices(facts: Sequence[Facts], names: Sequence[str], values: FloatArray, seed: int) -> dict[str, float]:
    """Optuna's shares of the variance, by a study of these evaluations."""
    import optuna
    from optuna.importance import FanovaImportanceEvaluator

    columns = {name: _column(name, [str(one.get(name, ABSENT)) for one in facts]) for name in names}
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study = optuna.create_study()
            distributions = {name: distribution for name, (distribution, _) in columns.items()}
            for row, value in enumerate(values):
                params = {name: column[row] for name, (_, column) in columns.items()}
                study.add_trial(optuna.create_trial(params=params, distributions=distributions, value=float(value)))
            evaluator = FanovaImportanceEvaluator(n_trees=TREES, seed=seed)
            return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))
    finally:
        optuna.logging.set_verbosity(level)


def _column(name: str, answers: Sequence[str]) -> tuple[Any, Sequence[Any]]:
    """A choice as Optuna has it: a range where all its values are numbers and many, else its texts."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    numbers = [_number(answer) for answer in answers]
    known = [number for number in numbers if number is not None]
    if len(known) < len(numbers) or len(set(known)) <= FEW:
        return CategoricalDistribution(sorted(set(answers))), answers
    low, high = min(known), max(known)
    return FloatDistribution(low, high, log=low > 0 and high / low > WIDE), known


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _of_features(facts: Sequence[Facts], names: Sequence[str], values: FloatArray, seed: int) -> Importance:
    """How much worse a forest predicts what is held out when a feature is permuted."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.metrics import r2_score
    from sklearn.model_selection import KFold

    rows = np.array([_encoded([one.get(name, 0.0) for one in facts]) for name in names]).T
    predicted, lost = np.empty_like(values), np.zeros(len(names))
    for learned, held in KFold(FOLDS, shuffle=True, random_state=seed).split(rows):
        forest = RandomForestRegressor(TREES, min_samples_leaf=2, random_state=seed).fit(rows[learned], values[learned])
        predicted[held] = forest.predict(rows[held])
        found = permutation_importance(
            forest, rows[held], values[held], scoring="neg_mean_squared_error", n_repeats=REPEATS, random_state=seed
        )
        lost += np.maximum(found.importances_mean, 0)
    total = lost.sum() or 1.0
    order = np.argsort(-lost, kind="stable")
    shares = {names[index]: float(lost[index] / total) for index in order}
    return Importance(shares, len(values), float(r2_score(values, predicted)))


def _encoded(answers: Sequence[str | float]) -> list[float]:
    """Numbers as they are; texts by their place in the alphabet, which is enough for a forest."""
    places = {text: float(place) for place, text in enumerate(sorted({str(one) for one in answers}))}
    numbers = [_number(str(one)) for one in answers]
    return [places[str(one)] if number is None else number for one, number in zip(answers, numbers, strict=True)]
