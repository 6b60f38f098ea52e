"""Scorers of what is written as objectives: names of proxies, costs and scorers, and functions of the user's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Annotated, Any, Self, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from uninas_evo import registry
from uninas_evo.contracts import Goal, Objective, Scorer
from uninas_evo.errors import ObjectiveError, ProxyError
from uninas_evo.scoring.aggregate import AggregateScorer
from uninas_evo.scoring.cost import COSTS, CostScorer, cost_objective
from uninas_evo.scoring.function import FunctionScorer, UserFunction
from uninas_evo.scoring.proxy import ProxyScorer
from uninas_evo.scoring.reward import EXPONENT, REWARD, RewardScorer

REWARD_EXAMPLE = '{name = "reward", of = "train", cost = "flops", target = 1e9, exponent = 0.07}'
Settings = Mapping[str, Mapping[str, Any]]
"""Settings of proxies and scorers, by their names."""


class ObjectiveOptions(BaseModel):
    """An objective that needs more than its name: `{name = "my_fitness.py:score", goal = "minimize"}`."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        description='a proxy, "params", "flops", "latency_ms", "train", "reward", "file.py:function" or '
        '"module:function"'
    )
    goal: Goal | None = Field(None, description='"maximize" or "minimize"; a proxy or cost knows its own')
    values: dict[str, Goal] = Field(
        default_factory=dict,
        description="for a function that returns several named values: which count, and their goals",
    )
    of: str | None = Field(None, description='for "reward": the objective that is weighed against a cost')
    cost: str | None = Field(None, description='for "reward": the cost, such as published_flops; unset: flops')
    target: float | None = Field(None, gt=0, description='for "reward": the cost at which the factor is 1')
    exponent: float | None = Field(
        None,
        gt=0,
        description='for "reward": the factor is (target / cost)^exponent; unset: 0.07, as UniNet',
    )

    @model_validator(mode="after")
    def _is_a_reward(self) -> Self:
        given = {name for name in ("of", "cost", "target", "exponent") if getattr(self, name) is not None}
        if self.name != REWARD and given:
            raise ValueError(f"{', '.join(sorted(given))} are for the objective {REWARD!r}; {self.name!r} has none")
        if self.name == REWARD and (self.of is None or self.target is None):
            raise ValueError(f"a reward needs what it is of and a target; write {REWARD_EXAMPLE}")
        return self


Written = Scorer | str | Callable[..., Any] | ObjectiveOptions | Mapping[str, Any]
"""An objective as it may be written."""


