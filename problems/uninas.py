"""The main problem: training-free scores, costs and the user's own functions in the UniNAS space."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from uninas_evo.contracts import Budget, Goal, Objective, Problem
from uninas_evo.errors import ObjectiveError
from uninas_evo.scoring.aggregate import Scale, scale_of
from uninas_evo.scoring.function import UserFunction, form_of, named
from uninas_evo.spaces.uninas import PRESETS, Genome, Skeleton, StepRule, UninasSpace, load_genome

if TYPE_CHECKING:
    from uninas_evo.scoring.training import TrainFitness

COSTS = ("params", "flops")
LATENCY = "latency_ms"
AGGREGATE = "aggregate"
TRAIN = "train"
TRAIN_SETTINGS = ("data", "protocol", "epochs", "images", "fidelities", "peers", "stop", "cache_mb")


class BudgetOptions(BaseModel):
    """The `[problem.budget]` table: bounds that no candidate leaves, all inclusive; unset: no bound."""

    model_config = ConfigDict(extra="forbid")

    min_params: float | None = Field(None, ge=0, description="fewest parameters")
    max_params: float | None = Field(None, ge=0, description="most parameters")
    min_flops: float | None = Field(None, ge=0, description="fewest FLOPs of one image")
    max_flops: float | None = Field(None, ge=0, description="most FLOPs of one image")

    def budget(self) -> Budget:
        """The bounds as a budget.

        Raises:
            BudgetError: a lower bound lies above its upper one.
        """
        return Budget(**self.model_dump(exclude_none=True))


class ObjectiveOptions(BaseModel):
    """An objective that needs more than its name: `{name = "my_fitness.py:score", goal = "minimize"}`."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        description='a proxy, "params", "flops", "latency_ms", "train", "file.py:function" or "module:function"'
    )
    goal: Goal | None = Field(None, description='"maximize" or "minimize"; a proxy or cost knows its own')
    values: dict[str, Goal] = Field(
        default_factory=dict,
        description="for a function that returns several named values: which count, and their goals",
    )


class UninasOptions(BaseModel):
    """The `[problem]` table of a run file for the UniNAS space."""

    model_config = ConfigDict(extra="forbid")

    start: str = Field(
        "coatnet",
        description="where the search begins: a preset (resnet, efficientnet, vit, coatnet), or a genome's file; "
        "the default has convolutions and attention, so that both can be kept or dropped",
    )
    skeleton: Skeleton | None = Field(
        None,
        description="image_size, classes, stem, channels, depths of a preset; unset: the paper's 224 px skeleton",
    )
    budget: BudgetOptions = Field(default_factory=BudgetOptions, description="bounds on parameters and FLOPs")
    objectives: list[str | ObjectiveOptions] = Field(
        ["vkdnw"],
        description='names of proxies, "params", "flops", "latency_ms", "train", or functions of your own; also '
        '`objective = "..."` for a single one',
    )
    aggregate: list[str] = Field(
        [],
        description="proxies that are joined into one objective by their ranks (see `problems.aggregate`); without "
        "`objectives` it is the only one",
    )
    batch: int = Field(64, ge=1, description="images that proxies score with; 64 as in the proxies' papers")
    proxies: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="settings of a proxy by its name, such as `vkdnw = {inits = 8}`"
    )
    step: StepRule = Field(default_factory=StepRule, description="how a search step is drawn")

    @model_validator(mode="before")
    @classmethod
    def _single(cls, content: Any) -> Any:
        """`objective = x` is short for `objectives = [x]`."""
        if isinstance(content, dict) and "objective" in content:
            if "objectives" in content:
                raise ValueError("give either objective or objectives, not both")
            content = {key: value for key, value in content.items() if key != "objective"} | {
                "objectives": [content["objective"]]
            }
        return content

    @model_validator(mode="after")
    def _one_skeleton(self) -> Self:
        """A genome's file has a skeleton, which no other may contradict in silence."""
        if self.skeleton is not None and self.start not in PRESETS:
            own = load_genome(self.start).skeleton
            if own != self.skeleton:
                raise ValueError(f"the genome of `start` has a skeleton of its own ({own}); remove `skeleton`")
        return self

    @model_validator(mode="after")
    def _alone(self) -> Self:
        """An aggregate replaces the default objective, not those that were asked for."""
        if self.aggregate and "objectives" not in self.model_fields_set:
            self.objectives = []
        return self

    @field_validator("start")
    @classmethod
    def _embedded(cls, start: str, info: ValidationInfo) -> str:
        """A file's genome is taken into the run file as text, so that a run folder stands alone."""
        if start in PRESETS:
            return start
        beside = _folder(info) / start if "\n" not in start else Path(start)
        return load_genome(str(beside) if "\n" not in start and beside.is_file() else start).text

    @field_validator("aggregate")
    @classmethod
    def _known(cls, aggregate: list[str]) -> list[str]:
        _parts(aggregate)
        return aggregate

    @field_validator("proxies")
    @classmethod
    def _found(cls, proxies: dict[str, dict[str, Any]], info: ValidationInfo) -> dict[str, dict[str, Any]]:
        """Files that settings name are looked for beside the run file, then in the working folder."""
        for name in ("data", "protocol"):
            value = proxies.get(TRAIN, {}).get(name)
            if isinstance(value, str) and (beside := _folder(info) / value).exists():
                proxies[TRAIN] = proxies[TRAIN] | {name: str(beside.absolute())}
        _check_settings(proxies)
        return proxies

    @field_validator("objectives")
    @classmethod
    def _located(cls, objectives: list[str | ObjectiveOptions], info: ValidationInfo) -> list[str | ObjectiveOptions]:
        """Files of functions are looked for beside the run file, then in the working folder."""
        located: list[str | ObjectiveOptions] = []
        for one in objectives:
            if isinstance(one, str):
                located.append(_locate(one, _folder(info)))
            else:
                located.append(one.model_copy(update={"name": _locate(one.name, _folder(info))}))
        for one in located:
            _objectives(*_spec(one))
        return located


