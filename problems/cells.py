"""The cell space as a problem: two cells and the sizes of their stack, times any scorer."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from uninas_evo.devices import costed
from uninas_evo.problems.options import Listed, MacsCosts, scoring
from uninas_evo.problems.search import SearchProblem
from uninas_evo.spaces.cells.space import CELLS, NODES, OPERATIONS, WIDTHS, CellsSpace, Operation


class CellsOptions(MacsCosts):
    """The `[problem]` table of a run file for the cell space."""

    image: int = Field(32, description="pixels of a side, a multiple of 4; above 64 the stem is the one for ImageNet")
    classes: int = Field(10, description="of the data")
    operations: list[Operation] = Field(list(OPERATIONS), min_length=1, description="what edges may hold")
    nodes: list[int] = Field(list(NODES), min_length=1, description="numbers of a cell's nodes to choose among")
    cells: list[int] = Field(list(CELLS), min_length=1, description="numbers of cells to choose among, from 3 on")
    widths: list[int] = Field(list(WIDTHS), min_length=1, description="even channels of the first cells")
    start: dict[str, Listed] = Field(default_factory=dict, description="choices where walks begin; unset: nowhere")


class CellsProblem(SearchProblem):
    """Scores genomes of the cell space."""

    Options = CellsOptions

    @classmethod
    def from_options(cls, options: CellsOptions, seed: int) -> Self:
        """The problem of a run file's `[problem]` table."""
        lists = options.operations, options.nodes, options.cells, options.widths
        whole = CellsSpace(options.image, options.classes, *lists, start=options.start or None)
        space = costed(whole, options.costs, options.budget.budget(), keep_start=True)
        return cls(space, options.objectives, seed=seed, **scoring(options))
