"""The training of one fixed network: what one searches before architectures."""

from __future__ import annotations

from typing import Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from uninas_evo.devices import costed
from uninas_evo.problems.options import ScoringOptions, folder_of, scoring
from uninas_evo.problems.search import SearchProblem
from uninas_evo.scoring.named import ObjectiveOptions
from uninas_evo.spaces.joint import FixedSpace
from uninas_evo.spaces.load import load_space


class TrainingOptions(ScoringOptions):
    """The `[problem]` table of a run file for the training of a fixed network."""

    network: str = Field(description="a preset, or a genome's file; of a network of your own: the problem choices")
    objectives: list[str | ObjectiveOptions] = Field(["train"], description="train, or functions of your own")

    @field_validator("network")
    @classmethod
    def _embedded(cls, network: str, info: ValidationInfo) -> str:
        """A file's genome is taken into the run file as text, so that a run folder stands alone."""
        beside = folder_of(info) / network if "\n" not in network else None
        space, genome = load_space(beside if beside is not None and beside.is_file() else network)
        return space.encode(genome)

    @model_validator(mode="after")
    def _decides(self) -> Self:
        if not self.training:
            raise ValueError("nothing is decided; give settings in `training`, such as lr and weight_decay")
        return self


class TrainingProblem(SearchProblem):
    """Scores settings of the training of one network."""

    Options = TrainingOptions

    @classmethod
    def from_options(cls, options: TrainingOptions, seed: int) -> Self:
        """The problem of a run file's `[problem]` table."""
        space = costed(FixedSpace(*load_space(options.network)), options.costs, options.budget.budget())
        return cls(space, options.objectives, seed=seed, **scoring(options))
