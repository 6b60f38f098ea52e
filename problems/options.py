"""What all run-file tables of problems share: objectives, how they are scored, and the budget."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from uninas_evo.contracts import Budget
from uninas_evo.devices.costs import SIZE, CostOptions
from uninas_evo.mistakes import nearest
from uninas_evo.problems.settings import check_training
from uninas_evo.scoring.cost import COSTS
from uninas_evo.scoring.named import (
    ConstraintOptions,
    ObjectiveOptions,
    check_objective,
    check_settings,
    parts_of_aggregate,
)
from uninas_evo.spaces.choices.own import Real, Table, Whole

Bound = Annotated[float, Field(ge=0, allow_inf_nan=False)]


Listed = Any
"""A text, number or truth value, as TOML has it; the space checks it."""


class RangeOptions(BaseModel):
    """A number of a table of choices."""

    model_config = ConfigDict(extra="forbid")

    low: float = Field(description="the least value")
    high: float = Field(description="the greatest value")
    log: bool = Field(False, description="equal ratios are equal steps")
    whole: bool = Field(False, description="whole numbers alone")

    def range(self) -> Whole | Real:
        """As Python has it."""
        if self.whole and self.low.is_integer() and self.high.is_integer():
            return Whole(int(self.low), int(self.high), self.log)
        return Whole(self.low, self.high, self.log) if self.whole else Real(self.low, self.high, self.log)  # type: ignore[arg-type]


TableOptions = dict[str, RangeOptions | list[Listed]]
"""A table of choices, as TOML has it."""


def table_of(options: TableOptions) -> Table:
    """The table of choices, as Python has it."""
    return {name: one.range() if isinstance(one, RangeOptions) else one for name, one in options.items()}


class BudgetOptions(BaseModel):
    """The `[problem.budget]` table: `min_NAME` and `max_NAME` of any cost, inclusive; unset: no bound.

    Every space has the costs params and flops; others have a table `[problem.costs.NAME]`.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Bound]

    min_params: Bound | None = Field(None, description="fewest parameters")
    max_params: Bound | None = Field(None, description="most parameters")
    min_flops: Bound | None = Field(None, description="fewest FLOPs of one image")
    max_flops: Bound | None = Field(None, description="most FLOPs of one image")

    @model_validator(mode="after")
    def _are_bounds(self) -> Self:
        for name in self.__pydantic_extra__:
            if not re.fullmatch(r"(min|max)_\w+", name):
                raise ValueError(
                    f"a bound is written min_NAME or max_NAME, got {name!r}{nearest(name, type(self).model_fields)}"
                )
        return self

    def bounded(self) -> dict[str, str]:
        """The costs that are bounded: cost -> the field that bounds it."""
        return {field[4:]: field for field in self.model_dump(exclude_none=True)}

    def budget(self) -> Budget:
        """The bounds as a budget.

        Raises:
            BudgetError: a lower bound lies above its upper one.
        """
        return Budget(**self.model_dump(exclude_none=True))


