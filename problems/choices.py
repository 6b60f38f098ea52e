"""A space of one's own as a problem: a table of choices, a function that builds, and any scorer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, ValidationInfo, model_validator
from pydantic import field_validator as validator

from uninas_evo.contracts import Budget, Shape
from uninas_evo.devices import costed
from uninas_evo.problems.options import Listed, ScoringOptions, TableOptions, folder_of, located, scoring, table_of
from uninas_evo.problems.search import SearchProblem
from uninas_evo.scoring.counted import CountedCost
from uninas_evo.scoring.function import UserFunction
from uninas_evo.spaces.choices.own import Chosen, OwnSpace, Table, Value, When

if TYPE_CHECKING:
    from torch import nn


def choices(
    table: Table,
    build: Callable[[Chosen], nn.Module],
    *,
    image: Shape,
    classes: int,
    when: When | None = None,
    valid: Callable[[Chosen], bool] | None = None,
    cost: Callable[[Chosen], Mapping[str, float]] | None = None,
    budget: Budget | None = None,
    start: Mapping[str, Value] | None = None,
) -> OwnSpace:
    """A space of one's own, which every strategy searches.

        space = choices({"depth": [2, 3, 4], "width": Whole(16, 256, log=True)}, build, image=(3, 32, 32), classes=10)

    Args:
        table: for each name the values to choose among, or `Whole(low, high)` or `Real(low, high)`.
        build: gives the network of a genome, which maps the name of each choice that counts to its value.
        image: (C, H, W) of the images that the networks take.
        classes: outputs of the networks.
        when: conditions: ``{"heads": {"kind": ["attention"]}}`` has `heads` count where `kind` is "attention".
        valid: whether a genome is a network at all; everything is, by default.
        cost: gives params, flops and further costs of a genome by name; params and flops that it does not give are
            counted on the built network, once a genome (see `scoring.counted`).
        budget: bounds that no operator leaves.
        start: values where walks begin; nowhere in particular by default.

    Raises:
        SpaceError: a name, value or condition is wrong, or a network cannot be built or counted.
        BudgetError: the start lies outside the budget.
    """
    counted = CountedCost(build, image, cost)
    return OwnSpace(
        table, build, counted, image=image, classes=classes, when=when, valid=valid, budget=budget, start=start
    )


class ChoicesOptions(ScoringOptions):
    """The `[problem]` table of a run file for a space of one's own."""

    space: TableOptions = Field(
        default_factory=dict,
        description="for each choice a list of values, or a range such as {low = 16, high = 256}; none for a fixed "
        "network, whose `training` is searched",
    )
    build: str = Field(
        description='what builds the network of a genome: "file.py:function" or "package.module:function"'
    )
    image: tuple[int, int, int] = Field((3, 32, 32), description="channels, height and width of the images")
    classes: int = Field(10, ge=1, description="of the data")
    when: dict[str, dict[str, list[Listed]]] = Field(
        default_factory=dict,
        description="conditions: `heads = {kind = ['attention']}` has heads count where kind is attention",
    )
    valid: str = Field("", description="a function that tells whether a genome is a network at all; unset: all are")
    cost: str = Field("", description="a function that gives params and flops by name; unset: counted on the network")
    start: dict[str, Listed] = Field(default_factory=dict, description="values where walks begin; unset: nowhere")

    @model_validator(mode="after")
    def _decides(self) -> Self:
        if not (self.space or self.training):
            raise ValueError("nothing is decided; give choices in `space`, or settings in `training`")
        return self

    @validator("build", "valid", "cost")
    @classmethod
    def _located_function(cls, name: str, info: ValidationInfo) -> str:
        """Files are looked for beside the run file, then in the working folder."""
        if name and ":" not in name:
            raise ValueError(f'a function is written "file.py:function" or "package.module:function", got {name!r}')
        return located(name, folder_of(info)) if name else name


@dataclass(frozen=True)
class Named:
    """A function of the user's own, which each process imports when it first calls it.

    Attributes:
        function: where it lies.
    """

    function: UserFunction

    @cached_property
    def _loaded(self) -> Callable[..., Any]:
        return self.function.load()

    def __getstate__(self) -> dict[str, Any]:
        """The loaded function stays behind."""
        return {"function": self.function}

    def __call__(self, genome: Chosen) -> Any:
        """What the function returns."""
        with self.function.beside():
            return self._loaded(genome)


class ChoicesProblem(SearchProblem):
    """Scores the genomes of a space of one's own; its functions' files are part of a run's identity."""

    Options = ChoicesOptions
    space: OwnSpace

    @classmethod
    def from_options(cls, options: ChoicesOptions, seed: int) -> Self:
        """The problem of a run file's `[problem]` table."""
        named = {
            what: Named(UserFunction(reference, f"function `{what}`"))
            for what in ("build", "valid", "cost")
            if (reference := getattr(options, what))
        }
        whole = choices(
            table_of(options.space),
            named["build"],
            image=options.image,
            classes=options.classes,
            when=options.when,
            valid=named.get("valid"),
            cost=named.get("cost"),
            start=options.start or None,
        )
        space = costed(whole, options.costs, options.budget.budget(), keep_start=True)
        problem = cls(space, options.objectives, seed=seed, **scoring(options))
        files = (UserFunction(one).file for one in (options.build, options.valid, options.cost) if one)
        problem.sources = tuple(dict.fromkeys([*problem.sources, *(Path(file) for file in files if file)]))
        return problem
