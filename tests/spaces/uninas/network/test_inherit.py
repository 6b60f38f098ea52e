"""Inherited weights: what both have is kept, what is added changes nothing where it can."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from uninas_evo.spaces.uninas import OPERATIONS, Genome, Skeleton
from uninas_evo.spaces.uninas.network import Network, build
from uninas_evo.spaces.uninas.text import parse_chain

if TYPE_CHECKING:
    from conftest import Genomes

SKELETON = Skeleton(16, 5, (8, 8), (96,), (1,))
PARENT = "conv1 batchnorm copy_add(dw3 gelu, conv_red4(gelu)) conv_exp4(gelu dw5 batchnorm) attention(scores: softmax)"

IDENTITIES = (
    "conv1",
    "conv3",
    "dw3",
    "dw5",
    "dropout",
    "chunk2",
    "chunk3(conv1, -, dw3)",
    "conv_exp4",
    "conv_exp4(dw3)",
    "copy_add(-, conv1)",
    "copy_add(zero, dw5)",
    "copy_add(-, conv1 batchnorm gelu)",
    "copy_add(-, conv_exp4(gelu dw3 batchnorm gelu))",
    "copy_add(-, attention)",
    "copy_add(-, attention(scores: relposbias softmax))",
    "copy_add(-, copy_multiply(dw3, conv1))",
    "copy_add(-, global_avg(conv_red4(gelu)))",
)
"""Additions that change nothing."""
NOT = ("batchnorm", "layernorm", "gelu", "sigmoid", "softmax", "maxpool", "mask", "zero", "conv_red4", "global_avg",
       "copy_add", "copy_multiply", "attention", "copy_multiply(-, global_avg(conv_red4(gelu)))")  # fmt: skip
"""Additions that must change something, and begin as a new network would."""


def genome_of(first: str, second: str = "dw3 batchnorm gelu", skeleton: Skeleton = SKELETON) -> Genome:
    shapes = [shape for shape in skeleton.shapes for _ in range(2)]
    texts = [first, second] * (len(shapes) // 2)
    return Genome.of(skeleton, [parse_chain(text, shape) for text, shape in zip(texts, shapes, strict=True)])


def shaken(genome: Genome, seed: int = 1) -> Network:
    """A network whose every weight and statistic is as arbitrary as training makes it."""
    network, generator = build(genome, seed), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.ndim:
                tensor.add_(0.1 * torch.randn(tensor.shape, generator=generator).abs())
    return network


def handed(child: Genome, parent: Network) -> Network:
    network = build(child, 7)
    network.inherit(parent)
    return network


def outputs(network: Network, training: bool) -> Tensor:
    c, h, w = network.genome.skeleton.image
    x = torch.randn(4, c, h, w, generator=torch.Generator().manual_seed(0))
    return network.train(training)(x)


def with_added(node: str, position: int) -> Genome:
    words = ["conv1", "batchnorm", "copy_add(dw3 gelu, conv_red4(gelu))", "conv_exp4(gelu dw5 batchnorm)",
             "attention(scores: softmax)"]  # fmt: skip
    return genome_of(" ".join([*words[:position], node, *words[position:]]))


@pytest.mark.parametrize("node", IDENTITIES)
@pytest.mark.parametrize("position", range(6))
def test_an_addition_begins_as_the_identity(node: str, position: int) -> None:
    """The child's output equals its parent's, in training and after it, wherever the node stands."""
    for training in (True, False) if node != "dropout" else (False,):
        parent = shaken(genome_of(PARENT))
        child = handed(with_added(node, position), parent)
        torch.testing.assert_close(outputs(child, training), outputs(parent, training), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("node", NOT)
def test_all_other_additions_are_as_a_new_network_has_them(node: str) -> None:
    """What cannot be the identity keeps the initialization of its key, and everything else the parent's weights."""
    parent = shaken(genome_of(PARENT))
    child = handed(with_added(node, 1), parent)
    fresh = {key: module for module, keys in build(child.genome, 7).seeded for key in keys}
    for module, keys in child.seeded:
        name = keys[0].rpartition("chain1/")[2]
        if name.startswith(node.partition("(")[0] + "0") and node not in ("batchnorm", "copy_add", "conv_red4"):
            for mine, theirs in zip(module.parameters(False), fresh[keys[0]].parameters(False), strict=True):
                torch.testing.assert_close(mine, theirs, rtol=0, atol=0)
    kept = sum((a == b).all().item() for a in child.parameters() for b in parent.parameters() if a.shape == b.shape)
    assert kept >= sum(1 for _ in parent.parameters())