class ScoringOptions(BaseModel):
    """The part of a `[problem]` table that says what is scored, in any space."""

    model_config = ConfigDict(extra="forbid")
    own: ClassVar[tuple[str, ...]] = ()
    """Names of objectives that the problem has beside proxies, costs, scorers and functions."""

    costs: dict[str, CostOptions] = Field(
        default_factory=dict,
        description="further costs by name, such as `edgegpu_latency_ms = {table = FILE}`: bounds and objectives may "
        "name them; size_mb is there without a table",
    )
    budget: BudgetOptions = Field(
        default_factory=BudgetOptions, description="bounds on parameters, FLOPs and any other cost of the space"
    )
    objectives: list[str | ObjectiveOptions] = Field(
        ["vkdnw"],
        description='names of proxies, "params", "flops", "latency_ms", "train", or functions of your own; also '
        '`objective = "..."` for a single one',
    )
    aggregate: list[str] = Field(
        [],
        description="proxies that are joined into one objective by their ranks (see `scoring.aggregate`); without "
        "`objectives` it is the only one",
    )
    constraints: list[ConstraintOptions] = Field(
        [],
        description='bounds on values that scoring gives, such as `[{name = "latency_ms", max = 5}]`; what is known '
        "before scoring (params, flops) is bounded in `budget`",
    )
    training: TableOptions = Field(
        default_factory=dict,
        description="settings of the protocol that genomes decide beside their network, such as "
        "`lr = {low = 1e-4, high = 1e-1, log = true}` or `optimizer = ['adamw', 'sgd']`",
    )
    batch: int = Field(64, ge=1, description="images that proxies score with; 64 as in the proxies' papers")
    proxy_images: str | None = Field(
        None,
        description="data whose images and labels proxies score with, as `train` takes it; unset: normal pixels and "
        "uniform labels, as most of their papers compare with",
    )
    calibrated_norms: bool = Field(
        False, description="proxies see batch norms with the statistics of a first batch, instead of each batch's own"
    )
    canonical: bool = Field(
        True,
        description="proxies score each genome without what none of them sees (dropout, a norm behind the same norm, "
        "...), and one score stands for all that are then equal; of spaces that know such a form",
    )
    proxies: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="settings of a proxy, of latency_ms or of train by its name, such as `vkdnw = {inits = 8}`",
    )

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
    def _alone(self) -> Self:
        """An aggregate replaces the default objective, not those that were asked for."""
        if self.aggregate and "objectives" not in self.model_fields_set:
            self.objectives = []
        return self

    @classmethod
    def _costs(cls, info: ValidationInfo) -> tuple[str, ...]:
        """The names of the costs: the space's own, and those of the field `costs`."""
        return (*COSTS, SIZE, *(info.data.get("costs") or {}))

    @field_validator("costs")
    @classmethod
    def _named(cls, costs: dict[str, CostOptions], info: ValidationInfo) -> dict[str, CostOptions]:
        own = set(cls._costs(info)) - {SIZE}
        for name, options in costs.items():
            if not re.fullmatch(r"[a-zA-Z]\w*", name) or name in own:
                raise ValueError(f"a cost needs a name of its own, of letters, digits and _, got {name!r}; rename it")
            if options.bits is not None and name != SIZE:
                raise ValueError(f"bits are for {SIZE}, and {name} has some; give table = FILE")
        return costs

    @model_validator(mode="after")
    def _sized(self) -> Self:
        """A bound or an objective may name the size without a table."""
        named = [one if isinstance(one, str) else one.name for one in self.objectives]
        for one in self.objectives:
            if isinstance(one, ObjectiveOptions):
                named += [one.cost or "", *(one.targets or ())]
        if SIZE in (*named, *self.budget.bounded()) and SIZE not in self.costs:
            self.costs[SIZE] = CostOptions(bits=32)
        return self

    @field_validator("budget")
    @classmethod
    def _bounds_costs(cls, budget: BudgetOptions, info: ValidationInfo) -> BudgetOptions:
        costs = cls._costs(info)
        for cost, field in budget.bounded().items():
            if cost not in costs:
                fields = [f"{side}_{name}" for name in costs for side in ("min", "max")]
                raise ValueError(
                    f"{field} bounds {cost!r}, which is not a cost here: there are {', '.join(costs)}"
                    f"{nearest(field, fields)}; what scoring gives is bounded by "
                    f"constraints = [{{ name = {cost!r}, {field.partition('_')[0]} = ... }}]"
                )
        return budget

    @field_validator("aggregate")
    @classmethod
    def _known(cls, aggregate: list[str]) -> list[str]:
        parts_of_aggregate(aggregate)
        return aggregate

    @field_validator("proxy_images")
    @classmethod
    def _beside_the_file(cls, images: str | None, info: ValidationInfo) -> str | None:
        """Data is looked for beside the run file, then in the working folder."""
        beside = folder_of(info) / images if images else None
        return str(beside.absolute()) if beside is not None and beside.exists() else images

    @field_validator("proxies")
    @classmethod
    def _found(cls, proxies: dict[str, dict[str, Any]], info: ValidationInfo) -> dict[str, dict[str, Any]]:
        """Files that settings name are looked for beside the run file, then in the working folder."""
        for name in ("data", "protocol"):
            value = proxies.get("train", {}).get(name)
            if isinstance(value, str) and (beside := folder_of(info) / value).exists():
                proxies["train"] = proxies["train"] | {name: str(beside.absolute())}
        check_settings(proxies)
        return proxies

    @field_validator("training")
    @classmethod
    def _settings(cls, training: TableOptions) -> TableOptions:
        check_training(table_of(training))
        return training

    @field_validator("constraints")
    @classmethod
    def _beside(cls, constraints: list[ConstraintOptions], info: ValidationInfo) -> list[ConstraintOptions]:
        """Files of functions are looked for as those of objectives are."""
        folder = folder_of(info)
        return [one.model_copy(update={"name": _located(one.name, folder)}) for one in constraints]

    @field_validator("objectives")
    @classmethod
    def _located(cls, objectives: list[str | ObjectiveOptions], info: ValidationInfo) -> list[str | ObjectiveOptions]:
        """Files of functions are looked for beside the run file, then in the working folder."""
        folder, known = folder_of(info), (*cls._costs(info), *cls.own)
        located = [_located(one, folder) for one in objectives]
        for one in located:
            check_objective(one, known)
        return located


class MacsCosts(ScoringOptions):
    """The same for spaces that count multiply-accumulates, too."""

    @classmethod
    def _costs(cls, info: ValidationInfo) -> tuple[str, ...]:
        return (*super()._costs(info), "macs")


def folder_of(info: ValidationInfo) -> Path:
    """Where relative paths of a run file are looked for first."""
    return Path((info.context or {}).get("folder", "."))


def _located(objective: str | ObjectiveOptions, folder: Path) -> str | ObjectiveOptions:
    if isinstance(objective, ObjectiveOptions):
        return objective.model_copy(update={"name": located(objective.name, folder)})
    return located(objective, folder)


def located(function: str, folder: Path) -> str:
    """A function's name with its file's whole path, where it has one: beside the run file, or in the working folder."""
    target, colon, name = function.rpartition(":")
    if not colon or not target.endswith(".py"):
        return function
    beside = folder / target
    return f"{(beside if beside.is_file() else Path(target)).absolute()}:{name}"


def scoring(options: ScoringOptions) -> dict[str, Any]:
    """The arguments of `SearchProblem` that the options give, beside its objectives."""
    fields: Sequence[str] = (
        "batch",
        "proxy_images",
        "calibrated_norms",
        "canonical",
        "proxies",
        "aggregate",
        "constraints",
    )
    return {field: getattr(options, field) for field in fields} | {"training": table_of(options.training)}
