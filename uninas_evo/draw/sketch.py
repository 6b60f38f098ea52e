"""Networks of spaces whose genomes are choices, as parts to draw: cells, a table of stages, a list of choices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from uninas_evo.contracts import Cost, Space
from uninas_evo.draw.parts import Part, grouped
from uninas_evo.spaces.cells.space import CellsSpace
from uninas_evo.spaces.choices import OwnSpace
from uninas_evo.spaces.counts import normed
from uninas_evo.spaces.darts import cost as cell_costs
from uninas_evo.spaces.darts.genome import FIRST_NODE, Cell, Place
from uninas_evo.spaces.darts.genome import Genome as Cells
from uninas_evo.spaces.joint import FixedSpace, JointSpace
from uninas_evo.spaces.mobile.genome import MobileGenome
from uninas_evo.spaces.mobile.plan import halved
from uninas_evo.spaces.stages import cost as stage_costs
from uninas_evo.spaces.stages.plan import Layer, Plan
from uninas_evo.spaces.stages.space import StagesSpace


@dataclass(frozen=True)
class Sketch:
    """What is drawn of a network.

    Attributes:
        id: its title where none is given.
        cost: of the whole network.
        count: how many layers, cells or choices it has.
        counted: what these are called.
        parts: what is drawn.
    """

    id: str
    cost: Cost
    count: int
    counted: str
    parts: tuple[Part, ...]

    @property
    def params(self) -> int:
        """Exact number of parameters."""
        return self.cost.params

    @property
    def flops(self) -> int:
        """Exact FLOPs of one image."""
        return self.cost.flops

    def __len__(self) -> int:
        return self.count

    def marked(self, other: Sketch) -> Sketch:
        """The same with those boxes marked that another sketch does not have at their place."""
        known = {(part.place, part.name) for part in _boxes(other.parts)}
        return replace(self, parts=tuple(_marked(part, known) for part in self.parts))


def sketched(space: Space[Any], genome: Any) -> Any:
    """What is drawn of a genome: a sketch, or the genome itself where it has a drawing of its own, or none."""
    match space:
        case JointSpace():
            return sketched(space.networks, genome.network)
        case FixedSpace():
            return sketched(space.space, genome)
        case CellsSpace():
            return _of_cells(space.plan(genome))
        case StagesSpace():
            return _of_stages(space.plan(genome), space.cost(genome), space.image[0], space.classes)
        case OwnSpace():
            boxes = [Part(f"{name} = {value}", "skeleton", name) for name, value in genome.items()]
            return Sketch("choices", space.cost(genome), len(boxes), "choices", (grouped(boxes, kind="stage"),))
    match genome:
        case Cells():
            return _of_cells(genome)
        case MobileGenome():
            return _of_blocks(genome)
    return genome


def _of_cells(genome: Cells) -> Sketch:
    """The stack with equal neighbors drawn once, then what stands in the two cells."""
    skeleton = genome.skeleton
    stem = Part("stem", "skeleton", "stem", (3, skeleton.image, skeleton.image), cell_costs.stem_cost(skeleton))
    last = skeleton.places[-1]
    shape = (last.outputs, last.output_side, last.output_side)
    parts = [stem]
    for place, run in groupby(skeleton.places):
        cell, name = (genome.reduce, "reduction cell") if place.is_reduction else (genome.normal, "normal cell")
        entering = (place.inputs[1], place.side, place.side)
        box = Part(name, "skeleton", f"cell {len(parts)}", entering, cell_costs.place_cost(cell, place))
        count = len(list(run))
        parts.append(box if count == 1 else grouped([box], kind="block", name="Cells", count=count))
    parts.append(Part("head", "skeleton", "head", shape, cell_costs.head_cost(skeleton)))
    cells = []
    for cell, reduces in ((genome.normal, False), (genome.reduce, True)):
        first = next(place for place in skeleton.places if place.is_reduction == reduces)
        cells.append(_cell(cell, first, "First reduction cell" if reduces else "First normal cell"))
    return Sketch(genome.id, genome.cost, skeleton.cells, "cells", (grouped([grouped(parts), *cells], "across"),))


def _cell(cell: Cell, place: Place, title: str) -> Part:
    """A cell's nodes below one another, with the costs that their edges have at a place."""
    nodes = []
    for node, pair in enumerate(cell.nodes, FIRST_NODE):
        edges = []
        for side, (source, operation) in zip("ab", pair, strict=True):
            halves = place.is_reduction and source < FIRST_NODE
            shape = (place.channels, *(place.side if halves else place.output_side,) * 2)
            cost = cell_costs.operation_cost(operation, place.channels, place.output_side, 2 if halves else 1)
            told = f"{operation} of {_TOLD.get(source, source)}"
            edges.append(Part(told, _kind(operation), f"{title} {node} {side}", shape, cost))
        nodes.append(grouped(edges, "across", "block", f"Node {node}", f"{title} {node}"))
    return grouped(nodes, "down", "stage", title, title)