class UninasProblem(Problem):
    """Scores genomes of the UniNAS space; each genome is built once for all objectives.

    Args:
        space: where genomes come from.
        objectives: proxies, "params", "flops", "latency_ms", "train" (accuracy after a short training, see
            `scoring.training.TrainFitness`), functions of your own (see `scoring.function`), or
            `ObjectiveOptions` where a goal or several values must be told.
        seed: fixes images and weights.
        batch: images that proxies score with.
        proxies: settings of a proxy by its name.
        aggregate: proxies that are joined into the objective "aggregate" (see `problems.aggregate`).

    Raises:
        ObjectiveError: an objective does not exist, stands there twice, or a proxy has no such setting.
    """

    Options = UninasOptions
    space: UninasSpace
    _scale: Scale

    def __init__(
        self,
        space: UninasSpace,
        objectives: Sequence[str | Callable[..., Any] | ObjectiveOptions | Mapping[str, Any]] = ("vkdnw",),
        *,
        seed: int = 0,
        batch: int = 64,
        proxies: Mapping[str, Mapping[str, Any]] | None = None,
        aggregate: Sequence[str] = (),
    ) -> None:
        self.space = space
        self.seed = seed
        self.batch = batch
        self.settings = {name: dict(settings) for name, settings in (proxies or {}).items()}
        specs = [_spec(one) for one in objectives]
        self._names = [name for name, _ in specs if isinstance(name, str)]
        self._functions = [(name, options) for name, options in specs if isinstance(name, UserFunction)]
        self.objectives = tuple(one for name, options in specs for one in _objectives(name, options))
        self._joined = _parts(aggregate)
        self._walk_seed = seed
        if aggregate:
            self.objectives += (Objective(AGGREGATE, "maximize"),)
            self._names += [name for name in self._joined if name not in self._names]
        if TRAIN in self._names:
            self.fidelities = tuple(self.settings.get(TRAIN, {}).get("fidelities", ()))
        if not self.objectives:
            raise ObjectiveError("a problem needs an objective, and none is given; set objectives or aggregate")
        names = [objective.name for objective in self.objectives]
        if len(set(names)) < len(names):
            raise ObjectiveError(f"every objective must have a name of its own, got {', '.join(names)}")
        self.sources = tuple(file for function, _ in self._functions if (file := function.file) is not None)
        _check_settings(self.settings)
        if TRAIN in self._names and "data" not in self.settings.get(TRAIN, {}):
            raise ObjectiveError(
                'the objective "train" needs data to train on, got none; set problem.proxies.train.data to a folder '
                "or .npz file as `uninas-evo train --data` takes it"
            )

    @classmethod
    def from_options(cls, options: BaseModel, seed: int) -> Self:
        """The problem of a run file's `[problem]` table."""
        fields = UninasOptions.model_validate(options.model_dump())
        space = UninasSpace(load_genome(fields.start, fields.skeleton), fields.budget.budget(), fields.step)
        return cls(
            space, fields.objectives, seed=seed, batch=fields.batch, proxies=fields.proxies, aggregate=fields.aggregate
        )

    def prepare(self, device: str) -> None:
        """Imports torch and the user's functions, and makes torch choose operations that repeat exactly."""
        import torch

        warnings.filterwarnings("ignore", message=".*deterministic.*", category=UserWarning)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
        for function, _ in self._loaded:
            form_of(function)
        if self._joined:
            self._scale = scale_of(
                self.space, self._joined, self._walk_seed, lambda genome: self._proxies_of(genome, device)
            )

    def with_seed(self, seed: int) -> Self:
        """The same problem with fresh draws; functions and the aggregate's scale stay as they are."""
        other = super().with_seed(seed)
        kept = {name: value for name, value in self.__dict__.items() if name in ("_loaded", "_scale")}
        other.__dict__.update(kept)
        return other

    @cached_property
    def _loaded(self) -> list[tuple[Callable[..., Any], tuple[str, ObjectiveOptions]]]:
        return [(function.load(), (function.name, options)) for function, options in self._functions]

    def __getstate__(self) -> dict[str, Any]:
        """What `prepare` made stays behind: each worker makes its own."""
        return {key: value for key, value in self.__dict__.items() if key not in ("_loaded", "_scale", "_trainer")}

    @cached_property
    def _trainer(self) -> TrainFitness:
        from uninas_evo.scoring.training import TrainFitness

        return TrainFitness(self.space.start, seed=self.seed, **self.settings[TRAIN])

    def evaluate(
        self, genome: Genome, device: str, *, fidelity: int | None = None, lineage: Sequence[Genome] = ()
    ) -> dict[str, float]:
        """A value for every objective, and `vkdnw_se`, the standard error of VKDNW over initializations."""
        values: dict[str, Any] = {"params": float(genome.params), "flops": float(genome.flops)}
        network = None
        if TRAIN in self._names:
            values.update(self._trainer(genome, device, fidelity))
        if [name for name in self._names if name not in (*COSTS, TRAIN)]:
            network = self._built(genome)
            values.update(self._proxy_values(network, genome, device))
        if self._joined:
            values[AGGREGATE] = self._scale.value(values)
        for function, (name, options) in self._loaded:
            form = form_of(function)
            if form == "network":
                network = self._built(genome) if network is None else network
                raw = function(network.to(device))
            else:
                raw = function(genome) if form == "genome" else function(genome, device)
            values.update(named(raw, name, options.values))
        return values

    def _proxies_of(self, genome: Genome, device: str) -> dict[str, float]:
        costs = {"params": float(genome.params), "flops": float(genome.flops)}
        return costs | self._proxy_values(self._built(genome), genome, device)

    def _built(self, genome: Genome) -> Any:
        from uninas_evo.spaces.uninas.network import initialize

        network = self.space.build(genome)
        initialize(network, self.seed)  # type: ignore[arg-type]
        return network

    def _proxy_values(self, network: Any, genome: Genome, device: str) -> dict[str, float]:
        """The values of all proxies among the objectives; proxies of one function share one call."""
        from uninas_evo.proxies import PROXIES, Inputs
        from uninas_evo.scoring.latency import latency_ms

        size = genome.skeleton.image_size
        inputs = Inputs(batch=self.batch, image=(3, size, size), seed=self.seed, device=device)
        results: dict[Any, Any] = {}
        values: dict[str, float] = {}
        for name in self._names:
            if name == LATENCY:
                values[name] = latency_ms(network, size, device, **self.settings.get(name, {}))
            elif name not in (*COSTS, TRAIN):
                proxy = PROXIES[name]
                if proxy.function not in results:
                    results[proxy.function] = proxy.function(network, inputs, **self.settings.get(name, {}))
                result = results[proxy.function]
                values[name] = result if proxy.part is None else getattr(result, proxy.part)
                error = getattr(result, "error", None)
                if error is not None:
                    values[f"{name}_se"] = error
        return values


