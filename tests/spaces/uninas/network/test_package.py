"""Against the authors' package `uninas`: its networks import with equal parameters and outputs, ours are read by it."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from uninas_evo.spaces.uninas import PRESETS, Genome, Skeleton, genome_to_package, load_genome, preset, walk_nodes
from uninas_evo.spaces.uninas.authors_json import _read_chain
from uninas_evo.spaces.uninas.network import Network, build

uninas = pytest.importorskip("uninas", reason="needs the authors' package: pip install uninas")
search = pytest.importorskip("uninas.search", reason="needs the authors' package: pip install uninas")

SKELETON = Skeleton(32, 10, (8, 16), (96, 192), (1, 1))  # the package takes 3, 6, 12 or 24 heads of 32 channels


def peer(text: str) -> nn.Module:
    """The package's network of a model file; it prints while it builds."""
    with contextlib.redirect_stdout(io.StringIO()):
        model: nn.Module = uninas.UNIModel(uninas.UNIModelCfg.from_string(text))
    return model


def walk(blocks: list[list[str]], steps: int) -> Iterator[Any]:
    """The package's own random walk from a network of its hand-crafted blocks."""
    start = json.loads(genome_to_package(preset("resnet", SKELETON))) | {"model_str": json.dumps(blocks)}
    model: Any = peer(json.dumps(start))
    bounds = {
        "params_max": 3 * sum(model.num_params.values()),
        "flops_max": 3 * sum(model.flops.values()),
        "n_patience": 20,
    }
    for _ in range(steps):
        with contextlib.redirect_stdout(io.StringIO()):
            model = search.create_new_model(model, **bounds) or model
        yield model


@torch.no_grad()
def transfer(theirs: Any, ours: Network) -> None:
    """Copies all weights and running statistics of the package's network into ours, node by node."""
    for name in ("stem", "norm", "head"):
        _copy(getattr(theirs, name), getattr(ours, name), 0, 1)
    their_blocks = [block for stage in theirs.stages for block in stage.blocks]
    for their, our in zip(their_blocks, ours.blocks, strict=True):
        for name in ("shortcut", "norm1", "norm2"):
            _copy(getattr(their, name), getattr(our, name), 0, 1)
        _transfer_chain(their.subblock1, our.chain1, 0, 1)
        _transfer_chain(their.subblock2, our.chain2, 0, 1)


def _copy(theirs: nn.Module, ours: nn.Module, copy: int, copies: int) -> None:
    """Parameters and statistics of one copy, in the order in which both hold them."""
    own, given = ([*m.parameters(), *(b for name, b in m.named_buffers() if "running" in name)] for m in (ours, theirs))
    assert len(own) == len(given)
    for target, source in zip(own, given, strict=True):
        part = target.chunk(copies)[copy]
        part.copy_(source.view_as(part))


def _transfer_chain(theirs: Any, ours: Any, copy: int, copies: int) -> None:
    for their, our in zip(theirs.sequential, ours.nodes, strict=True):
        _transfer_node(their, our, copy, copies)


def _transfer_node(theirs: Any, ours: Any, copy: int, copies: int) -> None:
    match type(theirs).__name__:
        case "ForkMerge":
            branches = list(theirs.branches)
            if theirs.fork_merge_tuple == ("copy", "add"):  # ours stand in the order of their texts
                branches.sort(key=lambda b: _read_chain(json.loads(json.dumps(b.to_dict())), tuple(b.shape), "").text)
            for their, our in zip(branches, ours.branches, strict=True):
                _transfer_chain(their, our, copy, copies)
        case "ForkMergeAttention":
            _copy(theirs.qkv, ours.project, copy, copies)
            for group in ours.groups:
                for i, place in enumerate(group.places):
                    chains = [*theirs.branches[3 * place : 3 * place + 3]]
                    chains += [theirs.connections[place], theirs.post_branches[place]]
                    own = (group.q, group.k, group.v, group.scores, group.out)
                    for their, our in zip(chains, own, strict=True):
                        count = len(group.places)
                        _transfer_chain(their, our, copy * count + i, copies * count)
        case "ExpandAndReduce" | "ReduceAndExpand":
            _copy(theirs.resize1, ours.opening, copy, copies)
            _transfer_chain(theirs.sequential, ours.chain, copy, copies)
            _copy(theirs.resize2, ours.closing, copy, copies)
        case "AvgAndUpsample":
            _transfer_chain(theirs.sequential, ours.chain, copy, copies)
        case _:
            _copy(theirs, ours, copy, copies)


def assert_equal_networks(theirs: Any, genome: Genome) -> None:
    """Equal parameters, and equal logits in eval mode with the same weights."""
    assert genome.params == sum(p.numel() for p in theirs.parameters())
    ours = build(genome)
    transfer(theirs, ours)
    size = genome.skeleton.image_size
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected: Tensor = theirs.eval()(x)
        error = (ours.eval()(x) - expected).abs().max() / expected.abs().max()
    assert error < 1e-4, genome.text


def readable(genome: Genome) -> bool:
    """Not batch norms at one position, since the package trains on one image while it loads; no other head counts."""
    nodes = [n for chain in genome.chains for n, _ in walk_nodes(chain)]
    return all(
        (n.operation.name != "batchnorm" or n.shape[1] > 1)
        and (n.operation.name != "attention" or n.shape[0] // 32 in (3, 6, 12, 24))
        for n in nodes
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_presets_equal_the_package_s(name: str) -> None:
    """The package's hand-crafted blocks are our presets: equal structure, parameters and outputs, both ways."""
    genome = preset(name, SKELETON)
    theirs: Any = peer(genome_to_package(genome))
    assert load_genome(theirs.to_string()) == genome
    assert_equal_networks(theirs, genome)
    codes = {"resnet": "RR", "efficientnet": "EE", "vit": "TT", "coatnet": "ET"}[name]
    own = json.loads(genome_to_package(genome)) | {"model_str": json.dumps([[code] for code in codes])}
    assert load_genome(json.dumps(own)) == genome
    assert_equal_networks(peer(json.dumps(own)), genome)


@pytest.mark.slow
@pytest.mark.parametrize(("codes", "seed"), [("ET", 0), ("RT", 1), ("TE", 2), ("TT", 3)])
def test_networks_of_the_package_s_own_walk(codes: str, seed: int) -> None:
    """Networks of its random walk import with equal parameters and outputs; it reads what we export of them."""
    torch.manual_seed(seed)
    met = set()
    for step, theirs in enumerate(walk([[code] for code in codes], steps=40)):
        genome = load_genome(theirs.to_string())
        met.add(genome)
        assert_equal_networks(theirs, genome)
        if step % 5 == 4 and readable(genome):
            back: Any = peer(genome_to_package(genome))
            assert load_genome(back.to_string()) == genome
            assert_equal_networks(back, genome)
    assert len(met) >= 30


@pytest.mark.slow
def test_the_package_reads_networks_of_our_search(genomes: Any) -> None:
    """Genomes of our own walk, with heads that differ and zeros, are read by the package and compute the same."""
    read = 0
    for seed, (steps, zeros) in enumerate(pairwise(range(0, 130, 10))):
        genome = genomes.walked(PRESETS[seed % 4], SKELETON, steps, seed)
        genome = genomes.zeroed(genome, zeros % 3, seed)
        if readable(genome):
            theirs: Any = peer(genome_to_package(genome))
            assert load_genome(theirs.to_string()) == genome
            assert_equal_networks(theirs, genome)
            read += 1
    assert read >= 4
