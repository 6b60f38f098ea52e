"""Supernets of all spaces: a genome's path is its extracted network bit for bit; mixtures; gates; elastic parts."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

from uninas_evo.contracts import Chosen, Gated, Supernet
from uninas_evo.errors import SpaceError
from uninas_evo.spaces.darts.genome import Skeleton
from uninas_evo.spaces.darts.layers import Partial
from uninas_evo.spaces.darts.presets import preset
from uninas_evo.spaces.darts.space import DartsSpace
from uninas_evo.spaces.mobile.ofa import of_settings
from uninas_evo.spaces.mobile.presets import ofa_preset
from uninas_evo.spaces.mobile.proxyless import ProxylessSkeleton
from uninas_evo.spaces.mobile.space import OFASpace, ProxylessSpace
from uninas_evo.spaces.nasbench201.space import NASBench201Space

TINY = ProxylessSkeleton(32, 5, (8, 8), (8, 12, 16, 16, 24, 24), 32)


def _supernet(name: str) -> nn.Module:
    torch.manual_seed(0)
    match name:
        case "nasbench201":
            net = NASBench201Space().supernet(channels=4, cells=1)
        case "darts":
            net = DartsSpace(Skeleton(8, 5)).supernet(channels=4, cells=3)
        case "pc-darts":
            net = DartsSpace(Skeleton(8, 5)).supernet(channels=8, cells=3, partial=4)
        case "unas":
            net = DartsSpace(Skeleton(8, 5), "factorized").supernet(channels=4, cells=3)
        case "proxyless":
            net = ProxylessSpace(TINY).supernet()
        case _:
            net = OFASpace(5, 0.5, (32, 40)).supernet()
    return _with_random_statistics(net)


def _with_random_statistics(net: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    for name, value in net.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            value.copy_(0.5 + torch.rand(value.shape, generator=generator))
    for name, value in net.named_parameters():
        if "transforms" in name:
            value.data += 0.1 * torch.randn(value.shape, generator=generator)
    return net


NAMES = ("nasbench201", "darts", "pc-darts", "unas", "proxyless", "ofa")
MIXING = ("nasbench201", "darts", "unas", "proxyless")
"""Spaces whose one-hot mixtures are paths: with partial channels an edge of `none` still lets the others pass by."""


def _images(net, genome, count):
    size = getattr(genome, "resolution", None) or net.space.image[1]
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_its_extracted_network(name):
    """Outputs in evaluation mode and gradients of the path's weights are equal bit for bit; off the path: None."""
    net, rng = _supernet(name), random.Random(0)
    assert isinstance(net, Supernet)
    for count in (1, 7, 64, 2, 2, 2):
        genome = _without_double_edges(net.space, rng)
        x = _images(net, genome, count)
        net.eval()
        alone = net.extract(genome)
        assert torch.equal(net(x, genome), alone(x))
        net.train()
        alone = net.extract(genome)
        if count > 1:
            net.zero_grad(set_to_none=True)
            net(x, genome).square().sum().backward()
            alone(x).square().sum().backward()
            mine = sorted(float(p.grad.double().abs().sum()) for p in net.parameters() if p.grad is not None)
            theirs = sorted(float(p.grad.double().abs().sum()) for p in alone.parameters() if p.grad is not None)
            if name != "ofa":  # its slices are zero outside and its transforms have gradients of their own
                assert mine == theirs
                assert len(mine) < len(list(net.parameters()))


def _without_double_edges(space, rng):
    """A random genome; shared weights of an edge that a node sums twice have both gradients."""
    while True:
        genome = space.sample(rng)
        nodes = [*genome.normal.nodes, *genome.reduce.nodes] if isinstance(space, DartsSpace) else []
        if all(a != b for a, b in nodes):
            return genome


@pytest.mark.parametrize("name", MIXING)
def test_one_hot_mixtures_are_paths(name):
    """Weights of 1 for the options of a genome and 0 for all others give its outputs; so do they an image."""
    net, rng = _supernet(name).eval(), random.Random(1)
    for _ in range(3):
        genome = net.space.sample(rng)
        weights = _one_hot(net, genome)
        x = _images(net, genome, 3)
        expected = net(x, genome)
        torch.testing.assert_close(net(x, weights), expected, rtol=1e-5, atol=1e-5)
        rows = {slot: w.expand(3, -1) for slot, w in weights.items()}
        torch.testing.assert_close(net(x, rows), expected, rtol=1e-5, atol=1e-5)


def _one_hot(net, genome):
    if net.slots[0].name == "normal 2 from 0":
        on = {(kind, node, source): name for kind, cell in (("normal", genome.normal), ("reduce", genome.reduce))
              for node, pair in zip((2, 3, 4, 5), cell.nodes, strict=True) for source, name in pair}  # fmt: skip
        chosen = []
        for slot in net.slots:
            kind, node, _, source = slot.name.split()
            chosen.append(slot.options.index(on.get((kind, int(node), int(source)), "none")))
    else:
        chosen = net.space.indices(genome)
    return {s.name: torch.eye(len(s.options))[index] for s, index in zip(net.slots, chosen, strict=True)}


