"""Bayesian search with Optuna: a trial answers every decision that composes a genome.

Sources: Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011, and Watanabe, arXiv 2304.11127
(TPE); Akiba et al., "Optuna", KDD 2019 (ask and tell).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import optuna
import pydantic
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from uninas_evo.contracts import Anchored, Budget, Candidate, Decision, Draft, Number, Objective, Result, Space
from uninas_evo.errors import StrategyError
from uninas_evo.strategies.base import MAX_TRIES, MOST, Lag, SteadyState
from uninas_evo.strategies.budget import BudgetHandling, unbounded
from uninas_evo.strategies.individual import best_of

TRIES = 10
"""Proposals of the model, or neighbors of its first one, for a genome that was not asked before; then random choices
take over: a settled model repeats itself."""

FRONT = 16
"""Members of the front that restarts draw from where there are several objectives."""


class BayesianOptions(Lag, BudgetHandling):
    """Options of `bayesian`."""

    sampler: Literal["tpe", "gp", "nsga2", "random"] = pydantic.Field(
        "tpe",
        description="Optuna's sampler; tpe handles decisions that hang on decisions and asks in milliseconds, "
        "gp needs seconds beyond 100 evaluations",
    )
    startup: int = pydantic.Field(
        20, ge=1, le=MOST, description="random evaluations before a model is made; 20 beats 10 on NAS-Bench-201"
    )
    restart: int = pydantic.Field(
        1,
        ge=0,
        le=MOST,
        description="results after which compose begins again, near the best genome so far; 0: it always begins at "
        "the start, which is far behind in the UniNAS space, where 1, 5 and 20 do alike; spaces without a start know "
        "no difference",
    )
    repeats: Literal["model", "neighbors"] | None = pydantic.Field(
        None,
        description="what follows a proposal that was asked before: model asks the sampler again, neighbors tries "
        "changes of one decision, which finds as much on NAS-Bench-201 in a third of the time, since no model is "
        "fitted twice; unset: model where compose begins at a genome, neighbors elsewhere",
    )


class Bayesian(SteadyState):
    """Asks an Optuna study for every decision of `space.compose`, and tells it the values.

    How it searches: each candidate is a trial whose parameters are the decisions that compose it; after `startup`
    random trials the sampler (TPE by default) models which options go with good values. Where the space can be seen
    from one of its genomes, composing restarts near the best one so far (`restart`).

    When to use it: in spaces of a fixed list of decisions, with few and expensive evaluations, and where an Optuna
    study is wanted afterwards. An ask costs milliseconds to tens of them. In graph spaces most of its gain comes from
    restarting near the best, not from the model.

    A genome that was asked before is not asked again: its trial ends as failed, which samplers leave out, and the model
    or neighbors of the genome are tried (`repeats`). A candidate that failed, or lies outside a budget that is a
    constraint, ends as pruned, which tpe learns to avoid.

    Args:
        space: its `compose` is the encoding.
        objectives: one or several.
        seed: of all draws, Optuna's included.
        options: see `BayesianOptions`.

    Attributes:
        study: the Optuna study, in memory; `export_study` writes it to a storage.

    Example:
        ```python
        from uninas_evo import Objective
        from uninas_evo.spaces.nasbench201.space import NASBench201Space
        from uninas_evo.strategies.bayesian import Bayesian

        strategy = Bayesian(NASBench201Space(), [Objective("accuracy", "maximize")], seed=0, startup=10)
        print(strategy.ask()[0].origin)  # compose
        ```
    """

    Options = BayesianOptions
    options: BayesianOptions
    objectives_allowed = "any"

    def __init__(self, space: Space[Any], objectives: Sequence[Objective], *, seed: int, **options: Any) -> None:
        super().__init__(space, objectives, seed=seed, **options)
        self._random = RandomSampler(seed=self.rng.getrandbits(32))
        with _quiet():
            self._sampler = self.make_sampler(self.rng.getrandbits(32))
            self.study = optuna.create_study(directions=[objective.goal for objective in self.objectives])
        fallback = "model" if isinstance(space, Anchored) else "neighbors"
        self._after_repeat = self.options.repeats or fallback
        self._trials: dict[int, Trial] = {}
        self._best: list[Result] = []
        self._begin(self._near(space.start) if self.options.restart else space)

    def make_sampler(self, seed: int) -> BaseSampler:
        """Optuna's sampler, as `options.sampler` names it; a subclass gives one of its own."""
        return _sampler(self.options, seed)

    def propose(self) -> Draft:
        """The sampler's next genome that is new, or one near it; random choices inside the budget where it has none."""
        self.study.sampler = self._sampler
        first, draft = self._try(self._encoding)
        for _ in range(TRIES - 1):
            if draft is not None:
                return draft
            if self._after_repeat == "neighbors":
                self.study.enqueue_trial(self._neighbor(first))
            _, draft = self._try(self._encoding)
        if draft is not None:
            return draft
        self.study.sampler = self._random
        for _ in range(MAX_TRIES):
            _, draft = self._try(self.space)
            if draft is not None:
                return draft
        raise self.exhausted()

    def _try(self, space: Space[Any]) -> tuple[Trial, Draft | None]:
        """A trial, and the draft of its genome where it is to be scored."""
        trial = self.study.ask()
        genome = space.compose(partial(_suggest, trial))
        if not self._wanted(trial, genome):
            return trial, None
        trial.set_user_attr("candidate", self.next_number)
        self._trials[self.next_number] = trial
        return trial, Draft(genome, self._parents, "compose")

    def _neighbor(self, trial: Trial) -> dict[str, Any]:
        """A trial's parameters with another option for one of them; a number is left to the sampler."""
        params = dict(trial.params)
        name = self.rng.choice(sorted(params))
        distribution = trial.distributions[name]
        others = [one for one in getattr(distribution, "choices", ()) if one != params[name]]
        del params[name]
        return params | {name: self.rng.choice(others)} if others else params

    def learn(self, result: Result) -> None:
        """Tells the study; where it is time, compose begins at the best genome from now on."""
        trial, fitness = self._trials.pop(result.candidate.number), self.fitness(result)
        if -math.inf in fitness:
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            for one in self.constraints:
                trial.set_constraint(one.name, one.excess(result.values))
            self.study.tell(trial, [result.values[objective.name] for objective in self.objectives])
            # One objective: the incumbent. Several: a front, of which a restart draws a member.
            count = 1 if len(self.objectives) == 1 else FRONT
            self._best = best_of([*self._best, result], count, self.fitness)
        if self.options.restart and self._best and (self._learned + 1) % self.options.restart == 0:
            start = self.rng.choice(self._best).candidate
            self._begin(self._near(start.genome), start)

    def _near(self, genome: Any) -> Space[Any]:
        """The space seen from a genome, where it can be."""
        return self.space.around(genome) if isinstance(self.space, Anchored) else self.space

    def _begin(self, space: Space[Any], start: Candidate | None = None) -> None:
        self._parents = () if start is None or space is self.space else (start.number,)
        self.space = space
        self._encoding = space if self.options.budget == "bounds" else unbounded(space)

    def _wanted(self, trial: Trial, genome: Any) -> bool:
        """Whether a genome is to be scored; ends its trial where not."""
        bounded = self.space.budget != Budget()
        over = self.space.budget.excess(self.space.cost(genome)) if bounded else 0.0
        if self.options.budget == "constraints":
            trial.set_constraint("budget", over)
        if over > 0:
            self.study.tell(trial, state=TrialState.PRUNED)
        elif self.asked(genome):
            self.study.tell(trial, state=TrialState.FAIL)
        return over == 0 and not self.asked(genome)


