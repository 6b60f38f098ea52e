"""Scorers of what is written as objectives: names of proxies, costs and scorers, and functions of the user's own."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Annotated, Any, Self, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from uninas_evo import registry
from uninas_evo.contracts import Constraint, Goal, Objective, Scorer
from uninas_evo.errors import ObjectiveError, ProxyError
from uninas_evo.mistakes import annotated
from uninas_evo.scoring.aggregate import AggregateScorer
from uninas_evo.scoring.composite import COMPOSITE, CompositeScorer
from uninas_evo.scoring.cost import COSTS, CostScorer, cost_objective
from uninas_evo.scoring.function import FunctionScorer, UserFunction
from uninas_evo.scoring.proxy import ProxyScorer
from uninas_evo.scoring.reward import EXPONENT, REWARD, RewardScorer

REWARD_EXAMPLE = '{name = "reward", of = "train", cost = "flops", target = 1e9, exponent = 0.07}'
COMPOSITE_EXAMPLE = '{name = "composite", of = "train", targets = {params = 1e6}}'
OWN_FIELDS = {REWARD: ("of", "cost", "target", "exponent"), COMPOSITE: ("of", "targets", "weights", "hinge")}
"""Fields of objectives that weigh another one."""
MEASURED = ("latency_ms",)
"""Values that a composite weighs like costs although only scoring gives them."""
Settings = Mapping[str, Mapping[str, Any]]
"""Settings of proxies and scorers, by their names."""


class ObjectiveOptions(BaseModel):
    """An objective that needs more than its name: `{name = "my_fitness.py:score", goal = "minimize"}`."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        description='a proxy, "params", "flops", "latency_ms", "train", "reward", "composite", "file.py:function" or '
        '"module:function"'
    )
    goal: Goal | None = Field(None, description='"maximize" or "minimize"; a proxy or cost knows its own')
    values: dict[str, Goal] = Field(
        default_factory=dict,
        description="for a function that returns several named values: which count, and their goals",
    )
    measured: bool = Field(
        False,
        description="for a function: its values are measured and differ each time, as times do; verify compares them "
        "with their spread",
    )
    unit: str = Field("", description='for a function: what its values are counted in, such as "%" or "ms"')
    of: str | None = Field(
        None, description='for "reward" and "composite": the objective that is weighed against costs'
    )
    cost: str | None = Field(None, description='for "reward": the cost, such as published_flops; unset: flops')
    target: float | None = Field(None, gt=0, description='for "reward": the cost at which the factor is 1')
    exponent: float | None = Field(
        None,
        gt=0,
        description='for "reward": the factor is (target / cost)^exponent; unset: 0.07, as UniNet',
    )

    targets: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] | None = Field(
        None, description='for "composite": the amount of each cost, or of latency_ms, from which it counts'
    )
    weights: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] | None = Field(
        None, description='for "composite": weights by name; unset: accuracy 1, params and size_mb 0.01, others 0.1'
    )
    hinge: bool | None = Field(None, description='for "composite": false counts costs below their targets too')

    @model_validator(mode="after")
    def _is_of_a_function(self) -> Self:
        if (self.measured or self.unit) and ":" not in self.name:
            raise ValueError(f"measured and unit are for functions of your own; {self.name!r} knows its own")
        return self

    @model_validator(mode="after")
    def _weighs(self) -> Self:
        own = OWN_FIELDS.get(self.name, ())
        for kind, fields in OWN_FIELDS.items():
            given = [name for name in fields if getattr(self, name) is not None and name not in own]
            if given:
                raise ValueError(f"{', '.join(given)} are for the objective {kind!r}; {self.name!r} has none")
        if self.name == COMPOSITE and (self.of is None or not self.targets):
            raise ValueError(f"a composite needs what it is of and targets of costs; write {COMPOSITE_EXAMPLE}")
        if unknown := sorted({*(self.weights or {})} - {self.of or "", *(self.targets or {})}):
            raise ValueError(f"{unknown[0]!r} has a weight and no target; give a target, or remove the weight")
        if self.name == REWARD and (self.of is None or self.target is None):
            raise ValueError(f"a reward needs what it is of and a target; write {REWARD_EXAMPLE}")
        return self