def test_every_operation_is_in_one_of_the_lists() -> None:
    """The lists above, and the table of the docs made from them, name every operation; relposbias needs a square."""
    named = {text.partition("(")[0] for text in (*IDENTITIES, *NOT)}
    assert named | {"relposbias"} == set(OPERATIONS)


def test_a_bias_table_begins_at_zero() -> None:
    """A relative position bias adds nothing at first."""
    parent = shaken(genome_of("attention(scores: softmax)"))
    child = handed(genome_of("attention(scores: relposbias softmax)"), parent)
    torch.testing.assert_close(outputs(child, False), outputs(parent, False), rtol=1e-5, atol=1e-5)


def test_an_added_block_begins_silent() -> None:
    """A deeper child computes what its parent does, where the chains of its new block can be 0."""
    deep = Skeleton(16, 5, (8, 8), (96,), (2,))
    parent = shaken(genome_of("conv1 batchnorm gelu"))
    child = handed(genome_of("conv1 batchnorm gelu", skeleton=deep), parent)
    torch.testing.assert_close(outputs(child, False), outputs(parent, False), rtol=1e-5, atol=1e-5)


def test_a_removal_keeps_the_rest() -> None:
    """The second of two equal operations keeps its weights when the first one goes, though it is counted anew."""
    parent = shaken(genome_of("dw3 gelu dw3 batchnorm"))
    child = handed(genome_of("gelu dw3 batchnorm"), parent)
    before = next(m for m, keys in parent.seeded if keys == ("stages.0.0.chain1/dw31",))
    after = next(m for m, keys in child.seeded if keys == ("stages.0.0.chain1/dw30",))
    torch.testing.assert_close(after.weight, before.weight, rtol=0, atol=0)


def test_swapped_branches_keep_their_weights() -> None:
    """The canonical order of an addition's branches may change by an edit; weights go with their branch."""
    parent = shaken(genome_of("copy_add(conv1, gelu)"))
    child = handed(genome_of("copy_add(conv1, dropout gelu)"), parent)
    torch.testing.assert_close(outputs(child, False), outputs(parent, False), rtol=1e-5, atol=1e-5)


def test_other_widths_keep_what_overlaps() -> None:
    """A wider child holds the narrower parent's weights in its first channels."""
    parent = shaken(genome_of("conv1"))
    child = handed(genome_of("conv1", skeleton=Skeleton(16, 5, (8, 8), (128,), (1,))), parent)
    torch.testing.assert_close(child.head.weight[:, :96], parent.head.weight, rtol=0, atol=0)


def test_equal_genomes_hand_down_everything(genomes: Genomes) -> None:
    """A network that inherits from one of its own genome is that network, whatever heads and branches it has."""
    for genome in genomes.many(seeds=1, most_steps=60):
        parent = shaken(genome)
        child = handed(genome, parent)
        for name, tensor in parent.state_dict().items():
            torch.testing.assert_close(child.state_dict()[name], tensor, rtol=0, atol=0, msg=name)


def test_any_genome_inherits_from_any(genomes: Genomes) -> None:
    """Whatever lies between two genomes of a space, the child has finite outputs."""
    found = list(genomes.many(seeds=1, most_steps=60))
    rng = random.Random(0)
    for child in found:
        network = handed(child, shaken(rng.choice([one for one in found if one.skeleton == child.skeleton])))
        assert all(tensor.isfinite().all() for tensor in network.state_dict().values())