def test_an_architecture_an_image():
    """Weights of shape (N, options) run each image through its own architecture."""
    net, rng = _supernet("nasbench201").eval(), random.Random(2)
    genomes = [net.space.sample(rng) for _ in range(4)]
    x = _images(net, genomes[0], 4)
    rows = [_one_hot(net, genome) for genome in genomes]
    mixed = net(x, {slot: torch.stack([row[slot] for row in rows]) for slot in rows[0]})
    for index, genome in enumerate(genomes):
        torch.testing.assert_close(mixed[index : index + 1], net(x[index : index + 1], genome), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["nasbench201", "darts", "proxyless"])
def test_gates_measure_what_autograd_gives(name):
    """Each gate's gradient equals autograd's through the sum of all gates times options, one gate open."""
    net, rng = _supernet(name).eval(), random.Random(3)
    picked = {slot.name: rng.randrange(len(slot.options)) for slot in net.slots}
    x = torch.randn(2, 3, *net.space.image[1:])
    gates = {s.name: torch.eye(len(s.options))[picked[s.name]].requires_grad_() for s in net.slots}
    net(x, gates).square().sum().backward()
    measured = {s.name: torch.zeros(len(s.options)) for s in net.slots}
    every = {s.name: tuple(range(len(s.options))) for s in net.slots}
    net(x, {s: Gated(picked[s], measured[s], every[s]) for s in measured}).square().sum().backward()
    for slot, gate in gates.items():
        torch.testing.assert_close(measured[slot], gate.grad, rtol=1e-3, atol=1e-4)


def test_a_chosen_option_runs_alone():
    """Only the chosen option has gradients; its weight gets the derivative of the output's scale."""
    net = _supernet("nasbench201")
    weights = {s.name: Chosen(3, torch.ones((), requires_grad=True)) for s in net.slots}
    net(torch.randn(2, 3, 32, 32), weights).square().sum().backward()
    edge = net.stages[0][0].edges[0].options
    assert edge["nor_conv_3x3"][1].weight.grad is not None
    assert edge["nor_conv_1x1"][1].weight.grad is None
    assert all(chosen.weight.grad is not None for chosen in weights.values())


def test_sizes_of_the_published_search_networks():
    """DARTS' and UNAS' search networks have their published parameters, Once-for-All's its kernel matrices more."""
    assert _count(DartsSpace().supernet()) == 1_930_618
    assert _count(DartsSpace(rule="factorized").supernet()) == 2_479_866
    assert _count(OFASpace().supernet()) == 7_678_880 == ofa_preset("ofa_largest").params + 20 * (25**2 + 9**2)
    assert _count(OFASpace(width=1.2).supernet()) == 10_715_752


def _count(net):
    return sum(p.numel() for p in net.parameters())


def test_derivation_of_edges():
    """A node keeps the two inputs whose best operation other than none is most probable (DARTS, section 2.4)."""
    net = _supernet("darts")
    probabilities = {slot.name: np.full(len(slot.options), 0.01) for slot in net.slots}
    for chances in probabilities.values():
        chances[0] = 0.9  # none never wins
    for source, name in ((1, "dil_conv_5x5"), (3, "sep_conv_3x3")):
        slot = next(s for s in net.slots if s.name == f"normal 5 from {source}")
        probabilities[slot.name][slot.options.index(name)] = 0.05
    derived = net.derive(probabilities)
    assert [(e.input, e.operation) for e in derived.normal.nodes[3]] == [(1, "dil_conv_5x5"), (3, "sep_conv_3x3")]


@pytest.mark.parametrize("name", ["nasbench201", "unas", "proxyless", "ofa"])
def test_derivation_of_decisions(name):
    """The most probable option of each decision makes the genome."""
    net, rng = _supernet(name), random.Random(5)
    genome = net.space.sample(rng)
    chances = {
        d.name: np.eye(len(d.options))[index]
        for d, index in zip(net.space.decisions, net.space.indices(genome), strict=True)
    }
    assert net.derive(chances) == genome


def test_a_published_genotype_runs_in_a_small_supernet():
    """The cells of a genome count and not its skeleton: the network searched with is smaller than the one trained."""
    net = _supernet("darts")
    assert net(torch.zeros(2, 3, 8, 8), preset("darts_v2")).shape == (2, 5)


def test_elastic_kernels_begin_as_crops():
    """With identity matrices a smaller kernel is the center of the larger one."""
    block = OFASpace(5, 0.5, (32,)).supernet().blocks[0]
    largest = block.layers.depthwise.conv.weight
    assert torch.equal(block.kernel(5, 8), largest[:8, :, 1:-1, 1:-1])
    assert torch.equal(block.kernel(3, 8), largest[:8, :, 2:-2, 2:-2])


def test_sorted_channels_leave_the_largest_network():
    """Sorting middle channels by importance changes the largest network's outputs by rounding alone."""
    net = _supernet("ofa").eval()
    largest = of_settings("7" * 20, "6" * 20, "4" * 5, 40, 5, 0.5)
    x = torch.randn(4, 3, 40, 40)
    before = net(x, largest)
    net.sort_channels()
    torch.testing.assert_close(net(x, largest), before, rtol=1e-4, atol=1e-4)
    norms = net.blocks[3].layers.project.conv.weight.abs().sum(dim=(0, 2, 3))
    assert torch.equal(norms, norms.sort(descending=True).values)


