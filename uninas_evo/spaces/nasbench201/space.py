"""The cells of NAS-Bench-201 as a search space: their text, variation, exact cost and networks.

Source: Dong & Yang, "NAS-Bench-201", ICLR 2020, arXiv 2001.00326. A cell has four nodes; each of the six
edges between them holds one of five operations, and a network stacks fifteen copies of one cell.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

from uninas_evo.contracts import Budget, Cost, Decision, Supernet
from uninas_evo.errors import GenomeError
from uninas_evo.spaces.choices import Choices, ChoiceSpace
from uninas_evo.spaces.load import SpaceEntry

if TYPE_CHECKING:
    from torch import nn

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""(source, target) of each edge, in the order of the text."""
CELLS_PER_STAGE = 5
STAGES = ((16, 32), (32, 16), (64, 8))
"""(channels, height and width) of each stage, for images of 32 x 32."""


class Cell(Choices):
    """A genome: the operations on the six edges, in the order of `EDGES`."""

    __slots__ = ()

    def __new__(cls, edges: Iterable[str]) -> Self:
        """The cell of six names out of `OPERATIONS`."""
        return super().__new__(cls, map(OPERATIONS.index, edges))

    def __getnewargs__(self) -> tuple[tuple[str, ...]]:
        """What `__new__` takes, for copies and pickles."""
        return (self.edges,)

    def __repr__(self) -> str:
        return f"Cell({self.text!r})"

    @property
    def edges(self) -> tuple[str, ...]:
        """The names of the operations."""
        return tuple(OPERATIONS[index] for index in self)

    @property
    def text(self) -> str:
        """The benchmark's own text of a cell, such as `|none~0|+|none~0|none~1|+|none~0|none~1|none~2|`."""
        nodes: dict[int, str] = {}
        for operation, (source, target) in zip(self.edges, EDGES, strict=True):
            nodes[target] = nodes.get(target, "|") + f"{operation}~{source}|"
        return "+".join(nodes.values())

    @property
    def is_whole(self) -> bool:
        """Whether every operation but `none` lies on a way from the input to the output: true of 9,445 cells."""
        used = [edge for edge, operation in zip(EDGES, self.edges, strict=True) if operation != "none"]
        reached, reaching = {0}, {3}
        for source, target in sorted(used):
            reached |= {target} if source in reached else set()
        for source, target in sorted(used, key=lambda edge: -edge[1]):
            reaching |= {source} if target in reaching else set()
        return all(source in reached and target in reaching for source, target in used)

    @classmethod
    def from_text(cls, text: str) -> Cell:
        """The cell of a text.

        Raises:
            GenomeError: an operation is unknown, or the text is not that of six edges.
        """
        edges = tuple(part.split("~")[0] for part in text.replace("+", "").split("|") if part)
        for operation in edges:
            if operation not in OPERATIONS:
                raise GenomeError(
                    f"the operation {operation!r} in the cell {text!r} is unknown; use one of {', '.join(OPERATIONS)}"
                )
        if len(edges) != len(EDGES) or cls(edges).text != text:
            example = cls(("nor_conv_3x3",) * len(EDGES)).text
            raise GenomeError(f"a cell's text has six edges and reads like {example!r}, got {text!r}")
        return cls(edges)


RESNET = Cell(("nor_conv_3x3", "none", "nor_conv_3x3", "skip_connect", "none", "skip_connect"))
"""Two convolutions in a row beside an identity: the cell the benchmark's paper calls ResNet."""


