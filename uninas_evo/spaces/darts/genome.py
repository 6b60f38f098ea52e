"""The genomes of the DARTS cell space: two cells on a skeleton, and their canonical text.

Sources: Liu et al., "DARTS", ICLR 2019, arXiv 1806.09055, section 2.1; Vahdat et al., "UNAS", arXiv 1912.07651.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from uninas_evo.contracts import Cost
from uninas_evo.errors import GenomeError
from uninas_evo.spaces.genome import TextGenome
from uninas_evo.spaces.lines import read_lines, whole

HEADER = "darts 1"
OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""Every operation that an edge of a genome may hold."""
KNOWN = (*OPERATIONS, "none", "identity", "conv_3x3", "conv_5x5")
"""Every operation that has layers and costs: the space `cells` has more than this one."""
FIRST_NODE = 2
"""Nodes 0 and 1 are the outputs of the two cells before."""
NODES = (2, 3, 4, 5)
"""The nodes of this space's cells that sum two edges each; a cell's output concatenates them."""
SMALL_IMAGE = 64
"""Up to so many pixels a network has the stem for CIFAR, above it the one for ImageNet, which keeps an eighth."""

_NODE = re.compile(r"\|(?P<first>\w+~\d)\|(?P<second>\w+~\d)\|", re.ASCII)


class Edge(NamedTuple):
    """An operation on the output of an earlier node; edges of a node are ordered by input, then by name."""

    input: int
    operation: str