_TOLD = {0: "the cell before the last", 1: "the last cell"}
"""What the first two sources of an edge are."""


def _kind(operation: str) -> str:
    return "convolution" if "conv" in operation else "shape" if "pool" in operation else "skeleton"


def _of_blocks(genome: MobileGenome) -> Sketch:
    """A frame for each width of the chain, in it its blocks; what is left out is not there."""
    plan = genome.plan
    side = halved(plan.image)
    parts = [Part("stem", "skeleton", "stem", (3, plan.image, plan.image), normed(3, plan.stem, 3, side))]
    for number, (_, stage) in enumerate(groupby(plan.blocks, key=lambda block: block.outputs), 1):
        boxes = []
        for place, block in enumerate(stage):
            told = f"{block.kernel}x{block.kernel} e={block.middle / block.inputs:.3g} c={block.outputs}"
            told += (" se" if block.squeeze else "") + (" /2" if block.stride == 2 else "")
            boxes.append(Part(told, "convolution", f"{number}/{place}", (block.inputs, side, side), block.cost(side)))
            side = halved(side) if block.stride == 2 else side
        parts.append(grouped(boxes, "along", "stage", f"Stage {number}", str(number)))
    parts.append(Part("head", "skeleton", "head", (plan.blocks[-1].outputs, side, side), plan.head_cost(side)))
    return Sketch(genome.id, genome.cost, len(plan.blocks), "blocks", tuple(parts))


def _of_stages(plan: Plan, cost: Cost, channels: int, classes: int) -> Sketch:
    """A frame for each stage, in it its layers, equal neighbors once."""
    parts = [
        Part(plan.stem, "skeleton", "stem", (channels, plan.image, plan.image), stage_costs.stem_cost(plan, channels))
    ]
    side = plan.side
    for number, (_, stage) in enumerate(groupby(_numbered(plan.layers), key=lambda pair: pair[0]), 1):
        boxes: list[Part] = []
        for one, run in groupby(layer for _, layer in stage):
            count = len(list(run))
            kind = "attention" if one.kind == "transformer" else "convolution"
            box = Part(
                _told(one), kind, f"{number}/{len(boxes)}", (one.inputs, side, side), stage_costs.layer_cost(one, side)
            )
            boxes.append(box if count == 1 else grouped([box], kind="block", name="Layers", count=count))
            side = one.after(side)
        parts.append(grouped(boxes, "along", "stage", f"Stage {number}", str(number)))
    head = stage_costs.head_cost(plan, side, classes)
    parts.append(Part("head", "skeleton", "head", (plan.layers[-1].outputs, side, side), head))
    return Sketch("stages", cost, len(plan.layers), "layers", tuple(parts))


def _numbered(layers: Iterable[Layer]) -> Iterable[tuple[int, Layer]]:
    """Each layer with the number of its stage: one begins where more than the input's channels differs."""
    number, before = 0, None
    for one in layers:
        alike = replace(one, inputs=one.outputs, stride=1)
        number += before is not None and (alike != before or one.stride == 2)
        before = alike
        yield number, one


def _told(one: Layer) -> str:
    """A layer in words."""
    words = [one.kind]
    if one.kind == "transformer":
        words.append(f"heads={one.heads}")
    else:
        words.append(f"{one.kernel}x{one.kernel}")
    if one.kind != "conv":
        words.append(f"e={one.expansion}")
    if one.squeeze:
        words.append(f"se={one.squeeze:g}")
    return " ".join([*words, f"c={one.outputs}", *(["/2"] if one.stride == 2 else [])])


def _boxes(parts: Iterable[Part]) -> Iterable[Part]:
    for part in parts:
        yield part
        yield from _boxes(part.parts)


def _marked(part: Part, known: set[tuple[str, str]]) -> Part:
    inner = tuple(_marked(one, known) for one in part.parts)
    return replace(part, parts=inner, marked=not part.parts and (part.place, part.name) not in known)
