"""What problems of spaces that share weights have in common: the table `[problem.supernet]` and its objective."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from uninas_evo.contracts import Scorer, Space
from uninas_evo.problems.options import MacsCosts, ScoringOptions, folder_of
from uninas_evo.problems.search import SearchProblem
from uninas_evo.scoring.named import Written
from uninas_evo.sharing.options import SupernetOptions
from uninas_evo.sharing.scorer import SupernetScorer

SHARED = tuple(objective.name for objective in SupernetScorer.objectives)
"""The objectives that shared weights give."""


class SharedOptions(ScoringOptions):
    """The part of a `[problem]` table that says how shared weights are trained."""

    own = SHARED

    supernet: SupernetOptions | None = Field(
        None, description='how shared weights are trained before the search, for the objective "supernet"'
    )

    @field_validator("supernet")
    @classmethod
    def _data_found(cls, supernet: SupernetOptions | None, info: ValidationInfo) -> SupernetOptions | None:
        """Data is looked for beside the run file, then in the working folder."""
        if supernet is None or not (beside := folder_of(info) / supernet.data).exists():
            return supernet
        return supernet.model_copy(update={"data": str(beside.absolute())})

    @model_validator(mode="after")
    def _supernet_told(self) -> Self:
        names = [one if isinstance(one, str) else one.name for one in self.objectives]
        if self.supernet is None and (asked := [name for name in names if name in SHARED]):
            raise ValueError(f"the objective {asked[0]!r} needs shared weights; add [problem.supernet] with its data")
        return self


class MacsOptions(MacsCosts, SharedOptions):
    """Both, for the spaces of cells and mobile networks."""


def shared_scorers(supernet: SupernetOptions | None) -> tuple[Scorer, ...]:
    """The scorer of shared weights, where they are trained."""
    return () if supernet is None else (SupernetScorer(**supernet.model_dump()),)


class SharedWeightsProblem(SearchProblem):
    """Scores the genomes of a space that shares weights.

    Args:
        space: where genomes come from.
        objectives: "supernet", "supernet_loss", or what `SearchProblem` scores in any space.
        seed: of weights and images.
        supernet: how shared weights are trained; None for none.
        scoring: batch, proxies and aggregate, as `SearchProblem` takes them.
    """

    def __init__(
        self,
        space: Space[Any],
        objectives: Sequence[Written],
        *,
        seed: int = 0,
        supernet: SupernetOptions | None = None,
        **scoring: Any,
    ) -> None:
        self.own = shared_scorers(supernet)
        super().__init__(space, objectives, seed=seed, **scoring)
