"""Drawings of spaces whose genomes are choices: their boxes cost what the network costs, and every space has one."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import pytest
from own_network import own

from uninas_evo import Real, load_space
from uninas_evo.contracts import Cost
from uninas_evo.draw import draw, titled_parts
from uninas_evo.draw.parts import Part
from uninas_evo.draw.sketch import Sketch, sketched
from uninas_evo.errors import GenomeError
from uninas_evo.spaces.cells.space import CellsSpace
from uninas_evo.spaces.joint import FixedSpace, JointSpace
from uninas_evo.spaces.nasbench201.space import NASBench201Space
from uninas_evo.spaces.stages.space import StagesSpace


def total(parts: Iterable[Part]) -> tuple[float, float]:
    cost = sum((part.total for part in parts), Cost())
    return cost.params, cost.flops


@pytest.mark.parametrize("seed", range(5))
def test_boxes_of_stages_cost_what_the_network_costs(seed: int) -> None:
    """Stem, layers and head together are the whole, each stage begins where the choices do, and layers are counted."""
    space = StagesSpace((32, 48))
    genome = space.sample(random.Random(seed))
    sketch = sketched(space, genome)
    assert total(sketch.parts) == (space.cost(genome).params, space.cost(genome).flops)
    assert len(sketch) == sum(genome[f"depth_{n}"] for n in range(1, genome["stages"] + 1))
    assert sum(part.kind == "stage" for part in sketch.parts) <= genome["stages"]


@pytest.mark.parametrize("seed", range(5))
def test_boxes_of_a_stack_cost_what_the_network_costs(seed: int) -> None:
    """Equal neighbors are drawn once; the first cell of each kind has its nodes beside the stack."""
    space = CellsSpace(16, cells=(3, 8), widths=(4, 8))
    genome = space.sample(random.Random(seed))
    sketch = sketched(space, genome)
    ((stack, normal, reduce),) = (part.parts for part in sketch.parts)
    assert total(stack.parts) == (space.cost(genome).params, space.cost(genome).flops)
    assert sum(part.count for part in stack.parts) == 2 + genome["cells"]
    assert len(normal.parts) == len(reduce.parts) == genome["nodes"]


@pytest.mark.parametrize("name", ["proxyless_gpu", "unas_mobile", "ofa_largest", "ofa_smallest"])
def test_boxes_of_a_mobile_chain_cost_what_the_network_costs(name: str) -> None:
    """Each block that runs is a box with kernel, expansion and width, in a frame for each width."""
    space, genome = load_space(name)
    sketch = sketched(space, genome)
    assert total(sketch.parts) == (genome.params, genome.flops)
    boxes = [part for frame in sketch.parts if frame.kind == "stage" for part in frame.parts]
    assert len(boxes) == len(sketch) == len(genome.plan.blocks)
    told = [f"{b.kernel}x{b.kernel} e={b.middle / b.inputs:.3g} c={b.outputs}" for b in genome.plan.blocks]
    assert [" ".join(part.name.split()[:3]) for part in boxes] == told


def test_every_choice_of_ones_own_is_a_box(tmp_path: Path) -> None:
    """With its value; the drawing is written like any other, beside another one with marks."""
    space, rng = own(), random.Random(0)
    one, other = (sketched(space, space.sample(rng)) for _ in range(2))
    (frame,) = one.parts
    assert [part.name.partition(" = ")[0] for part in frame.parts][:2] == ["kind", "width"]
    marked = [part.marked for part in titled_parts(one, "", other, "")[0][2][0].parts]
    told = {part.name for part in other.parts[0].parts}
    assert marked == [part.name not in told for part in frame.parts]
    assert draw(one, tmp_path / "one.svg", against=other).read_text().count("width") >= 2


def test_a_network_is_drawn_whatever_is_decided_beside_it() -> None:
    """Published cells, one fixed network and one with settings of its training; what has no drawing says so."""
    space, genome = load_space("darts_v2")
    sketch = sketched(space, genome)
    assert isinstance(sketch, Sketch)
    assert sketched(FixedSpace(space, genome), genome) == sketch
    joint = JointSpace(FixedSpace(space, genome), {"lr": Real(0.1, 1.0)})
    assert sketched(joint, joint.start) == sketch
    table = NASBench201Space()
    with pytest.raises(GenomeError, match="has no drawing"):
        titled_parts(sketched(table, table.sample(random.Random(0))), "", None, "")
