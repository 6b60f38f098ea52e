"""What a network computes, as far as its text tells: nodes without effect are taken out.

Most paths of search steps pass through such nodes: an empty `chunk2`, a norm behind a norm, anything before a `zero`.
There are three levels. What is *neutral* changes no output of a trained network, so that it can be left out when the
network is used. Networks that are equal *for training* compute the same function of their weights, so that
training both is wasted. Networks that are equal *for a proxy* do so at initialization with dropout off, which is all
that a training-free score sees: dropout is no difference there, and a norm is one without weights.
The last two hold as far as the small constants of norms allow (a norm of what hardly varies is not yet normal), and not
the other way around: networks with different reduced chains may still be equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

from uninas_evo.spaces.uninas.chain import Chain, Node, attention_node, chain, walk_nodes
from uninas_evo.spaces.uninas.chain import node as make_node
from uninas_evo.spaces.uninas.genome import Genome

Level = Literal["neutral", "training", "proxy"]
NORMS = ("batchnorm", "layernorm")
SPLITS = ("chunk2", "chunk3")
_IDEMPOTENT: dict[Level, tuple[str, ...]] = {
    "neutral": ("mask",),
    "training": ("mask", *NORMS),
    "proxy": ("mask", *NORMS),
}
"""What does nothing more behind itself; a second norm has weights of its own once it is trained."""
_SCALELESS: dict[Level, tuple[str, ...]] = {"neutral": (), "training": NORMS, "proxy": ("layernorm",)}
"""Norms that a factor before them does not change; in eval mode a fresh batch norm is no norm but a factor itself."""
MASK_REACH = 5
"""A mask keeps values whose row and column differ by at most this much."""


def reduced(genome: Genome) -> tuple[str, ...]:
    """The texts of all chains without nodes that have no effect in training; the norm before a chain is counted in."""
    return tuple(one.text for one in _chains(genome, "training"))


def canonical(genome: Genome) -> Genome:
    """The genome that stands for all those that are equal for a proxy: itself without what no proxy sees.

    Applied twice it changes nothing more.
    """
    return Genome.of(genome.skeleton, list(_chains(genome, "proxy")))


def trimmed(genome: Genome) -> Genome:
    """The genome without what is neutral: with the same weights, its network gives the same outputs once trained."""
    return Genome.of(genome.skeleton, list(_chains(genome, "neutral")))


def neutral(genome: Genome) -> dict[str, int]:
    """How many of each operation are neutral."""
    return dict(_operations(genome) - _operations(trimmed(genome)))


def _operations(genome: Genome) -> Counter[str]:
    return Counter(node.operation.name for chain in genome.chains for node, _ in walk_nodes(chain))


def _chains(genome: Genome, level: Level) -> Iterator[Chain]:
    for index, one in enumerate(genome.chains):
        nodes = _settled(one, level)
        _, place = genome.skeleton.blocks[index // 2]
        if level != "neutral" and (
            place or index % 2
        ):  # elsewhere an average lies between the block's norm and its chain
            while nodes and nodes[0].operation.name == "layernorm" and not _is_constant(nodes[0], level):
                nodes = nodes[1:]
        yield chain(one.shape, nodes)


def _settled(one: Chain, level: Level) -> list[Node]:
    """The nodes that are left where taking out has changed what stands beside what."""
    before, nodes = -1, _reduced(one, level)
    while before != len(nodes):
        before, nodes = len(nodes), _reduced(chain(one.shape, nodes), level)
    return nodes


def _reduced(one: Chain, level: Level) -> list[Node]:
    """The nodes of a chain that have an effect, their branches reduced."""
    kept: list[Node] = []
    for node in one.nodes:
        for new in _effect(node, level):
            _append(kept, new, level)
    return kept


def _append(kept: list[Node], new: Node, level: Level) -> None:
    """Puts a node behind others, as far as it has an effect there."""
    name = new.operation.name
    last = kept[-1] if kept else None
    if _is_constant(new, level):
        kept[:] = [new]  # whatever came before
    elif last is not None and name in _IDEMPOTENT[level] and last.operation.name == name:
        pass  # done already
    elif last is not None and name in _SCALELESS[level] and _doubles(last):
        kept[-1] = new  # a factor before a norm
    elif last is not None and name == "global_avg" and last.operation.name == name:
        inner = last.branches[0]  # the average over equal positions is each of them
        kept[-1] = last.with_branch(0, chain(inner.shape, [*inner.nodes, *new.branches[0].nodes]))
    else:
        kept.append(new)


def _is_constant(node: Node, level: Level) -> bool:
    """Whether its output is the same whatever its input: a zero, the softmax of one value, for proxies its norm."""
    name, (channels, _, width) = node.operation.name, node.shape
    if (
        name == "zero"
        or (name == "softmax" and width == 1)
        or (level == "proxy" and name == "layernorm" and channels == 1)
    ):
        return True
    begins = [branch.nodes[:1] for branch in node.branches]  # what stands behind a constant stays constant
    return bool(begins) and all(first and _is_constant(first[0], level) for first in begins)


def _effect(node: Node, level: Level) -> list[Node]:
    """A node with its branches reduced, as the nodes that are left of it."""
    name, (_, height, width) = node.operation.name, node.shape
    if not node.branches:
        return [] if _is_identity(name, height, width, level) else [node]
    branches = [chain(branch.shape, _settled(branch, level)) for branch in node.branches]
    if name in SPLITS and not any(branch.nodes for branch in branches):
        return []
    if name == "global_avg" and (height, width) == (1, 1):
        return list(branches[0].nodes)
    zeros = [branch.text == "zero" for branch in branches]
    if name == "copy_add" and any(zeros):
        return list(branches[zeros.index(True) ^ 1].nodes)
    if name == "copy_multiply" and zeros[0]:
        return list(branches[0].nodes)
    return [_with_branches(node, branches)]


def _is_identity(name: str, height: int, width: int, level: Level) -> bool:
    return (
        (name == "maxpool" and (height, width) == (1, 1))
        or (name == "mask" and max(height, width) <= MASK_REACH + 1)
        or (name == "dropout" and level != "training")
    )


def _with_branches(node: Node, branches: Sequence[Chain]) -> Node:
    if all(new.text == old.text for new, old in zip(branches, node.branches, strict=True)):
        return node
    if node.heads:
        return attention_node(node.shape, node.heads, branches)
    return make_node(node.operation.name, node.shape, branches)


def _doubles(node: Node) -> bool:
    """Whether a node multiplies its input by a number."""
    return node.operation.name == "copy_add" and not any(branch.nodes for branch in node.branches)
