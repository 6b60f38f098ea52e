"""Weights handed down: a child's network begins as its parent's, as far as it can.

Nodes that both have keep the parent's weights. What was added begins as the identity where it can, so that the child
computes what its parent did (network morphism: Wei et al., arXiv 1603.01670; Net2Net: Chen et al., arXiv 1511.05641).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from uninas_evo.spaces.uninas.chain import Chain, Node
from uninas_evo.spaces.uninas.matching import chains_by_key, matched, nested, node_keys
from uninas_evo.spaces.uninas.operations import HEAD_WIDTH

if TYPE_CHECKING:
    from uninas_evo.spaces.uninas.network.build import Network

Fill = tuple[str, Callable[[Sequence[Tensor]], None]]
"""The key of some weights, and what sets them: the parameters of one copy, the weight first."""

CONVOLUTIONS = ("conv1", "conv3", "dw3", "dw5")
NORMS = ("batchnorm", "layernorm")
KEEP_ZERO = ("gelu", "dropout", "maxpool", "mask")
"""Operations without weights that make 0 of 0."""


@torch.no_grad()
def inherit(child: Network, parent: Network) -> None:
    """Puts a parent's weights into a child that was initialized.

    What differs in width gets what overlaps. Added nodes become the identity, and chains of added blocks 0, where
    `identity` and `silence` know how; all else keeps its initialization.
    """
    mine, theirs = _by_key(child), _by_key(parent)
    same = dict(matched(child.genome, parent.genome))
    for key, tensors in mine.items():
        old = _parents(key, same)
        if old in theirs:
            for new, known in zip(tensors, theirs[old], strict=True):
                _copy(new, known, is_table="/relposbias" in key)
    before = chains_by_key(parent.genome)
    fills: list[Fill] = []
    for key, chain in chains_by_key(child.genome).items():
        fills += _added(chain, key, same) if key in before else silence(chain, key) or []
    for key, fill in fills:
        fill(mine[key])


def _parents(key: str, same: dict[str, str]) -> str | None:
    """The parent's key of some weights; None where it has none. Those outside chains have their own."""
    if "/" not in key:
        return key
    if key in same:
        return same[key]
    node, _, part = key.rpartition("/")
    return f"{same[node]}/{part}" if node in same else None


def _by_key(network: Network) -> dict[str, list[Tensor]]:
    """The parameters and buffers of every copy of every module, by its key."""
    found = {}
    for module, keys in network.seeded:
        tensors = [*module.parameters(recurse=False), *(one for one in module.buffers(recurse=False) if one.ndim)]
        for copy, key in enumerate(keys):
            found[key] = [tensor.chunk(len(keys))[copy] for tensor in tensors]
    return found


def _copy(new: Tensor, before: Tensor, is_table: bool) -> None:
    if is_table and new.shape != before.shape:
        return  # offsets of another grid
    overlap = tuple(slice(min(a, b)) for a, b in zip(new.shape, before.shape, strict=True))
    new[overlap] = before[overlap].to(new.device)


def _added(chain: Chain, key: str, same: dict[str, str]) -> Iterator[Fill]:
    """What makes the identity of the nodes that a chain of both genomes has new."""
    for node, own in zip(chain.nodes, node_keys(chain, key), strict=True):
        if own not in same:
            yield from identity_node(node, own) or ()
            continue
        for inner_key, inner in nested(node, own):
            yield from _added(inner, inner_key, same)


def identity(chain: Chain, key: str) -> list[Fill] | None:
    """What makes a chain the identity; None where it cannot be."""
    return _all(identity_node(node, own) for node, own in zip(chain.nodes, node_keys(chain, key), strict=True))


def identity_node(node: Node, key: str) -> list[Fill] | None:
    """What makes a node the identity; None where it cannot be: norms, activations, poolings and products."""
    name, inside = node.operation.name, nested(node, key)
    if name in CONVOLUTIONS:
        return [(key, _dirac)]
    if name == "relposbias":
        return [(key, _zero)]
    if name == "dropout":  # where nothing is dropped
        return []
    if name in ("chunk2", "chunk3"):
        return _all(identity(chain, own) for own, chain in inside)
    if name == "conv_exp4":
        (own, chain) = inside[0]
        return _all([identity(chain, own), [(f"{key}/opening", _dirac), (f"{key}/closing", _dirac)]])
    if name == "copy_add":
        (key0, chain0), (key1, chain1) = inside
        return _all([identity(chain0, key0), silence(chain1, key1)]) or _all(
            [silence(chain0, key0), identity(chain1, key1)]
        )
    return None


def silence(chain: Chain, key: str) -> list[Fill] | None:
    """What makes a chain 0; None where it cannot be."""
    for node, own in reversed(list(zip(chain.nodes, node_keys(chain, key), strict=True))):
        found = silence_node(node, own)
        if found is not None:
            return found
        if node.operation.name not in KEEP_ZERO:
            return None
    return None


def silence_node(node: Node, key: str) -> list[Fill] | None:
    """What makes a node 0 whatever its input; None where it cannot be."""
    name, inside = node.operation.name, nested(node, key)
    if name in (*CONVOLUTIONS, *NORMS):
        return [(key, _zero)]
    if name == "zero":
        return []
    if name in ("conv_exp4", "conv_red4"):
        return [(f"{key}/closing", _zero)]
    if name == "copy_multiply":
        return silence(inside[0][1], inside[0][0])
    if name in ("chunk2", "chunk3", "copy_add", "global_avg"):
        return _all(silence(chain, own) for own, chain in inside)
    if node.heads and not any(chain.nodes for own, chain in inside if own.endswith(("/2", "/4"))):
        return [(f"{key}/project", _zero_values)]
    return None


def _all(parts: Iterator[list[Fill] | None] | Sequence[list[Fill] | None]) -> list[Fill] | None:
    """All parts together; None where one cannot be."""
    found: list[Fill] = []
    for part in parts:
        if part is None:
            return None
        found += part
    return found


def _zero(own: Sequence[Tensor]) -> None:
    for tensor in own[:2]:  # the weight and the bias; statistics of a norm stay
        tensor.zero_()


def _dirac(own: Sequence[Tensor]) -> None:
    """The identity on as many channels as both sides of a convolution have; further ones keep what leads out of them.

    The opening of an expansion copies its input and goes on with what it drew; the closing reads the copy alone.
    """
    weight = own[0]
    out, into, *window = weight.shape
    kernel = torch.zeros_like(weight)
    if into == 1 and out > 1:  # depthwise
        kernel[:, 0, window[0] // 2, window[1] // 2] = 1
    else:
        both = torch.arange(min(out, into))
        kernel[both, both, window[0] // 2, window[1] // 2] = 1
        kernel[into:] = weight[into:]
    weight.copy_(kernel)
    for bias in own[1:]:
        bias.zero_()


def _zero_values(own: Sequence[Tensor]) -> None:
    """A projection C → 3C without its values; its channels go head by head: queries, keys, values."""
    for tensor in own:
        torch.unflatten(tensor, 0, (-1, 3, HEAD_WIDTH))[:, 2] = 0