class NASBench201Space(ChoiceSpace[Cell]):
    """The 15,625 cells, inside a budget; the decisions are `edge_0` to `edge_5`.

    Args:
        classes: the classes of the classifier: 10 for CIFAR-10, 100 for CIFAR-100.
        start: the cell that walks begin at; None takes the admitted cell nearest to ResNet's.
        budget: bounds on parameters and FLOPs.

    Raises:
        BudgetError: no cell, or not the start, is inside the budget.
    """

    start: Cell

    def __init__(self, classes: int = 10, start: Cell | None = None, budget: Budget | None = None) -> None:
        decisions = (Decision(f"edge_{index}", OPERATIONS) for index in range(len(EDGES)))
        super().__init__(decisions, (3, STAGES[0][1], STAGES[0][1]), classes, budget, start)
        self.start = start or self.nearest(RESNET)

    def genome(self, indices: Iterable[int]) -> Cell:
        """The cell of six indices into `OPERATIONS`."""
        return Cell(OPERATIONS[index] for index in indices)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Every cell inside the budget, in a fixed order."""
        return self.genomes

    def cost(self, genome: Cell) -> Cost:
        """The benchmark's parameters; FLOPs are multiplications and additions, twice the benchmark's own."""
        fixed = _skeleton_cost(self.classes)
        return self.extended(genome, sum((_operation_cost(operation) for operation in genome.edges), fixed))

    def build(self, genome: Cell) -> nn.Module:
        """The benchmark's network: a stem of 16 channels and three stages of five cells."""
        from uninas_evo.spaces.nasbench201.network import CellNetwork

        return CellNetwork(genome, self.classes)

    def supernet(self, **options: Any) -> Supernet[Cell]:
        """All cells' weights; see `uninas_evo.spaces.nasbench201.shared.CellSupernet` for the options."""
        from uninas_evo.spaces.nasbench201.shared import CellSupernet

        return CellSupernet(self, **options)

    def encode(self, genome: Cell) -> str:
        """The benchmark's architecture string."""
        return genome.text

    def decode(self, text: str) -> Cell:
        """The cell of an architecture string.

        Raises:
            GenomeError: the text is not an architecture string of the benchmark.
        """
        return Cell.from_text(text)


def _convolution(inputs: int, outputs: int, kernel: int, side: int, *, norm: bool = True) -> Cost:
    """A convolution without bias onto side x side, its batch normalization behind it."""
    weights, positions = kernel**2 * inputs * outputs, side**2
    cost = Cost(weights, 2 * weights * positions)
    return cost + Cost(2 * outputs, 2 * outputs * positions) if norm else cost


@lru_cache
def _operation_cost(operation: str) -> Cost:
    """What one edge's operation costs in all fifteen cells."""
    total = Cost(0, 0)
    for channels, side in STAGES:
        once = {
            "nor_conv_1x1": _convolution(channels, channels, 1, side),
            "nor_conv_3x3": _convolution(channels, channels, 3, side),
            "avg_pool_3x3": Cost(0, 9 * channels * side**2),
        }.get(operation, Cost(0, 0))
        total = sum([once] * CELLS_PER_STAGE, total)
    return total


@lru_cache
def _skeleton_cost(classes: int) -> Cost:
    """What the stem, the two reduction blocks, the last normalization and the classifier cost."""
    (first, side), (last, last_side) = STAGES[0], STAGES[-1]
    total = _convolution(3, first, 3, side)
    for (inputs, _), (outputs, smaller) in itertools.pairwise(STAGES):
        total += _convolution(inputs, outputs, 3, smaller) + _convolution(outputs, outputs, 3, smaller)
        total += Cost(0, 4 * inputs * smaller**2) + _convolution(inputs, outputs, 1, smaller, norm=False)
    total += Cost(2 * last, 2 * last * last_side**2) + Cost(0, last * last_side**2)
    return total + Cost((last + 1) * classes, (2 * last + 1) * classes)


def _load(source: str) -> tuple[NASBench201Space, Cell]:
    return NASBench201Space(), Cell.from_text(source.strip())


ENTRY = SpaceEntry(
    begins=("|",),
    load=_load,
    space_of=lambda genome: NASBench201Space() if isinstance(genome, Cell) else None,
)
"""How architecture strings are known; they do not say their classes: ten are taken, as for CIFAR-10."""