class ConstraintOptions(BaseModel):
    """Bounds on a value that scoring gives: `{name = "latency_ms", max = 5}`."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        description="an objective, scorer, proxy or function of your own, or a further value that a function returns"
    )
    min: float | None = Field(None, allow_inf_nan=False, description="the least that is feasible")
    max: float | None = Field(None, allow_inf_nan=False, description="the most that is feasible")
    drop: float | None = Field(
        None,
        allow_inf_nan=False,
        description="beyond it a candidate is dropped before anything else is scored, as trainings are",
    )

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.min is None and self.max is None and self.drop is None:
            raise ValueError(f"a constraint needs min or max; write {{name = {self.name!r}, max = 5}}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min must not lie above max, got {self.min:g} and {self.max:g}; exchange them")
        if self.drop is not None and self.drop < (self.drop if self.max is None else self.max):
            raise ValueError(f"drop must not lie below max, got {self.drop:g} and {self.max:g}; exchange them")
        return self

    def constraint(self) -> Constraint:
        """What strategies and results know of it."""
        _, function = _entry(self.name)
        low = -math.inf if self.min is None else self.min
        high, drop = (math.inf if bound is None else bound for bound in (self.max, self.drop))
        return Constraint(self.name if function is None else function.name, low, min(high, drop), drop)


Written = Scorer | str | Callable[..., Any] | ObjectiveOptions | Mapping[str, Any]
"""An objective as it may be written."""


class Scorers:
    """The scorers of a problem, and the objectives that they give, in the order in which they were written.

    Args:
        written: the objectives.
        aggregate: proxies that are joined into the objective "aggregate".
        batch: images that proxies score with.
        images: data that proxies see in the place of noise.
        calibrated_norms: proxies see batch norms with the statistics of a first batch.
        canonical: proxies score the genome that stands for all that they do not tell apart.
        settings: settings of proxies and scorers by their names.
        own: scorers that a problem has itself; their objectives are found by name like any other.
        costs: names of the space's costs.
        constrained: what constraints bound: scored, but not followed.

    Attributes:
        scorers: each once; proxies that share a function share a scorer.
        objectives: what is followed.

    Raises:
        ObjectiveError: an objective does not exist, stands there twice, or has no such setting.
    """

    def __init__(
        self,
        written: Sequence[Written],
        *,
        aggregate: Sequence[str] = (),
        batch: int = 64,
        images: str | None = None,
        calibrated_norms: bool = False,
        canonical: bool = True,
        settings: Settings | None = None,
        own: Sequence[Scorer] = (),
        costs: Sequence[str] = COSTS,
        constrained: Sequence[str] = (),
    ) -> None:
        self.constrained = tuple(name for name in constrained if ":" not in name)
        self.seen = (images, calibrated_norms, canonical)
        self.batch, self.settings, self.costs = batch, settings or {}, tuple(costs)
        self.own = {objective.name: objective for scorer in own for objective in scorer.objectives}
        check_settings(self.settings)
        self.scorers: list[Scorer] = [CostScorer(), *own]
        joined = parts_of_aggregate(aggregate)
        self._proxies: dict[Any, ProxyScorer] = {}
        entries = [one if isinstance(one, Scorer) else _entry(one) for one in written]
        pairs = [entry for entry in entries if not isinstance(entry, Scorer)]
        pairs = [_entry(one.of) if one.name in OWN_FIELDS else (one, function) for one, function in pairs]
        named = [one.name for one, function in pairs if function is None]
        known = {*self.costs, *self.own}
        returned = any(function is not None for _, function in pairs)
        bounded = [one for one in constrained if ":" not in one and self._is_known(one, returned)]
        proxies = [one for one in named + bounded if one not in registry.names("scorer")] + list(joined)
        self._group([name for name in dict.fromkeys(proxies) if name not in known])
        followed = [objective for entry in entries for objective in self._objectives(entry)]
        if joined:
            scorer = AggregateScorer([self._scorer_of(name) for name in joined], joined)
            self.scorers.append(scorer)
            followed += scorer.objectives
        self.objectives = tuple(followed)
        _check_names(self.objectives)
        given = {objective.name for scorer in self.scorers for objective in scorer.objectives}
        for name in constrained:
            if name not in given and (":" in name or name in bounded):
                self._objectives(_entry(name))

    def _is_known(self, name: str, returned: bool) -> bool:
        """Whether a bounded value has a name of its own; where not, a function must return it."""
        if name in self.costs:
            raise ObjectiveError(
                f"{name} is a cost, which is known before anything is scored: bound it with problem.budget.max_{name}, "
                f"not as a constraint"
            )
        from uninas_evo.proxies import registry as proxies

        known = [*proxies.names(), *registry.names("scorer"), *self.own]
        if name not in known and not returned:
            raise _unknown(name, known, "value to constrain")
        return name in known

    def _group(self, names: Sequence[str]) -> None:
        """One scorer for each function of the proxies."""
        if not names:
            return  # proxies import torch
        from uninas_evo.proxies import registry as proxies

        known = proxies.names()
        groups: dict[Any, list[Objective]] = {}
        for name in names:
            if name not in known:
                raise _unknown(name, [*known, *self.costs, *self.own, *registry.names("scorer")])
            proxy = proxies.find(name)
            groups.setdefault(proxy.function, []).append(Objective(name, proxy.goal))
        for objectives in groups.values():
            scorer = ProxyScorer(tuple(objectives), self.batch, self.settings, *self.seen)
            self._proxies.update({objective.name: scorer for objective in objectives})

    def _scorer_of(self, name: str) -> Scorer:
        return self._proxies[name] if name in self._proxies else self.scorers[0]

    def _objectives(self, entry: Scorer | tuple[ObjectiveOptions, UserFunction | None]) -> Sequence[Objective]:
        """The objectives of one entry, whose scorer is added."""
        if isinstance(entry, Scorer):
            return self._add(entry)
        options, function = entry
        if function is not None:
            return self._add(_function_scorer(function, options, self.constrained))
        if options.values:
            raise ObjectiveError(f"`values` are for functions that return several; {options.name} returns one value")
        if options.name == REWARD:
            return self._add(self._reward(options))
        if options.name == COMPOSITE:
            return self._add(self._composite(options))
        return [replace(one, goal=options.goal or one.goal) for one in self._of_name(options.name)]

    def _of_name(self, name: str) -> Sequence[Objective]:
        if name in self.costs:
            return [cost_objective(name)]
        if name in self.own:
            return [self.own[name]]
        if name in self._proxies:
            self._add(self._proxies[name])
            return [one for one in self._proxies[name].objectives if one.name == name]
        return self._add(make_scorer(name, self.settings.get(name, {})))

    def _reward(self, options: ObjectiveOptions) -> RewardScorer:
        """Weighs one value of a scorer, which is added but not followed."""
        assert options.of is not None
        assert options.target is not None
        cost = options.cost or "flops"
        scorer, name = self._weighed(options.of, [cost], REWARD)
        return RewardScorer(scorer, name, cost, options.target, options.exponent or EXPONENT)

    def _composite(self, options: ObjectiveOptions) -> CompositeScorer:
        """Weighs an accuracy of a scorer, which is added but not followed."""
        assert options.of is not None
        assert options.targets is not None
        measured = [name for name in options.targets if name in MEASURED and name not in self.costs]
        costs = [name for name in options.targets if name not in measured]
        scorer, name = self._weighed(options.of, costs, COMPOSITE)
        for one in measured:
            self._of_name(one)
        scorers = {one: self._giving(one) for one in measured}
        return CompositeScorer(
            scorer, name, options.targets, options.weights or {}, options.hinge is not False, scorers
        )

    def _weighed(self, of: str, costs: Sequence[str], kind: str) -> tuple[Scorer, str]:
        """The scorer of a value that is weighed against costs, and its name."""
        (weighed,) = self._objectives(_entry(of))
        unknown = [cost for cost in costs if cost not in self.costs]
        named = (unknown or costs or ("nothing",))[0]
        if unknown or weighed.goal != "maximize" or weighed.is_cost:
            raise ObjectiveError(
                f"a {kind} weighs a value that is maximized against a cost out of {', '.join(self.costs)}, "
                f"got of = {of!r} and cost = {named!r}; name others"
            )
        return self._giving(weighed.name), weighed.name

    def _giving(self, name: str) -> Scorer:
        """The scorer of a value."""
        return next(one for one in self.scorers if name in [known.name for known in one.objectives])

    def _add(self, scorer: Scorer) -> Sequence[Objective]:
        if scorer not in self.scorers:
            self.scorers.append(scorer)
        return scorer.objectives


def make_scorer(name: str, settings: Mapping[str, Any]) -> Scorer:
    """The scorer of a name.

    Raises:
        ObjectiveError: a setting that it needs is missing.
    """
    kind = registry.find("scorer", name)
    for field, one in kind.Options.model_fields.items():
        if one.is_required() and field not in settings:
            raise ObjectiveError(
                f"the objective {name!r} needs {one.description or field}, got none; set problem.proxies.{name}.{field}"
            )
    scorer: Scorer = kind(**settings)
    return scorer


def check_objective(one: str | ObjectiveOptions, known: Sequence[str]) -> None:
    """Checks that an objective of a run file exists; no file of the user's is executed.

    Args:
        one: the objective.
        known: names that the problem knows beside proxies and scorers.

    Raises:
        ObjectiveError: it does not.
    """
    options, function = _entry(one)
    if options.name in OWN_FIELDS and options.of is not None:
        measured = MEASURED if options.name == COMPOSITE else ()
        for cost in options.targets or [options.cost or "flops"]:
            if cost not in (*known, *measured):
                raise ObjectiveError(
                    f"a {options.name} has a cost of the space, got {cost!r}; use one of {', '.join(known)}"
                )
        return check_objective(options.of, known)
    if function is not None or options.name in known or options.name in registry.names("scorer"):
        if options.values and function is None:
            raise ObjectiveError(f"`values` are for functions that return several; {options.name} returns one value")
        return
    from uninas_evo.proxies import registry as proxies

    names = proxies.names()
    if options.name not in names:
        raise _unknown(options.name, [*names, *known, *registry.names("scorer")])


def parts_of_aggregate(aggregate: Sequence[str]) -> dict[str, Goal]:
    """The proxies of an aggregate with their goals; names of published aggregates stand for their parts.

    Raises:
        ObjectiveError: a name is no proxy.
    """
    if not aggregate:
        return {}
    from uninas_evo.proxies import registry as proxies

    known = [*proxies.names(), *proxies.AGGREGATES]
    for name in aggregate:
        if name not in known:
            raise ObjectiveError(
                f"an aggregate ranks by proxies, and {name!r} is none; choose among {', '.join(known)}"
            )
    return {name: proxies.find(name).goal for name in proxies.parts_of(aggregate)}


def check_settings(settings: Settings) -> None:
    """Checks that proxies and scorers have the settings that they are given.

    Raises:
        ObjectiveError: one has no setting of a name, or the value is of another kind.
    """
    for name, given in settings.items():
        kinds = _setting_kinds(name)
        for setting in sorted(given.keys() - kinds.keys()):
            raise ObjectiveError(
                f"problem.proxies.{name} has no setting {setting!r} (value {given[setting]!r}); "
                f"it has {', '.join(kinds) or 'none'}"
            )
        for setting, value in given.items():
            try:
                TypeAdapter(kinds[setting]).validate_python(value)
            except ValidationError as error:
                rule = error.errors()[0]["msg"].removeprefix("Input ")
                raise ObjectiveError(f"problem.proxies.{name}.{setting}: {rule}, got {value!r}") from None


def _setting_kinds(name: str) -> dict[str, Any]:
    """The settings of a proxy or scorer, and the type of each."""
    if name in registry.names("scorer"):
        fields = registry.find("scorer", name).Options.model_fields
        return {field: annotated(one) for field, one in fields.items()}
    from uninas_evo.proxies import registry as proxies

    try:
        function = proxies.find(name).function
    except ProxyError:
        raise _unknown(name, [*proxies.names(), *registry.names("scorer")]) from None
    hints = get_type_hints(function)
    parameters = inspect.signature(function).parameters.values()
    return {one.name: hints.get(one.name, Any) for one in parameters if one.kind is one.KEYWORD_ONLY}


def _entry(one: Any) -> tuple[ObjectiveOptions, UserFunction | None]:
    """An objective as it may be written: its options, and the function where it is one."""
    if isinstance(one, Mapping):
        one = ObjectiveOptions.model_validate(one)
    target = one.name if isinstance(one, ObjectiveOptions) else one
    if target == REWARD and not isinstance(one, ObjectiveOptions):
        raise ObjectiveError(f'the objective "reward" needs what it is of and a target; write {REWARD_EXAMPLE}')
    if target == COMPOSITE and not isinstance(one, ObjectiveOptions):
        raise ObjectiveError(f'the objective "composite" needs what it is of and targets; write {COMPOSITE_EXAMPLE}')
    if isinstance(target, str) and ":" not in target:
        return (one if isinstance(one, ObjectiveOptions) else ObjectiveOptions(name=target)), None
    function = UserFunction(target)
    return (one if isinstance(one, ObjectiveOptions) else ObjectiveOptions(name=function.name)), function


def _function_scorer(function: UserFunction, options: ObjectiveOptions, more: Sequence[str]) -> FunctionScorer:
    given = options.values or {function.name: options.goal or "maximize"}
    objectives = [
        Objective(name, goal, repeats=not options.measured, unit=options.unit) for name, goal in given.items()
    ]
    return FunctionScorer(function, objectives, several=bool(options.values), more=more)


def _check_names(objectives: Sequence[Objective]) -> None:
    names = [objective.name for objective in objectives]
    if not names:
        raise ObjectiveError("a problem needs an objective, and none is given; set objectives or aggregate")
    if len(set(names)) < len(names):
        raise ObjectiveError(f"every objective must have a name of its own, got {', '.join(names)}; leave one out")


def _unknown(name: str, known: Sequence[str], what: str = "objective") -> ObjectiveError:
    words = list(dict.fromkeys(known))
    near = get_close_matches(name, words, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return ObjectiveError(
        f"there is no {what} {name!r}: use {', '.join(words)}, or 'file.py:function' for your own{hint}"
    )
