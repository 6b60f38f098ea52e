"""Initial weights: reproducible, keyed by place and name, drawn from the stated distributions."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn

from uninas_evo.spaces.uninas import Genome, Skeleton, UninasSpace, preset
from uninas_evo.spaces.uninas.network import Network, build, initialize
from uninas_evo.spaces.uninas.text import parse_chain

if TYPE_CHECKING:
    from conftest import Genomes


def weights(network: Network) -> dict[str, torch.Tensor]:
    """The weights of each copy of a layer by its key."""
    return {
        f"{key}.{name}": parameter.detach().chunk(len(keys))[copy]
        for module, keys in network.seeded
        for name, parameter in module.named_parameters(recurse=False)
        for copy, key in enumerate(keys)
    }


def test_every_parameter_has_keys(genomes: Genomes) -> None:
    """`seeded` names every parameter's module once, with distinct keys."""
    for genome in genomes.many(seeds=2):
        network = Network(genome)
        modules = [module for module, _ in network.seeded]
        own = [m for m in network.modules() if next(m.parameters(recurse=False), None) is not None]
        assert {id(m) for m in modules} == {id(m) for m in own}
        keys = [key for _, keys in network.seeded for key in keys]
        assert len(set(keys)) == len(keys)


def test_weights_are_a_function_of_genome_and_seed(genomes: Genomes) -> None:
    """Equal seeds give equal weights, whatever the global generator and the weights before; other seeds others."""
    genome = genomes.walked("coatnet", genomes.skeletons[0], 60, seed=0)
    first = build(genome, seed=5).state_dict()
    torch.manual_seed(99)
    state = torch.get_rng_state()
    network = build(genome, seed=6)
    network.train()(torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert not torch.equal(network.state_dict()["stem.0.weight"], first["stem.0.weight"])
    torch.set_rng_state(state)
    initialize(network, 5)
    again = network.state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(
        torch.equal(again[name], value) for name, value in first.items() if not name.endswith("num_batches_tracked")
    )


def test_unchanged_parts_of_parent_and_child_keep_their_weights(genomes: Genomes) -> None:
    """A search step changes weights only inside the changed block, and there only of operations of one name."""
    rng = random.Random(0)
    genome = genomes.walked("coatnet", genomes.skeletons[1], 30, seed=1)
    space = UninasSpace(genome)
    for _ in range(30):
        child = space.mutate(genome, rng)
        assert child is not None
        changed = [b for b in range(len(genome.chains) // 2) if _block(genome, b) != _block(child, b)]
        assert len(changed) == 1
        stage, place = genome.skeleton.blocks[changed[0]]
        mine, theirs = weights(build(genome)), weights(build(child))
        outside = [key for key in mine if not key.startswith(f"stages.{stage}.{place}.")]
        assert all(torch.equal(mine[key], theirs[key]) for key in outside)
        same = [k for k in mine.keys() & theirs.keys() if mine[k].shape == theirs[k].shape]
        assert all(torch.equal(mine[key], theirs[key]) for key in same)
        genome = child


def _block(genome: Genome, block: int) -> list[str]:
    return [c.text for c in genome.chains[2 * block : 2 * block + 2]]


def test_neighbors_that_come_keep_the_weights_of_a_node() -> None:
    """A node's key counts the same operations before it, so that others may come and go."""
    skeleton = Skeleton(16, 5, (8, 8), (32,), (1,))

    def keyed(text: str) -> dict[str, torch.Tensor]:
        chains = [parse_chain(part, skeleton.stage_shape(0)) for part in (text, "-")]
        return weights(build(Genome.of(skeleton, chains)))

    before, after = keyed("conv1 dw3"), keyed("gelu conv1 batchnorm conv3 dw3 gelu")
    for name in ("conv10.weight", "dw30.weight"):
        assert torch.equal(before[f"stages.0.0.chain1/{name}"], after[f"stages.0.0.chain1/{name}"])


def test_the_distributions_of_the_initial_weights() -> None:
    """Kaiming fan-out convolutions, Xavier projections, cut normal tables, norms 1 and 0, biases 0."""
    network = build(preset("vit", Skeleton(64, 10, (8, 8), (128,), (1,))))
    block = network.blocks[0]
    attention, conv1 = block.chain1.nodes
    assert isinstance(attention.project, nn.Conv2d)
    bound = (6 / (128 + 384)) ** 0.5
    project = attention.project.weight.detach()
    assert project.abs().max() <= bound
    torch.testing.assert_close(project.std(), torch.tensor(bound / 3**0.5), rtol=0.02, atol=0)
    torch.testing.assert_close(conv1.weight.detach().std(), torch.tensor((2 / 128) ** 0.5), rtol=0.02, atol=0)
    opening = block.chain2.nodes[0].opening.weight.detach()
    torch.testing.assert_close(opening.std(), torch.tensor((2 / 512) ** 0.5), rtol=0.02, atol=0)
    table = attention.groups[0].scores.nodes[0].table.detach()
    assert table.abs().max() <= 0.04
    torch.testing.assert_close(table.std(), torch.tensor(0.0176), rtol=0.05, atol=0)  # 0.02 cut at two deviations
    assert all(not p.any() for n, p in network.named_parameters() if n.endswith("bias") and "head" not in n)
    norms = [p for n, p in network.named_parameters() if n.endswith("norm1.0.weight") or n.endswith("norm.weight")]
    assert len(norms) == 2
    assert all((p == 1).all() for p in norms)
    assert not any(torch.equal(a, b) for a, b in pairwise(table))  # heads share no weights