def _spec(one: Any) -> tuple[str | UserFunction, ObjectiveOptions]:
    """An objective as it may be written, as a name or function with its options."""
    if isinstance(one, Mapping):
        one = ObjectiveOptions.model_validate(one)
    options = one if isinstance(one, ObjectiveOptions) else None
    target = one.name if isinstance(one, ObjectiveOptions) else one
    if isinstance(target, str) and ":" not in target:
        return target, options or ObjectiveOptions(name=target)
    function = UserFunction(target)
    return function, options or ObjectiveOptions(name=function.name)


def _objectives(target: str | UserFunction, options: ObjectiveOptions) -> list[Objective]:
    """The objectives that one entry stands for."""
    if options.values:
        if isinstance(target, str):
            raise ObjectiveError(f"`values` are for functions that return several; {target} returns one value")
        return [Objective(name, goal) for name, goal in options.values.items()]
    if isinstance(target, UserFunction):
        return [Objective(target.name, options.goal or "maximize")]
    return [Objective(target, options.goal or _default_goal(target), repeats=target != LATENCY)]


def _default_goal(name: str) -> Goal:
    if name in (*COSTS, LATENCY):
        return "minimize"
    if name == TRAIN:
        return "maximize"
    from uninas_evo.proxies import PROXIES

    if name not in PROXIES:
        from difflib import get_close_matches

        known = [*PROXIES, LATENCY, TRAIN]
        near = get_close_matches(name, known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ObjectiveError(
            f"there is no objective {name!r}: use {', '.join(known)}, or 'file.py:function' for your own{hint}"
        )
    return PROXIES[name].goal


def _parts(aggregate: Sequence[str]) -> dict[str, Goal]:
    """The proxies of an aggregate with their goals; names of published aggregates stand for their parts."""
    if not aggregate:
        return {}
    from uninas_evo.proxies.registry import AGGREGATES, PROXIES

    names = [part for name in aggregate for part in AGGREGATES.get(name, (name,))]
    for name in names:
        if name not in PROXIES:
            raise ObjectiveError(
                f"an aggregate ranks by proxies, and {name!r} is none; choose among "
                + ", ".join([*PROXIES, *AGGREGATES])
            )
    return {name: PROXIES[name].goal for name in names}


def _check_settings(settings: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises an `ObjectiveError` where a proxy has no setting of a name."""
    for name, given in settings.items():
        if name == LATENCY:
            allowed = ["batch", "repeats"]
        elif name == TRAIN:
            allowed = list(TRAIN_SETTINGS)
        else:
            from uninas_evo.proxies import PROXIES

            _default_goal(name)
            function = PROXIES[name].function
            parameters = inspect.signature(function).parameters.values()
            allowed = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]
            kinds = get_type_hints(function)
        for setting in sorted(given.keys() - set(allowed)):
            raise ObjectiveError(
                f"problem.proxies.{name} has no setting {setting!r} (value {given[setting]!r}); "
                f"it has {', '.join(allowed) or 'none'}"
            )
        for setting, value in given.items() if name not in (LATENCY, TRAIN) else ():
            try:
                TypeAdapter(kinds[setting]).validate_python(value)
            except ValidationError as error:
                rule = error.errors()[0]["msg"].removeprefix("Input ")
                raise ObjectiveError(f"problem.proxies.{name}.{setting}: {rule}, got {value!r}") from None


def _folder(info: ValidationInfo) -> Path:
    return Path((info.context or {}).get("folder", "."))


def _locate(name: str, folder: Path) -> str:
    target, colon, function = name.rpartition(":")
    if not colon or not target.endswith(".py"):
        return name
    beside = folder / target
    return f"{(beside if beside.is_file() else Path(target)).absolute()}:{function}"
