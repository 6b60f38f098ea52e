"""The macro space: exact costs, published counts, stages that come and go, texts."""

from __future__ import annotations

import random

import pytest
import torch
from spaces.damage import fuzz

import uninas_evo
from uninas_evo.contracts import Budget
from uninas_evo.errors import SpaceError
from uninas_evo.proxies import Inputs, flops
from uninas_evo.spaces.stages.space import StagesSpace
from uninas_evo.testing import SpaceConformance

SPACE = StagesSpace((32, 48))


class TestStages(SpaceConformance):
    space = StagesSpace((32,), budget=Budget(max_params=2e6))
    samples, networks = 6, 2


def check_cost(seed: int) -> None:
    """Parameters are those of the built network, and 2 MACs are the FLOPs that torch counts in products."""
    genome = SPACE.sample(random.Random(seed))
    with torch.device("meta"):
        network = SPACE.build(genome)
    cost, side = SPACE.cost(genome), genome["image"]
    assert cost.params == sum(p.numel() for p in network.parameters())
    inputs = Inputs(1, (3, side, side), device="meta", reinitialize=False)
    assert flops(network, inputs) == 2 * cost["macs"]
    assert SPACE.decode(SPACE.encode(genome)) == genome


@pytest.mark.parametrize("seed", range(12))
def test_cost_is_that_of_the_built_network(seed):
    """See `check_cost`; tests/long checks 500."""
    check_cost(seed)


@pytest.mark.parametrize(
    ("name", "params"), [("mobilenet_v2", 3_504_872), ("resnet18", 11_689_512), ("vit_tiny", 5_717_416 - 384)]
)
def test_presets_have_the_published_counts(name, params):
    """By formula and built; DeiT-Ti without class token and its position."""
    space, genome = uninas_evo.load_space(name)
    with torch.device("meta"):
        network = uninas_evo.load_space(space.encode(genome))[0].build(genome)
    assert space.cost(genome).params == params == sum(p.numel() for p in network.parameters())


def test_stages_and_layers_come_and_go():
    """Steps add and remove stages anywhere, and layers of a stage, and what is left is a genome."""
    rng, genome = random.Random(0), SPACE.sample(random.Random(4))
    stages, depths = set(), set()
    for _ in range(150):
        genome = SPACE.mutate(genome, rng) or genome
        assert SPACE.decode(SPACE.encode(genome)) == genome
        stages.add(genome["stages"])
        depths.add(sum(genome[f"depth_{n}"] for n in range(1, genome["stages"] + 1)))
    assert len(stages) >= 4
    assert len(depths) >= 10


def test_a_removed_stage_takes_its_choices_along():
    """Of two stages that differ, either can be the one that is left out."""
    genome = SPACE.started({**uninas_evo.load_genome("resnet18"), "image": 32, "head": "norm"})
    children = {SPACE._restaged(genome, random.Random(seed)) for seed in range(40)} - {None}
    shorter = {tuple(c[f"width_{n}"] for n in (1, 2, 3)) for c in children if c["stages"] == 3}
    assert shorter == {(128, 256, 512), (64, 256, 512), (64, 128, 512), (64, 128, 256)}


def test_images_of_another_size_are_resized():
    """A network for 48 pixels takes the space's images, and gives features of its own size."""
    genome = SPACE.sample(random.Random(1))
    network = SPACE.build(genome).eval()
    with torch.no_grad():
        assert network(torch.zeros(2, 3, 48, 48)).shape == (2, 10)
        assert len(network.forward_features(torch.zeros(2, 3, 48, 48))) >= 1
    with pytest.raises(SpaceError, match=r"multiples of 16, so that patches fit, got \[32, 20\]"):
        StagesSpace((32, 20))


@pytest.mark.parametrize("seed", range(60))
def test_damaged_texts_are_refused_by_one_error(seed):
    """See `fuzz`; tests/long reads 10,000."""
    fuzz(SPACE, seed)
