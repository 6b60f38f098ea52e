"""What a network computes, as far as its text tells: nodes without effect are taken out.

Two networks with equal reduced chains compute the same function of their weights, so that training both is wasted.
Most paths of search steps pass through such nodes: an empty `chunk2`, a norm behind a norm, anything before a `zero`.
The reverse does not hold: networks with different reduced chains may still be equal.
"""

from __future__ import annotations

from uninas_evo.spaces.uninas.chain import Chain, Node, chain
from uninas_evo.spaces.uninas.genome import Genome

NORMS = ("batchnorm", "layernorm")
SPLITS = ("chunk2", "chunk3")


def reduced(genome: Genome) -> tuple[str, ...]:
    """The texts of all chains without nodes that have no effect; the layer norm before each chain is counted in."""
    texts = []
    for one in genome.chains:
        nodes = _reduced(one)
        while nodes and nodes[0].operation.name == "layernorm":
            nodes = nodes[1:]
        texts.append(chain(one.shape, nodes).text)
    return tuple(texts)


def _reduced(one: Chain) -> list[Node]:
    """The nodes of a chain that have an effect, their branches reduced."""
    kept: list[Node] = []
    for node in one.nodes:
        for new in _effect(node):
            name = new.operation.name
            if name == "zero":
                kept = [new]  # whatever came before
            elif name in NORMS and kept and kept[-1].operation.name == name:
                continue  # normalized already
            else:
                if name in NORMS and kept and _doubles(kept[-1]):
                    kept.pop()  # a factor before a norm
                kept.append(new)
    return kept


def _effect(node: Node) -> list[Node]:
    """A node with its branches reduced, as the nodes that are left of it."""
    if not node.branches:
        return [] if node.operation.name == "maxpool" and node.shape[1:] == (1, 1) else [node]
    branches = [chain(branch.shape, _reduced(branch)) for branch in node.branches]
    name = node.operation.name
    if name in SPLITS and not any(branch.nodes for branch in branches):
        return []
    if name == "global_avg" and node.shape[1:] == (1, 1):
        return list(branches[0].nodes)
    zeros = [branch.text == "zero" for branch in branches]
    if name == "copy_add" and any(zeros):
        return list(branches[zeros.index(True) ^ 1].nodes)
    if name == "copy_multiply" and any(zeros):
        return list(branches[zeros.index(True)].nodes)
    for index, branch in enumerate(branches):
        if branch.text != node.branches[index].text:
            if len(node.heads) > 1:
                return [node]  # groups of heads would merge and move; such nodes stay as they are
            node = node.with_branch(index, branch)
    return [node]


def _doubles(node: Node) -> bool:
    """Whether a node multiplies its input by a number."""
    return node.operation.name == "copy_add" and not any(branch.nodes for branch in node.branches)