class Scorers:
    """The scorers of a problem, and the objectives that they give, in the order in which they were written.

    Args:
        written: the objectives.
        aggregate: proxies that are joined into the objective "aggregate".
        batch: images that proxies score with.
        settings: settings of proxies and scorers by their names.
        own: scorers that a problem has itself; their objectives are found by name like any other.
        costs: names of the space's costs.

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
        settings: Settings | None = None,
        own: Sequence[Scorer] = (),
        costs: Sequence[str] = COSTS,
    ) -> None:
        self.batch, self.settings, self.costs = batch, settings or {}, tuple(costs)
        self.own = {objective.name: objective for scorer in own for objective in scorer.objectives}
        check_settings(self.settings)
        self.scorers: list[Scorer] = [CostScorer(), *own]
        joined = parts_of_aggregate(aggregate)
        self._proxies: dict[Any, ProxyScorer] = {}
        entries = [one if isinstance(one, Scorer) else _entry(one) for one in written]
        pairs = [entry for entry in entries if not isinstance(entry, Scorer)]
        pairs = [_entry(one.of) if one.name == REWARD else (one, function) for one, function in pairs]
        named = [one.name for one, function in pairs if function is None]
        known = {*self.costs, *self.own}
        proxies = [one for one in named if one not in registry.names("scorer")] + list(joined)
        self._group([name for name in dict.fromkeys(proxies) if name not in known])
        followed = [objective for entry in entries for objective in self._objectives(entry)]
        if joined:
            scorer = AggregateScorer([self._scorer_of(name) for name in joined], joined)
            self.scorers.append(scorer)
            followed += scorer.objectives
        self.objectives = tuple(followed)
        _check_names(self.objectives)

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
            scorer = ProxyScorer(tuple(objectives), self.batch, self.settings)
            self._proxies.update({objective.name: scorer for objective in objectives})

    def _scorer_of(self, name: str) -> Scorer:
        return self._proxies[name] if name in self._proxies else self.scorers[0]

    def _objectives(self, entry: Scorer | tuple[ObjectiveOptions, UserFunction | None]) -> Sequence[Objective]:
        """The objectives of one entry, whose scorer is added."""
        if isinstance(entry, Scorer):
            return self._add(entry)
        options, function = entry
        if function is not None:
            return self._add(_function_scorer(function, options))
        if options.values:
            raise ObjectiveError(f"`values` are for functions that return several; {options.name} returns one value")
        if options.name == REWARD:
            return self._add(self._reward(options))
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
        (weighed,) = self._objectives(_entry(options.of))
        if cost not in self.costs or weighed.goal != "maximize" or weighed.is_cost:
            raise ObjectiveError(
                f"a reward weighs a value that is maximized against a cost out of {', '.join(self.costs)}, "
                f"got of = {options.of!r} and cost = {cost!r}; name others"
            )
        scorer = next(one for one in self.scorers if weighed.name in [known.name for known in one.objectives])
        return RewardScorer(scorer, weighed.name, cost, options.target, options.exponent or EXPONENT)

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
    if options.name == REWARD and options.of is not None:
        if options.cost not in known:
            raise ObjectiveError(
                f"a reward has a cost of the space, got {options.cost!r}; use one of {', '.join(known)}"
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
        return {field: _annotated(one) for field, one in fields.items()}
    from uninas_evo.proxies import registry as proxies

    try:
        function = proxies.find(name).function
    except ProxyError:
        raise _unknown(name, [*proxies.names(), *registry.names("scorer")]) from None
    hints = get_type_hints(function)
    parameters = inspect.signature(function).parameters.values()
    return {one.name: hints.get(one.name, Any) for one in parameters if one.kind is one.KEYWORD_ONLY}


def _annotated(field: Any) -> Any:
    """A field's type with its bounds."""
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def _entry(one: Any) -> tuple[ObjectiveOptions, UserFunction | None]:
    """An objective as it may be written: its options, and the function where it is one."""
    if isinstance(one, Mapping):
        one = ObjectiveOptions.model_validate(one)
    target = one.name if isinstance(one, ObjectiveOptions) else one
    if target == REWARD and not isinstance(one, ObjectiveOptions):
        raise ObjectiveError(f'the objective "reward" needs what it is of and a target; write {REWARD_EXAMPLE}')
    if isinstance(target, str) and ":" not in target:
        return (one if isinstance(one, ObjectiveOptions) else ObjectiveOptions(name=target)), None
    function = UserFunction(target)
    return (one if isinstance(one, ObjectiveOptions) else ObjectiveOptions(name=function.name)), function


def _function_scorer(function: UserFunction, options: ObjectiveOptions) -> FunctionScorer:
    if options.values:
        objectives = [Objective(name, goal) for name, goal in options.values.items()]
        return FunctionScorer(function, objectives, several=True)
    return FunctionScorer(function, [Objective(function.name, options.goal or "maximize")])


def _check_names(objectives: Sequence[Objective]) -> None:
    names = [objective.name for objective in objectives]
    if not names:
        raise ObjectiveError("a problem needs an objective, and none is given; set objectives or aggregate")
    if len(set(names)) < len(names):
        raise ObjectiveError(f"every objective must have a name of its own, got {', '.join(names)}")


def _unknown(name: str, known: Sequence[str]) -> ObjectiveError:
    words = list(dict.fromkeys(known))
    near = get_close_matches(name, words, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return ObjectiveError(
        f"there is no objective {name!r}: use {', '.join(words)}, or 'file.py:function' for your own{hint}"
    )
