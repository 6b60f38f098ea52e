"""The cell space: DARTS' stack of cells with more operations, and with its sizes among the decisions."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from uninas_evo.contracts import Budget, Cost
from uninas_evo.errors import GenomeError, SpaceError
from uninas_evo.spaces.choices.own import Chosen, OwnSpace, Value
from uninas_evo.spaces.choices.text import read_settings
from uninas_evo.spaces.darts.cost import network_cost
from uninas_evo.spaces.darts.genome import FIRST_NODE, Cell, Edge, Genome, Skeleton
from uninas_evo.spaces.load import SpaceEntry

if TYPE_CHECKING:
    from torch import nn

FORM = "cells 1"
Operation = Literal[
    "identity",
    "conv_3x3",
    "conv_5x5",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "none",
]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
"""What edges may hold. Where an edge halves the map, `identity` averages 2x2 pixels and has no weights, and
`skip_connect` is DARTS' pair of 1x1 convolutions; elsewhere both pass it on."""
KINDS = ("normal", "reduce")
NODES = (3, 4, 5)
CELLS = (5, 8, 11, 14, 17, 20)
"""From what a minute trains to the depth of DARTS."""
WIDTHS = (8, 12, 16, 24, 32, 36, 48)
"""Channels of the first cells; even, and DARTS' 36 among them."""

SIZES = ("cells", "width", "nodes")
"""The first decisions."""
STRUCTURAL = 0.2
"""Share of the mutations that change one of them: among forty choices of edges they would hardly ever be."""
FURTHER = ("operations", "nodes", "cells", "widths")
"""What a space is made with beside image and classes, and what its texts tell of it."""


