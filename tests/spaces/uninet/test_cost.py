"""Costs in closed form are those of the published networks, of the built ones, and of torch's own counter."""

from __future__ import annotations

import random

import pytest
import torch
from spaces.uninet.networks import ACCEPTED, SKELETONS, accepted, random_genome
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from uninas_evo.spaces.uninet import PRESETS, Skeleton, preset
from uninas_evo.spaces.uninet import cost as costs
from uninas_evo.spaces.uninet.network import Network, SqueezeExcite

PUBLISHED = {
    "uninet-b0": (11_450_864, 555_380_288, 1_115_909_360),
    "uninet-b1": (11_450_864, 1_117_865_024, 2_247_277_232),
    "uninet-b2": (16_211_472, 2_159_099_776, 4_339_032_792),
    "uninet-b3": (24_020_184, 4_258_490_944, 8_553_039_591),
    "uninet-b4": (43_796_288, 9_429_081_216, 18_919_993_572),
    "uninet-b5": (72_883_072, 20_423_294_976, 40_986_897_272),
    "uninet-b6": (116_687_344, 51_035_247_104, 102_427_938_824),
    "uninet-reference": (13_703_792, 311_206_720, 626_823_400),
}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_the_published_counts(name):
    """Parameters and FLOPs of B0 to B6 are the paper's to the last digit."""
    genome = preset(name)
    assert (genome.params, genome.published_flops, genome.flops) == PUBLISHED[name]


@pytest.mark.parametrize("row", ACCEPTED, ids=range(len(ACCEPTED)))
def test_accepted_genomes(row):
    """Ten genomes that hold every operator and module have exactly the counts of their built networks."""
    genome = accepted(*row[:2])
    assert (genome.params, genome.published_flops, genome.flops) == row[2:]


def test_b0_with_local_modules_only():
    """Table 10's row "w/ L-DSM" is B0 with L in all stages."""
    from dataclasses import replace

    b0 = preset("uninet-b0")
    local = replace(b0, stages=tuple(replace(stage, module="L") for stage in b0.stages))
    assert (local.params, local.published_flops) == (11_268_208, 538_209_088)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (costs.attention(64, 4, (10, 10), None, 32), (50_752, 6_316_800, 12_699_800)),
        (costs.attention(64, 4, (10, 10), 7, 32), (50_752, 7_838_976, 15_741_584)),
        (costs.convolution(64, 4, (10, 10), dense=True), (657_024, 62_445_568, 124_923_968)),
        (costs.convolution(64, 4, (10, 10), dense=False), (69_504, 3_693_568, 7_419_968)),
        (costs.mixer(64, 4, (10, 10), 10), (40_004, 3_750_400, 7_506_944)),
        (costs.module("L", 64, 128, 2, (10, 10), 32), (17_408, 427_200, 868_800)),
        (costs.module("L", 64, 96, 1, (10, 10), 32), (13_248, 1_299_200, 2_595_200)),
        (costs.module("G", 64, 128, 2, (10, 10), 32), (50_560, 3_153_600, 6_274_700)),
        (costs.module("G", 64, 96, 1, (10, 10), 32), (34_976, 5_411_200, 10_780_900)),
        (costs.module("LG", 64, 128, 2, (10, 10), 32), (50_944, 3_163_200, 6_293_900)),
        (costs.module("LG", 64, 96, 1, (10, 10), 32), (35_360, 5_449_600, 10_857_700)),
        (costs.fixed_stage(Skeleton(), (80, 80)), (2_536, 12_595_712, 27_085_928)),
        (costs.convolution(24, 1, (80, 80), dense=False), (1_328, 5_837_184, 11_674_448)),
    ],
)
def test_parts(part, expected):
    """Each operator and module has its own counts."""
    assert tuple(part) == expected


@pytest.mark.parametrize("name", SKELETONS)
def test_params_are_those_of_the_built_network(name):
    """`cost.params` is the sum of the parameters of what `build` gives."""
    rng = random.Random(name)
    for _ in range(6):
        genome = random_genome(SKELETONS[name], rng)
        with torch.device("meta"):
            network = Network(genome)
        assert sum(parameter.numel() for parameter in network.parameters()) == genome.params, genome.text


@pytest.mark.parametrize("name", ["C", "D", "E"])
def test_published_flops_are_those_of_a_run(name):
    """Half of torch's count, 2 a value of batch norm, 5 of layer norm, 1 of global pooling: the paper's FLOPs."""
    rng = random.Random(name)
    for _ in range(4):
        genome = random_genome(SKELETONS[name], rng)
        size = (genome.skeleton.image_size,) * 2
        assert _counted(Network(genome).eval(), size) == genome.published_flops, genome.text


@pytest.mark.parametrize("size", [(64, 96), (52, 76)])
def test_backbones_cost_what_they_count_at_any_size(size):
    """So do their maps alone, at sizes that are neither square nor multiples of the strides."""
    rng = random.Random(str(size))
    for _ in range(3):
        genome = random_genome(SKELETONS["C"], rng)
        cost = costs.backbone_cost(genome, *size)
        assert _counted(Network(genome).eval(), size, maps=True) == cost["published_flops"], genome.text
        side = genome.skeleton.image_size
        own, whole = costs.backbone_cost(genome, side, side), genome.cost
        head = costs.head(genome.stages[-1].channels, genome.skeleton).cost
        assert {name: own[name] + head[name] for name in own} == dict(whole)


def _counted(network: Network, size: tuple[int, int], maps: bool = False) -> int:
    values = []

    def count(layer, args, _output):
        weight = {nn.BatchNorm2d: 2, nn.LayerNorm: 5, SqueezeExcite: 1}[type(layer)]
        values.append(weight * args[0].numel())

    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.LayerNorm | SqueezeExcite):
            layer.register_forward_hook(count)
    network.neck.register_forward_hook(lambda _layer, _args, output: values.append(output.numel()))
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        (network.forward_features if maps else network)(torch.zeros(1, 3, *size))
    return counter.get_total_flops() // 2 + sum(values)