def _suggest(trial: Trial, decision: Decision) -> str:
    if not isinstance(decision, Number):
        return str(trial.suggest_categorical(decision.name, decision.options))
    if decision.whole:
        return str(trial.suggest_int(decision.name, int(decision.low), int(decision.high), log=decision.log))
    return repr(trial.suggest_float(decision.name, decision.low, decision.high, log=decision.log))


def export_study(study: optuna.Study, storage: str | optuna.storages.BaseStorage, name: str) -> None:
    """Writes a study's finished trials to an Optuna storage, which optuna-dashboard opens.

    Args:
        study: a `Bayesian.study`.
        storage: a URL such as "sqlite:///study.db", or an Optuna storage.
        name: the study's name there.

    Raises:
        StrategyError: the storage holds a study of this name, or cannot be opened.
    """
    try:
        with _quiet():
            copy = optuna.create_study(storage=storage, study_name=name, directions=study.directions)
    except optuna.exceptions.DuplicatedStudyError:
        raise StrategyError(
            f"the storage {storage} holds a study {name!r} already, and studies are not overwritten; "
            f"delete it there, or give another storage"
        ) from None
    except (SQLAlchemyError, ImportError) as error:
        raise StrategyError(
            f"the storage {storage} cannot be opened: {error}; give a URL such as sqlite:///study.db"
        ) from error
    copy.add_trials(trial for trial in study.trials if trial.state.is_finished())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Optuna from logging that a study was made, and from warning that a sampler is experimental."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def _sampler(options: BayesianOptions, seed: int) -> BaseSampler:
    match options.sampler:
        case "tpe":
            return TPESampler(seed=seed, n_startup_trials=options.startup)
        case "gp":
            return GPSampler(seed=seed, n_startup_trials=options.startup)
        case "nsga2":
            return NSGAIISampler(seed=seed)
        case "random":
            return RandomSampler(seed=seed)
