"""The cell space: exact costs, canonical cells, sizes as decisions, texts, and what it shares with DARTS."""

from __future__ import annotations

import random

import pytest
import torch
from spaces.damage import fuzz

from uninas_evo.contracts import Budget
from uninas_evo.errors import SpaceError
from uninas_evo.proxies import Inputs, flops
from uninas_evo.spaces.cells.space import OPERATIONS, CellsSpace
from uninas_evo.spaces.choices import Chosen
from uninas_evo.spaces.darts.genome import Skeleton
from uninas_evo.spaces.darts.network import DartsNetwork
from uninas_evo.spaces.darts.presets import preset
from uninas_evo.testing import SpaceConformance

SPACE = CellsSpace(16, cells=(3, 5), widths=(4, 8))


class TestCells(SpaceConformance):
    space = CellsSpace(16, cells=(3, 5), widths=(4, 8), budget=Budget(max_params=20_000))
    samples, networks = 8, 3


def check_cost(seed: int) -> None:
    """Parameters are those of the built network, and 2 MACs are the FLOPs that torch counts in products."""
    rng = random.Random(seed)
    space = CellsSpace(96, 7, cells=(3, 4), widths=(4,)) if seed % 5 == 0 else SPACE
    genome = space.sample(rng)
    with torch.device("meta"):
        network = space.build(genome)
    cost = space.cost(genome)
    assert cost.params == sum(p.numel() for p in network.parameters())
    assert flops(network, Inputs(1, space.image, device="meta", reinitialize=False)) == 2 * cost["macs"]
    assert space.decode(space.encode(genome)) == genome


@pytest.mark.parametrize("seed", range(12))
def test_cost_is_that_of_the_built_network(seed):
    """See `check_cost`; tests/long checks 500."""
    check_cost(seed)


def darts() -> Chosen:
    """DARTS' second cells among the choices."""
    network = preset("darts_v2", Skeleton(32, 10, 36, 20))
    cells = {"normal": network.normal, "reduce": network.reduce}
    edges = {
        f"{kind}_{node}_{what}_{place}": value
        for kind, cell in cells.items()
        for node, pair in enumerate(cell.nodes, 2)
        for place, edge in zip("ab", pair, strict=True)
        for what, value in zip(("input", "operation"), edge, strict=True)
    }
    return CellsSpace().started({"cells": 20, "width": 36, "nodes": 4, **edges})


def test_published_cells_lie_in_the_space():
    """DARTS' second network has its published parameters here, and its layers."""
    space, genome = CellsSpace(), darts()
    assert space.cost(genome).params == 3_349_342
    with torch.device("meta"):
        ours, theirs = space.build(genome), DartsNetwork(preset("darts_v2"))
    assert {name: value.shape for name, value in ours.state_dict().items()} == {
        name: value.shape for name, value in theirs.state_dict().items()
    }


def test_every_operation_has_layers_and_costs():
    """Both cells made of one operation alone, in evaluation and with its exact parameters."""
    for name in OPERATIONS:
        space = CellsSpace(16, operations=(name,), nodes=(2,), cells=(3,), widths=(4,))
        genome = space.sample(random.Random(0))
        network = space.build(genome).eval()
        assert network(torch.zeros(2, 3, 16, 16)).shape == (2, 10)
        assert space.cost(genome).params == sum(p.numel() for p in network.parameters())
    free = {name: CellsSpace(16, operations=(name,), nodes=(2,), cells=(3,), widths=(4,)) for name in OPERATIONS}
    params = {name: space.cost(space.sample(random.Random(0))).params for name, space in free.items()}
    assert params["identity"] == params["none"] == params["max_pool_3x3"] < params["skip_connect"] < params["conv_3x3"]


def test_equal_cells_are_one_genome():
    """The edges of a node have no order, and an edge without connection comes from nowhere."""
    rng = random.Random(3)
    for _ in range(20):
        genome = SPACE.sample(rng)
        turned = dict(genome)
        for what in ("input", "operation"):
            a, b = f"normal_2_{what}_a", f"normal_2_{what}_b"
            turned[a], turned[b] = genome[b], genome[a]
        assert SPACE.canonical(Chosen(turned)) == genome
        lines = "\n".join(f"{name} = {value}" for name, value in turned.items())
        assert SPACE.answered(lines.splitlines()) == genome
    cut = SPACE.canonical(Chosen(dict(genome) | {"normal_3_input_b": 2, "normal_3_operation_b": "none"}))
    (source,) = (cut[f"normal_3_input_{e}"] for e in "ab" if cut[f"normal_3_operation_{e}"] == "none")
    assert source == 0


def test_sizes_are_decisions():
    """Steps change cells, width and nodes, and choices of a node that is gone are gone."""
    rng, genome, seen = random.Random(0), SPACE.sample(random.Random(1)), set()
    for _ in range(200):
        genome = SPACE.mutate(genome, rng) or genome
        seen.add((genome["cells"], genome["width"], genome["nodes"]))
        assert ("normal_6_input_a" in genome) == (genome["nodes"] == 5)
        assert len(SPACE.plan(genome).normal.nodes) == genome["nodes"]
    assert len(seen) > 8


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"operations": ("conv_7x7",)}, "unknown"),
        ({"nodes": (0,)}, "1 to 9 nodes"),
        ({"cells": (2,)}, "3..1000"),
        ({"widths": (5,)}, "even"),
        ({"image": 30}, "multiple of 4"),
    ],
)
def test_wrong_sizes_are_told(more, told):
    """Each by the rule that it breaks."""
    with pytest.raises(SpaceError, match=told):
        CellsSpace(**more)


@pytest.mark.parametrize("seed", range(40))
def test_damaged_texts_are_refused_by_one_error(seed):
    """See `fuzz`; tests/long reads 10,000."""
    fuzz(SPACE, seed)
