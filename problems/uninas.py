"""The main problem: training-free scores, costs and the user's own functions in the UniNAS space."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from uninas_evo.devices import costed
from uninas_evo.problems.options import BudgetOptions, ScoringOptions, folder_of, scoring
from uninas_evo.problems.search import SearchProblem
from uninas_evo.scoring.named import ConstraintOptions, ObjectiveOptions
from uninas_evo.spaces.choices import Table
from uninas_evo.spaces.uninas import PRESETS, Skeleton, StepRule, UninasSpace, load_genome
from uninas_evo.spaces.uninas.dialect import dialect
from uninas_evo.spaces.uninas.vary import Part

__all__ = ["BudgetOptions", "ObjectiveOptions", "UninasOptions", "UninasProblem"]


class UninasOptions(ScoringOptions):
    """The `[problem]` table of a run file for the UniNAS space."""

    start: str = Field(
        "coatnet",
        description="where the search begins: a preset (resnet, efficientnet, vit, coatnet), or a genome's file; "
        "the default has convolutions and attention, so that both can be kept or dropped",
    )
    skeleton: Skeleton | None = Field(
        None,
        description="image_size, classes, stem, channels, depths of a preset; unset: the paper's 224 px skeleton",
    )
    vary: list[Part] = Field(
        [],
        description="parts of the skeleton that the search may change by rare steps, with exact costs: width, depth, "
        "image, stem (its stride); none keeps it as given",
    )
    fill: bool = Field(
        False,
        description="gives every genome the widths that spend the budget before it is scored, so that all compare at "
        "equal cost; needs max_params, max_flops or another upper bound",
    )
    operations: str | list[str] | None = Field(
        None,
        description="the dialect: operations that the search may use, or a ready list: ort_mobile, int8; unset: all. "
        "What `start` has beside them is replaced or dropped, or the run is refused",
    )
    without: list[str] = Field([], description='operations that the search may not use, such as `["softmax"]`')
    step: StepRule = Field(default_factory=StepRule, description="how a search step is drawn")

    @model_validator(mode="after")
    def _speaks(self) -> Self:
        if self.step.operations is not None:
            raise ValueError("a dialect is of the problem, not of its step; write problem.operations")
        self.rule()
        return self

    def rule(self) -> StepRule:
        """How a search step is drawn, in the dialect."""
        if self.operations is None and not self.without:
            return self.step
        return replace(self.step, operations=dialect(self.operations, self.without))

    @model_validator(mode="after")
    def _filled_up(self) -> Self:
        if self.fill and not any(field.startswith("max_") for field in self.budget.model_dump(exclude_none=True)):
            raise ValueError("fill widens to the budget, which has no upper bound here: add max_params or max_flops")
        return self

    @model_validator(mode="after")
    def _one_skeleton(self) -> Self:
        """A genome's file has a skeleton, which no other may contradict in silence."""
        if self.skeleton is not None and self.start not in PRESETS:
            own = load_genome(self.start).skeleton
            if own != self.skeleton:
                raise ValueError(f"the genome of `start` has a skeleton of its own ({own}); remove `skeleton`")
        return self

    @field_validator("start")
    @classmethod
    def _embedded(cls, start: str, info: ValidationInfo) -> str:
        """A file's genome is taken into the run file as text, so that a run folder stands alone."""
        if start in PRESETS:
            return start
        beside = folder_of(info) / start if "\n" not in start else Path(start)
        return load_genome(str(beside) if "\n" not in start and beside.is_file() else start).text


class UninasProblem(SearchProblem):
    """Scores genomes of the UniNAS space.

    Args:
        space: where genomes come from.
        objectives: proxies, "params", "flops", "latency_ms", "train" (accuracy after a short training, see
            `scoring.training.TrainScorer`), functions of your own (see `scoring.function`), or
            `ObjectiveOptions` where a goal or several values must be told.
        seed: fixes images and weights.
        batch: images that proxies score with.
        proxy_images: data whose images and labels proxies score with, in the place of noise.
        calibrated_norms: whether batch norms have the statistics of a first batch when a proxy scores.
        canonical: whether proxies score the genome that stands for all that they do not tell apart.
        proxies: settings of a proxy by its name.
        aggregate: proxies that are joined into the objective "aggregate" (see `scoring.aggregate`).
        constraints: bounds on values that scoring gives, such as ``{"name": "latency_ms", "max": 5}``.
        training: settings of the training that genomes decide, too (see `SearchProblem`).

    Raises:
        ObjectiveError: an objective does not exist, stands there twice, or a proxy has no such setting.
    """

    Options = UninasOptions
    space: UninasSpace

    def __init__(
        self,
        space: UninasSpace,
        objectives: Sequence[str | Callable[..., Any] | ObjectiveOptions | Mapping[str, Any]] = ("vkdnw",),
        *,
        seed: int = 0,
        batch: int = 64,
        proxy_images: str | Path | None = None,
        calibrated_norms: bool = False,
        canonical: bool = True,
        proxies: Mapping[str, Mapping[str, Any]] | None = None,
        aggregate: Sequence[str] = (),
        constraints: Sequence[ConstraintOptions | Mapping[str, Any]] = (),
        training: Table | None = None,
    ) -> None:
        super().__init__(
            space,
            objectives,
            seed=seed,
            batch=batch,
            proxy_images=proxy_images,
            calibrated_norms=calibrated_norms,
            canonical=canonical,
            proxies=proxies,
            aggregate=aggregate,
            constraints=constraints,
            training=training,
        )

    @classmethod
    def from_options(cls, options: UninasOptions, seed: int) -> Self:
        """The problem of a run file's `[problem]` table."""
        start = load_genome(options.start, options.skeleton)
        whole = UninasSpace(start, rule=options.rule(), vary=tuple(options.vary), fill=options.fill)
        space = costed(whole, options.costs, options.budget.budget())
        return cls(space, options.objectives, seed=seed, **scoring(options))
