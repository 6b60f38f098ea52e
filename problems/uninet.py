"""The UniNet space as a problem: operators, downsampling modules and sizes of every stage, scored by any scorer."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationInfo, field_validator

from uninas_evo.devices import costed
from uninas_evo.problems.options import ScoringOptions, folder_of, scoring
from uninas_evo.problems.search import SearchProblem
from uninas_evo.spaces.load import read_source
from uninas_evo.spaces.uninet import (
    MODULES,
    OPERATORS,
    PRESETS,
    REFERENCE,
    Genome,
    Lattice,
    UninetSpace,
    parse_genome,
    preset,
)
from uninas_evo.spaces.uninet.cost import PUBLISHED

__all__ = ["UninetOptions", "UninetProblem"]


class LatticeOptions(BaseModel):
    """The `[problem.lattice]` table: what the options of channels and repeats lie around."""

    model_config = ConfigDict(extra="forbid")

    channels: tuple[PositiveInt, ...] = Field(description="base channels of each stage; options are 0.5 to 1.5 of them")
    repeats: tuple[PositiveInt, ...] = Field(description="base blocks of each stage; options are two fewer to two more")
    divisor: PositiveInt = Field(
        16, description="channels are multiples of it, of the head width where a stage attends; B0 lies on it"
    )
    operators: tuple[str, ...] = Field(OPERATORS, description="what a stage may have; fewer are an ablation")
    modules: tuple[str, ...] = Field(MODULES, description="the same of downsampling modules")


class UninetOptions(ScoringOptions):
    """The `[problem]` table of a run file for the UniNet space."""

    start: str = Field(
        REFERENCE,
        description="where the search begins: a preset (uninet-b0 to uninet-b6, uninet-reference), or a genome's file; "
        "the default is all DWConv, so that a search does not begin at its answer",
    )
    image_size: PositiveInt | None = Field(None, description="side of the images; unset: the start's own")
    classes: PositiveInt | None = Field(None, description="classes of the data; unset: the start's own")
    lattice: LatticeOptions | None = Field(
        None,
        description="channels, repeats, divisor that the options lie around; unset: the paper's for five stages, "
        "else the start's own channels and repeats",
    )

    @classmethod
    def _costs(cls, info: ValidationInfo) -> tuple[str, ...]:
        """The names of the costs: the paper's FLOPs too."""
        return (*super()._costs(info), PUBLISHED)

    @field_validator("start")
    @classmethod
    def _embedded(cls, start: str, info: ValidationInfo) -> str:
        """A file's genome is taken into the run file as text, so that a run folder stands alone."""
        if start in PRESETS:
            return start
        if "\n" in start:
            return parse_genome(start).text
        beside = folder_of(info) / start
        return parse_genome(read_source(str(beside if beside.is_file() else Path(start)), PRESETS)).text

    def genome(self) -> Genome:
        """The start, on its images and classes."""
        start = preset(self.start) if self.start in PRESETS else parse_genome(self.start)
        return start.resized(self.image_size, self.classes)


class UninetProblem(SearchProblem):
    """Scores genomes of the UniNet space."""

    Options = UninetOptions
    space: UninetSpace

    @classmethod
    def from_options(cls, options: UninetOptions, seed: int) -> Self:
        """The problem of a run file's `[problem]` table."""
        lattice = Lattice(**options.lattice.model_dump()) if options.lattice else None
        space = costed(UninetSpace(options.genome(), lattice=lattice), options.costs, options.budget.budget())
        return cls(space, options.objectives, seed=seed, **scoring(options))
