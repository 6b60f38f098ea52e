"""The cells of DARTS and UNAS: any scorer, or accuracy with shared weights."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator

from uninas_evo.devices import costed
from uninas_evo.errors import GenomeError
from uninas_evo.problems.options import folder_of, scoring
from uninas_evo.problems.shared_weights import MacsOptions, SharedWeightsProblem
from uninas_evo.spaces.darts.genome import Genome, Skeleton
from uninas_evo.spaces.darts.space import DartsSpace
from uninas_evo.spaces.load import load_genome


class DartsOptions(MacsOptions):
    """The `[problem]` table of a run file for the DARTS space."""

    rule: Literal["darts", "factorized"] = Field(
        "darts", description="darts: the inputs of a node differ; factorized: both edges are free, as in UNAS"
    )
    image: int = Field(32, description="pixels of a side; above 64 the stem is the one for ImageNet")
    classes: int = Field(10, description="of the data")
    channels: int = Field(36, description="of the first cells; 36 as in the papers' trainings on CIFAR-10")
    cells: int = Field(20, description="how many are stacked; 20 as in the papers' trainings on CIFAR-10")
    start: str = Field(
        "", description="where walks begin: a preset such as darts_v2, or a genome's file; unset: nowhere"
    )

    @field_validator("start")
    @classmethod
    def _embedded(cls, start: str, info: ValidationInfo) -> str:
        """A file's genome is taken into the run file as text, so that a run folder stands alone."""
        beside = folder_of(info) / start
        return load_genome(beside).text if start and "\n" not in start and beside.is_file() else start


class DartsProblem(SharedWeightsProblem):
    """Scores genomes of the DARTS space; see `SharedWeightsProblem`."""

    Options = DartsOptions
    space: DartsSpace

    @classmethod
    def from_options(cls, options: DartsOptions, seed: int) -> Self:
        """The problem of a run file's `[problem]` table."""
        skeleton = Skeleton(options.image, options.classes, options.channels, options.cells)
        start = _start(options.start, skeleton)
        whole = DartsSpace(skeleton, options.rule, start=start)
        space = costed(whole, options.costs, options.budget.budget(), keep_start=True)
        more: dict[str, Any] = scoring(options) | {"supernet": options.supernet}
        return cls(space, options.objectives, seed=seed, **more)


def _start(source: str, skeleton: Skeleton) -> Genome | None:
    if not source:
        return None
    genome = load_genome(source, skeleton)
    if not isinstance(genome, Genome) or genome.skeleton != skeleton:
        raise GenomeError(f"problem.start must be a genome of this space on {skeleton}, got {source[:80]!r}; fix it")
    return genome
