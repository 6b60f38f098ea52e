"""Which node of one genome is which of another, by the keys of their weights (see `network.initialize`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from uninas_evo.spaces.uninas.chain import Chain, Node
from uninas_evo.spaces.uninas.diff import aligned, crossed
from uninas_evo.spaces.uninas.genome import Genome

Pair = tuple[str, str]
"""Keys of one node in the child and in the parent."""


def node_keys(chain: Chain, key: str) -> list[str]:
    """The key of each node of a chain: its operation, and how many of the same came before."""
    seen: Counter[str] = Counter()
    keys = []
    for node in chain.nodes:
        keys.append(f"{key}/{node.operation.name}{seen[node.operation.name]}")
        seen[node.operation.name] += 1
    return keys


def chains_by_key(genome: Genome) -> dict[str, Chain]:
    """Both chains of every block, by the keys of the chains."""
    places = [f"stages.{stage}.{place}.chain{c}" for stage, place in genome.skeleton.blocks for c in (1, 2)]
    return dict(zip(places, genome.chains, strict=True))


def nested(node: Node, key: str) -> list[tuple[str, Chain]]:
    """The chains inside a node with their keys, those of attention head by head."""
    if not node.heads:
        return [(f"{key}/{index}", branch) for index, branch in enumerate(node.branches)]
    return [
        (f"{key}/head{place}/{part}", branch)
        for group, places in enumerate(node.heads)
        for place in places
        for part, branch in enumerate(node.head_group(group))
    ]


def matched(child: Genome, parent: Genome) -> Iterator[Pair]:
    """Every node that both genomes have, as `edits` tells them; blocks are compared by their places."""
    before = chains_by_key(parent)
    for key, chain in chains_by_key(child).items():
        if key in before:
            yield from _matched(chain, before[key], key, key)


def _matched(child: Chain, parent: Chain, child_key: str, parent_key: str) -> Iterator[Pair]:
    mine, theirs = node_keys(child, child_key), node_keys(parent, parent_key)
    for i, j in aligned(parent, child):
        yield mine[j], theirs[i]
        yield from _inside(child.nodes[j], parent.nodes[i], mine[j], theirs[i])


def _inside(child: Node, parent: Node, child_key: str, parent_key: str) -> Iterator[Pair]:
    mine, theirs = nested(child, child_key), nested(parent, parent_key)
    if child.heads:
        before = dict(theirs)
        for key, chain in mine:
            old = parent_key + key.removeprefix(child_key)
            if old in before:
                yield from _matched(chain, before[old], key, old)
        return
    if crossed(parent, child):
        theirs = theirs[::-1]
    for (key, chain), (old, other) in zip(mine, theirs, strict=True):
        yield from _matched(chain, other, key, old)