class CellsSpace(OwnSpace):
    """A normal and a reduction cell of 3 to 5 nodes with two edges each; a genome maps its choices to their values.

    Reductions stand at a third and at two thirds of the stack. Nodes are numbered from 2, since 0 and 1 are the outputs
    of the two cells before: ``normal_3_input_a`` is where the first edge of a normal cell's second node comes from.

    Args:
        image: pixels of a side; a multiple of 4, above 64 of 32.
        classes: outputs of the networks.
        operations: what edges may hold, some of `OPERATIONS`.
        nodes: numbers of nodes to choose among.
        cells: numbers of cells to choose among.
        widths: channels of the first cells to choose among.
        budget: bounds that no operator leaves.
        start: values where walks begin; None for nowhere in particular.

    Raises:
        SpaceError: an operation or a number is wrong.
        BudgetError: the start lies outside the budget.
    """

    form = FORM

    def __init__(
        self,
        image: int = 32,
        classes: int = 10,
        operations: Sequence[str] = OPERATIONS,
        nodes: Sequence[int] = NODES,
        cells: Sequence[int] = CELLS,
        widths: Sequence[int] = WIDTHS,
        *,
        budget: Budget | None = None,
        start: Mapping[str, Value] | None = None,
    ) -> None:
        if unknown := [name for name in operations if name not in OPERATIONS]:
            raise SpaceError(f"the operations {unknown} are unknown; use some of {', '.join(OPERATIONS)}")
        if wrong := [count for count in nodes if not 1 <= count <= 9]:
            raise SpaceError(f"a cell has 1 to 9 nodes, got {wrong}; change them")
        for count, width in [(cells[0], width) for width in widths] + [(count, widths[0]) for count in cells]:
            _skeleton(image, classes, count, width)
        self.operations, self.nodes = tuple(operations), tuple(nodes)
        self.cells, self.widths = tuple(cells), tuple(widths)
        table: dict[str, Sequence[Value]] = dict(zip(SIZES, (self.cells, self.widths, self.nodes), strict=True))
        when: dict[str, Mapping[str, Sequence[Value]]] = {}
        for kind in KINDS:
            for node in range(FIRST_NODE, FIRST_NODE + max(nodes)):
                names = _names(kind, node)
                values: tuple[Sequence[Value], ...] = (range(node), self.operations) * 2
                table |= dict(zip(names, values, strict=True))
                enough = [count for count in self.nodes if FIRST_NODE + count > node]
                when |= {name: {"nodes": enough} for name in names}
        super().__init__(
            table,
            self._network,
            self._formula,
            image=(3, image, image),
            classes=classes,
            when=when,
            budget=budget,
            start=start,
        )

    def mutate(self, genome: Chosen, rng: random.Random) -> Chosen | None:
        """Another number of cells or nodes or another width, or another value of one choice of an edge."""
        if rng.random() < STRUCTURAL:
            place = rng.randrange(len(SIZES))
            index = rng.randrange(self.decisions[place].size)
            child = self.canonical(self.genome(self.indices(genome).replaced(place, index)))
            if child != genome and self.admits(child):
                return child
        return super().mutate(genome, rng)

    def nearest(self, genome: Chosen) -> Chosen:
        """The genome itself where it is inside the budget, else the same cells in another number or width.

        Where no size brings them inside, cells change too, from the size that is least outside.

        Raises:
            BudgetError: none was found.
        """
        if self.admits(genome):
            return genome
        sized = [
            Chosen(dict(genome) | {"cells": count, "width": width}) for count in self.cells for width in self.widths
        ]
        inside = [one for one in sized if self.admits(one)]
        if not inside:
            return super().nearest(min(sized, key=self._excess))
        params = self.cost(genome).params
        return min(inside, key=lambda one: (self._distance(one, genome), abs(self.cost(one).params - params)))

    def canonical(self, genome: Chosen) -> Chosen:
        """The two edges of a node in order, and edges without connection from the first input."""
        values = dict(genome)
        for kind in KINDS:
            for node in range(FIRST_NODE, FIRST_NODE + genome["nodes"]):
                names = _names(kind, node)
                edges = [one if one.operation != "none" else Edge(0, "none") for one in _edges(genome, kind, node)]
                a, b = sorted(edges, key=lambda one: (one.input, self.operations.index(one.operation)))
                values |= dict(zip(names, (*a, *b), strict=True))
        return Chosen(values)

    def plan(self, genome: Chosen) -> Genome:
        """The cells and their skeleton, which cost and network are made from."""
        normal, reduce = (
            Cell(tuple(_edges(genome, kind, node) for node in range(FIRST_NODE, FIRST_NODE + genome["nodes"])))
            for kind in KINDS
        )
        skeleton = _skeleton(self.image[1], self.classes, genome["cells"], genome["width"])
        return Genome(normal, reduce, replace(skeleton, nodes=genome["nodes"]))

    def settings(self) -> Mapping[str, str]:
        """Image, classes, and what is to choose among."""
        further = {name: getattr(self, name) for name in FURTHER}
        return {**super().settings(), **{name: " ".join(map(str, values)) for name, values in further.items()}}

    def _formula(self, genome: Chosen) -> Cost:
        return network_cost(self.plan(genome))

    def _network(self, genome: Chosen) -> nn.Module:
        from uninas_evo.spaces.darts.network import DartsNetwork

        return DartsNetwork(self.plan(genome))


def load(source: str) -> tuple[CellsSpace, Any]:
    """The space and genome of a text.

    Raises:
        GenomeError: the text is no genome.
    """
    settings = read_settings(source)
    try:
        operations, *numbers = (settings[name].split() for name in FURTHER)
        image, classes = int(settings["image"].split()[1]), int(settings["classes"])
        space = CellsSpace(image, classes, operations, *([int(word) for word in words] for words in numbers))
    except (KeyError, ValueError, IndexError, SpaceError) as error:
        raise GenomeError(
            f"a text of {FORM!r} tells image, classes, {', '.join(FURTHER)} in lines such as 'classes: 10', and one of "
            f"them is missing or wrong ({error}); fix it"
        ) from None
    return space, space.decode(source)


ENTRY = SpaceEntry(begins=(FORM,), load=load)


def _names(kind: str, node: int) -> tuple[str, ...]:
    """The choices of a node: input and operation of its first edge, then of its second."""
    return tuple(f"{kind}_{node}_{what}_{edge}" for edge in "ab" for what in ("input", "operation"))


def _edges(genome: Chosen, kind: str, node: int) -> tuple[Edge, Edge]:
    input_a, operation_a, input_b, operation_b = (genome[name] for name in _names(kind, node))
    return Edge(input_a, operation_a), Edge(input_b, operation_b)


def _skeleton(image: int, classes: int, cells: int, width: int) -> Skeleton:
    try:
        return Skeleton(image, classes, width, cells)
    except GenomeError as error:
        raise SpaceError(str(error)) from None