@dataclass(frozen=True, slots=True)
class Skeleton:
    """What the search leaves alone.

    Attributes:
        image: pixels of a side; a multiple of 4, above 64 of 32, so that every reduction halves evenly.
        classes: K, the classifier's outputs.
        channels: C of the first cells, even; each of the two reductions doubles them.
        cells: how many are stacked, at least 3; those at a third and at two thirds are reductions.
        nodes: of a cell, whose outputs are concatenated.

    Raises:
        GenomeError: a number is outside its rule.
    """

    image: int = 32
    classes: int = 10
    channels: int = 36
    cells: int = 20
    nodes: int = len(NODES)

    def __post_init__(self) -> None:
        multiple = 32 if self.is_large else 4
        if self.image < multiple or self.image % multiple:
            raise GenomeError(f"image must be a multiple of {multiple}, got {self.image}; choose another size")
        if self.channels < 2 or self.channels % 2:
            raise GenomeError(f"channels must be even and at least 2, got {self.channels}; choose another width")
        if not 3 <= self.cells <= 1000:
            raise GenomeError(f"cells must lie in 3..1000, got {self.cells}; choose another depth")
        if self.classes < 1:
            raise GenomeError(f"classes must be at least 1, got {self.classes}; give the classes of the data")

    @property
    def is_large(self) -> bool:
        """Whether the stem is the one for ImageNet."""
        return self.image > SMALL_IMAGE

    @property
    def places(self) -> tuple[Place, ...]:
        """The place of each cell, from the first to the last."""
        places: list[Place] = []
        width = self.channels if self.is_large else 3 * self.channels
        before, last, halves = width, width, self.is_large
        channels, side = self.channels, self.image // 8 if self.is_large else self.image
        for index in range(self.cells):
            is_reduction = index in (self.cells // 3, 2 * self.cells // 3)
            channels *= 2 if is_reduction else 1
            place = Place((before, last), channels, side, is_reduction, halves, self.nodes)
            places.append(place)
            before, last, side, halves = last, place.outputs, place.output_side, is_reduction
        return tuple(places)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a cell stands in a network.

    Attributes:
        inputs: channels of its two inputs.
        channels: C of its nodes.
        side: height and width of its second input; a reduction's nodes have half of it.
        is_reduction: whether edges from its inputs have stride 2.
        halves: whether its first input has twice the size of the second, and is halved.
        nodes: of the cell.
    """

    inputs: tuple[int, int]
    channels: int
    side: int
    is_reduction: bool
    halves: bool
    nodes: int

    @property
    def outputs(self) -> int:
        """Channels of the concatenated nodes."""
        return self.nodes * self.channels

    @property
    def output_side(self) -> int:
        """Height and width of its nodes."""
        return self.side // 2 if self.is_reduction else self.side


@dataclass(frozen=True, slots=True)
class Cell:
    """Two edges for each of the nodes from 2 on, in canonical order: equal cells are equal networks.

    Args:
        nodes: the pair of edges of each node, in any order.

    Raises:
        GenomeError: a node has not two edges, or an edge does not fit its node.
    """

    nodes: tuple[tuple[Edge, Edge], ...]

    def __post_init__(self) -> None:
        if any(len(pair) != 2 for pair in self.nodes):
            raise GenomeError(f"a cell has nodes of two edges, got {self.nodes!r:.200}; fix the cell")
        for node, pair in enumerate(self.nodes, FIRST_NODE):
            for source, operation in pair:
                if operation not in KNOWN:
                    raise GenomeError(f"the operation {operation[:40]!r} is unknown; use one of {', '.join(KNOWN)}")
                if not 0 <= source < node:
                    raise GenomeError(f"an input of node {node} must lie in 0..{node - 1}, got {source}; fix the edge")
        object.__setattr__(self, "nodes", tuple(tuple(sorted(Edge(*edge) for edge in pair)) for pair in self.nodes))

    @property
    def text(self) -> str:
        """The cell in one line, such as ``|sep_conv_3x3~0|sep_conv_3x3~1|+...``."""
        return "+".join(f"|{'|'.join(f'{edge.operation}~{edge.input}' for edge in pair)}|" for pair in self.nodes)

    @property
    def has_distinct_inputs(self) -> bool:
        """Whether the two inputs of every node differ, as DARTS demands and the factorized rule does not."""
        return all(a.input != b.input for a, b in self.nodes)

    @classmethod
    def from_text(cls, text: str) -> Cell:
        """The cell of a line.

        Raises:
            GenomeError: the line is not that of four nodes of two edges.
        """
        matches = [_NODE.fullmatch(part.strip()) for part in text.split("+")]
        if len(matches) != len(NODES) or not all(matches):
            raise GenomeError(
                f"a cell's text has four nodes such as '|sep_conv_3x3~0|skip_connect~1|' joined by '+', got "
                f"{text[:200]!r}; fix the line"
            )
        return cls(tuple((_edge(match["first"]), _edge(match["second"])) for match in matches if match))


def _edge(text: str) -> Edge:
    operation, _, source = text.partition("~")
    return edge_of(int(source), operation)


def edge_of(source: int, operation: str) -> Edge:
    """An edge of this space.

    Raises:
        GenomeError: it has no such operation.
    """
    if operation not in OPERATIONS:
        raise GenomeError(f"the operation {operation[:40]!r} is unknown; use one of {', '.join(OPERATIONS)}")
    return Edge(source, operation)


@dataclass(frozen=True)
class Genome(TextGenome):
    """A normal and a reduction cell on a skeleton.

    Raises:
        GenomeError: a cell has not as many nodes as the skeleton says.
    """

    normal: Cell
    reduce: Cell
    skeleton: Skeleton = field(default_factory=Skeleton)

    def __post_init__(self) -> None:
        for cell in (self.normal, self.reduce):
            if len(cell.nodes) != self.skeleton.nodes:
                raise GenomeError(
                    f"a cell has {self.skeleton.nodes} nodes of two edges, got {len(cell.nodes)} nodes; fix the cell"
                )

    @cached_property
    def cost(self) -> Cost:
        """Exact parameters, FLOPs and MACs, without the auxiliary head."""
        from uninas_evo.spaces.darts.cost import network_cost

        return network_cost(self)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one image in convolutions and the classifier."""
        return int(self.cost["macs"])

    @property
    def text(self) -> str:
        """The canonical text."""
        s = self.skeleton
        return (
            f"{HEADER}\nimage {s.image}\nclasses {s.classes}\nchannels {s.channels}\ncells {s.cells}\n"
            f"normal {self.normal.text}\nreduce {self.reduce.text}\n"
        )

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cell at each place of the network."""
        return tuple(self.reduce if place.is_reduction else self.normal for place in self.skeleton.places)


def parse(text: str) -> Genome:
    """The genome of a canonical text; order and spaces of lines do not matter.

    Raises:
        GenomeError: the text is no genome; the message says where and why.
    """
    found = read_lines(text, HEADER, ("image", "classes", "channels", "cells", "normal", "reduce"))
    numbers = {key: whole(found[key], key) for key in ("image", "classes", "channels", "cells")}
    return Genome(Cell.from_text(found["normal"]), Cell.from_text(found["reduce"]), Skeleton(**numbers))
