"""A genome as a networkx graph of elementary operations, for anyone's own tools."""

from __future__ import annotations

from typing import Any

import networkx

from uninas_evo.contracts import Cost
from uninas_evo.spaces.uninas.chain import Chain, Node
from uninas_evo.spaces.uninas.genome import Genome
from uninas_evo.spaces.uninas.operations import HEAD_CHAINS, product_cost, projection_cost


def flow_graph(genome: Genome) -> networkx.DiGraph:
    """The network as a directed acyclic graph.

    The nodes are named by their places, such as ``2.1.1/3`` (stage, block, chain / node) and
    ``2.1.1/3/add`` (the second half of a pair), and carry `operation`, `kind`, `shape` (of the input), `params` and
    `flops` (of all copies) and `copies` (heads of a group). The skeleton's parts are nodes of kind "skeleton"; the
    costs of all nodes add up to the genome's.
    """
    flow = _Flow()
    s = genome.skeleton
    # The parts of the skeleton's cost are not told apart here: the stem node carries them all.
    last = flow.add("stem", "", "stem", "skeleton", s.image, s.cost)
    for index, (stage, place) in enumerate(s.blocks):
        for number in range(2):
            name = f"{stage + 1}.{place + 1}.{number + 1}"
            chain = genome.chains[2 * index + number]
            norm = flow.add(f"{name}/norm", last, "layernorm", "skeleton", chain.shape, Cost(0, 0))
            end = flow.chain(chain, name, norm, 1)
            added = flow.add(f"{name}/residual", end, "add", "skeleton", chain.shape, Cost(0, 0))
            flow.graph.add_edge(last, added)
            last = added
    flow.add("head", last, "head", "skeleton", s.stage_shape(len(s.channels) - 1), Cost(0, 0))
    return flow.graph


class _Flow:
    def __init__(self) -> None:
        self.graph = networkx.DiGraph()

    def add(self, name: str, before: str, operation: str, kind: str, shape: Any, cost: Cost, copies: int = 1) -> str:
        self.graph.add_node(
            name,
            operation=operation,
            kind=kind,
            shape=shape,
            params=copies * cost.params,
            flops=copies * cost.flops,
            copies=copies,
        )
        if before:
            self.graph.add_edge(before, name)
        return name

    def chain(self, chain: Chain, name: str, before: str, copies: int) -> str:
        for position, node in enumerate(chain.nodes):
            before = self.node(node, f"{name}/{position + 1}", before, copies)
        return before

    def node(self, n: Node, name: str, before: str, copies: int) -> str:
        operation = n.operation
        if not n.branches:
            return self.add(name, before, operation.name, operation.kind, n.shape, operation.cost(n.shape), copies)
        if n.heads:
            return self.attention(n, name, before, copies)
        first, second = operation.halves
        opening, closing = operation.half_costs(n.shape)
        fork = self.add(name, before, first, operation.kind, n.shape, opening, copies)
        ends = [self.chain(b, f"{name}/{i + 1}", fork, copies) for i, b in enumerate(n.branches)]
        merge = self.add(f"{name}/{second}", "", second, operation.kind, n.branches[0].shape, closing, copies)
        self.graph.add_edges_from((end, merge) for end in ends)
        return merge

    def attention(self, n: Node, name: str, before: str, copies: int) -> str:
        projection, matmul = projection_cost(*n.shape), product_cost(*n.shape[1:])
        fork = self.add(name, before, "conv_chunk3", "attention", n.shape, projection, copies)
        merge = self.add(f"{name}/concat", "", "concat", "attention", n.shape, Cost(0, 0), copies)
        for group, places in enumerate(n.heads):
            own = copies * len(places)
            label = f"{name}/heads{group + 1}"
            q, k, v, scores, out = (
                (f"{label}/{part}", chain) for part, chain in zip(HEAD_CHAINS, n.head_group(group), strict=True)
            )
            one = v[1].shape
            first = self.add(f"{label}/matmul1", "", "matmul1", "attention", one, matmul, own)
            for part, chain in (q, k):
                self.graph.add_edge(self.chain(chain, part, fork, own), first)
            weights = self.chain(scores[1], scores[0], first, own)
            second = self.add(f"{label}/matmul2", weights, "matmul2", "attention", one, matmul, own)
            self.graph.add_edge(self.chain(v[1], v[0], fork, own), second)
            self.graph.add_edge(self.chain(out[1], out[0], second, own), merge)
        return merge