def test_images_are_brought_to_the_resolution():
    """Images of another size are resized to the genome's."""
    net = _supernet("ofa").eval()
    genome = of_settings("3" * 20, "3" * 20, "2" * 5, 32, 5, 0.5)
    assert net(torch.zeros(2, 3, 40, 40), genome).shape == (2, 5)


def test_wrong_uses_are_told():
    """A relaxation that the rule does not have, and a mixture of Once-for-All's, are refused with the rule."""
    with pytest.raises(SpaceError, match="the relaxation is 'edges', or"):
        DartsSpace().supernet(relaxation="factorized")
    with pytest.raises(SpaceError, match="run genomes, not mixtures"):
        _supernet("ofa")(torch.zeros(1, 3, 32, 32), {})


def test_partial_channels():
    """Operations get a part of the channels, the rest passes by, through a 2x2 maximum at stride 2, and is shuffled."""
    edge = Partial(nn.Identity(), 4, 1)
    x = torch.arange(8.0).reshape(1, 8, 1, 1)
    assert edge(x).flatten().tolist() == [0, 2, 4, 6, 1, 3, 5, 7]
    halving = Partial(nn.AvgPool2d(2), 4, 2)
    x = torch.arange(16.0).reshape(1, 4, 2, 2)
    assert halving(x).flatten().tolist() == [1.5, 7, 11, 15]
    small, large = (DartsSpace(Skeleton(8, 5)).supernet(channels=8, cells=3, partial=k) for k in (4, 1))
    first, all_of_them = (sum(p.numel() for p in net.cells[0].edges.parameters()) for net in (small, large))
    assert first < all_of_them / 4


def test_edge_weights():
    """PC-DARTS' weights of a node's inputs multiply what the edges give, and rank them in the derivation."""
    net = DartsSpace(Skeleton(8, 5)).supernet(channels=8, cells=3, partial=4, edge_weights=True).eval()
    assert [len(slot.options) for slot in net.slots[28:]] == [2, 3, 4, 5] * 2
    mixture = {slot.name: torch.full((len(slot.options),), 1 / len(slot.options)) for slot in net.slots}
    x = torch.randn(2, 3, 8, 8)
    cell, states = net.cells[0], [torch.randn(2, 8, 8, 8)] * 2
    weights = mixture["normal 2 from 0"]
    torch.testing.assert_close(
        cell._edge(0, 2, states, weights, torch.tensor(0.25)), 0.25 * cell._edge(0, 2, states, weights)
    )
    rows = {name: value.expand(2, -1) for name, value in mixture.items()}
    torch.testing.assert_close(net(x, rows), net(x, mixture))
    chances = {name: value.numpy() for name, value in mixture.items()}
    chances["normal 5 inputs"] = np.array([0.0, 0.0, 0.4, 0.0, 0.6])
    assert [edge.input for edge in net.derive(chances).normal.nodes[3]] == [2, 4]
    with pytest.raises(SpaceError, match="weights of all options"):
        net(x, mixture | {"normal 2 inputs": Chosen(0, torch.ones(()))})


def test_dropout_behind_skips_fades():
    """P-DARTS' dropout stands behind skips alone, and falls by exp(-5) over a stage; in evaluation it is none."""
    net = DartsSpace(Skeleton(8, 5)).supernet(channels=4, cells=3, skip_dropout=0.4)
    found = [module for module in net.modules() if isinstance(module, nn.Dropout)]
    assert len(found) == 3 * 14
    net.set_dropout(0.0)
    assert {module.p for module in found} == {0.4}
    net.set_dropout(1.0)
    assert found[0].p == pytest.approx(0.4 * np.exp(-5))


def test_fixed_weights_of_zero_do_not_run():
    """Options without a weight in any image take no part, unless a gradient by the weights is asked for."""
    net = _supernet("nasbench201")
    x, path = torch.randn(2, 3, 8, 8), {slot.name: torch.eye(5)[3].clone() for slot in net.slots}
    net(x, path).sum().backward()
    trained = {name.split(".options.")[1].split(".")[0] for name, p in net.named_parameters()
               if p.grad is not None and ".options." in name}  # fmt: skip
    assert trained == {net.slots[0].options[3]}
    path[net.slots[0].name].requires_grad_()
    net(x, path).sum().backward()
    assert (path[net.slots[0].name].grad != 0).sum() >= 4


def test_partial_channels_need_widths_that_can_be_divided():
    """Another width, and edge weights of factorized cells, are told with the cure."""
    with pytest.raises(SpaceError, match=r"must be a multiple of 8.*got 12"):
        DartsSpace(Skeleton(8, 5)).supernet(channels=12, partial=4)
    with pytest.raises(SpaceError, match="edge_weights are of the relaxation 'edges'"):
        DartsSpace(Skeleton(8, 5), "factorized").supernet(edge_weights=True)
