"""Nodes and chains: the immutable trees that genomes are made of.

A chain is a sequence of nodes that keeps its shape; a node is an operation, or a coupled pair with the chains
between its two halves. Both know their totals, so that a search step touches only the path to its change. Their text
is canonical: equal structure has equal text, and a chain is fully given by its shape and text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from uninas_evo.errors import GenomeError
from uninas_evo.spaces.uninas.operations import ADDABLE, HEAD_CHAINS, HEAD_WIDTH, OPERATIONS, Operation, Shape
from uninas_evo.spaces.uninas.operations.attention import ATTENTION

EMPTY = "-"
"""The text of an empty chain."""
_WIDTH = len(HEAD_CHAINS)


class Chain(NamedTuple):
    """A shape-preserving sequence of nodes.

    Attributes:
        shape: (C, H, W) of every value between its nodes.
        nodes: in the order of computation.
        text: canonical text on one line.
        params: parameters of one copy of the chain.
        flops: FLOPs of one copy of the chain.
        size: nodes in it, nested ones included; a coupled pair is one node, and a group of attention heads of equal
            structure counts once.
        chains: chains in it, itself and nested ones included.
    """

    shape: Shape
    nodes: tuple[Node, ...]
    text: str
    params: int
    flops: int
    size: int
    chains: int

    def insert(self, position: int, node: Node) -> Chain:
        """The chain with one more node, at `position` (0 = first)."""
        nodes = (*self.nodes[:position], node, *self.nodes[position:])
        return self._changed(nodes, node.params, node.flops, node.size, node.chains)

    def remove(self, position: int) -> Chain:
        """The chain without the node at `position`."""
        node = self.nodes[position]
        nodes = self.nodes[:position] + self.nodes[position + 1 :]
        return self._changed(nodes, -node.params, -node.flops, -node.size, -node.chains)

    def replace(self, position: int, node: Node) -> Chain:
        """The chain with another node at `position`."""
        old = self.nodes[position]
        nodes = (*self.nodes[:position], node, *self.nodes[position + 1 :])
        return self._changed(
            nodes,
            node.params - old.params,
            node.flops - old.flops,
            node.size - old.size,
            node.chains - old.chains,
        )

    def _changed(self, nodes: tuple[Node, ...], params: int, flops: int, size: int, chains: int) -> Chain:
        return Chain(
            self.shape,
            nodes,
            " ".join([node.text for node in nodes]) or EMPTY,
            self.params + params,
            self.flops + flops,
            self.size + size,
            self.chains + chains,
        )


class Node(NamedTuple):
    """An operation on a shape; a coupled pair holds its branches.

    Attributes:
        operation: the row of Table I.
        shape: (C, H, W) of its input and output.
        branches: the chains between the halves of a coupled pair; for attention five chains (`HEAD_CHAINS`) for
            each group of heads, group after group.
        heads: for attention, the places of the heads of each group, ascending; groups stand in the order of their
            first places. Heads of a group have equal structure and share no weights.
        text: canonical text.
        params: parameters, branches included.
        flops: FLOPs, branches included.
        size: nodes, itself and nested ones.
        chains: nested chains.
    """

    operation: Operation
    shape: Shape
    branches: tuple[Chain, ...]
    heads: tuple[tuple[int, ...], ...]
    text: str
    params: int
    flops: int
    size: int
    chains: int

    def copies(self, branch: int) -> int:
        """How many copies of a branch the node holds: the heads of its group, 1 outside attention."""
        return len(self.heads[branch // _WIDTH]) if self.heads else 1

    def places(self, branch: int) -> tuple[int, ...]:
        """The places of the heads that a branch belongs to."""
        return self.heads[branch // _WIDTH]

    def head_group(self, group: int) -> tuple[Chain, ...]:
        """The five chains (`HEAD_CHAINS`) of a group of attention heads."""
        return self.branches[group * _WIDTH : (group + 1) * _WIDTH]

    def with_branch(self, branch: int, chain: Chain) -> Node:
        """The node with another chain as branch number `branch`; attention groups that became equal are merged."""
        branches = (*self.branches[:branch], chain, *self.branches[branch + 1 :])
        if len(self.heads) > 1:
            return attention_node(self.shape, self.heads, branches)
        operation, old, copies = self.operation, self.branches[branch], self.copies(branch)
        if operation.commutes:
            branches = _ordered(branches)
        size = self.size + chain.size - old.size
        return Node(
            operation,
            self.shape,
            branches,
            self.heads,
            _node_text(operation.name, branches, self.heads) if size > 1 else operation.name,
            self.params + copies * (chain.params - old.params),
            self.flops + copies * (chain.flops - old.flops),
            size,
            self.chains + chain.chains - old.chains,
        )

    def split_head(self, branch: int, place: int) -> tuple[Node, int]:
        """Takes the head at `place` out of its group, into a group of its own.

        Returns:
            The node, with both groups still of equal structure (so it is not canonical before the next
            `with_branch`), and the number of the split head's copy of `branch`.
        """
        group, chain = divmod(branch, _WIDTH)
        own = self.head_group(group)
        rest = tuple(p for p in self.heads[group] if p != place)
        heads = (*self.heads[:group], rest, *self.heads[group + 1 :], (place,))
        return _node(self.operation, self.shape, self.branches + own, heads), len(self.branches) + chain


def chain(shape: Shape, nodes: Sequence[Node] = ()) -> Chain:
    """A chain of nodes that stand on `shape`."""
    params = flops = size = chains = 0
    for node in nodes:
        params, flops = params + node.params, flops + node.flops
        size, chains = size + node.size, chains + node.chains
    text = " ".join([node.text for node in nodes]) or EMPTY
    return Chain(shape, tuple(nodes), text, params, flops, size, 1 + chains)


empty = cache(chain)
"""The empty chain of a shape."""


def node(name: str, shape: Shape, branches: Sequence[Chain] | None = None) -> Node:
    """A node with the given branches, empty ones by default; the heads of an attention form one group.

    Raises:
        GenomeError: the operation is unknown or does not admit the shape, or the branches are of wrong number or shape.
    """
    operation = find_operation(name)
    if not operation.admits(shape):
        raise GenomeError(
            f"{name} cannot stand on the shape {shape}: it needs {operation.rule}; use another operation there"
        )
    shapes = operation.branches(shape) if operation.branches else ()
    chains = tuple(empty(s) for s in shapes) if branches is None else tuple(branches)
    if tuple(c.shape for c in chains) != shapes:
        raise GenomeError(
            f"{name} on {shape} takes {len(shapes)} branches of shapes {list(shapes)}, "
            f"got {[c.shape for c in chains]}; give one chain of the right shape for each branch"
        )
    heads = (tuple(range(shape[0] // HEAD_WIDTH)),) if operation is ATTENTION else ()
    return _node(operation, shape, chains, heads)


def find_operation(name: str) -> Operation:
    """The operation of a name.

    Raises:
        GenomeError: there is none of this name.
    """
    if name not in OPERATIONS:
        from difflib import get_close_matches

        near = get_close_matches(name, OPERATIONS, 1)
        fix = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(OPERATIONS)}"
        raise GenomeError(f"unknown operation {name!r}; {fix}")
    return OPERATIONS[name]


def attention_node(shape: Shape, heads: Sequence[tuple[int, ...]], branches: Sequence[Chain]) -> Node:
    """An attention node in canonical form: groups of equal structure merged, ordered by their first places.

    Args:
        shape: (C, H, W), C divisible by 32.
        heads: the places of each group; together every place from 0 to C/32 − 1 once.
        branches: five chains a group.
    """
    groups: dict[tuple[str, ...], tuple[tuple[int, ...], Sequence[Chain]]] = {}
    for group, places in enumerate(heads):
        chains = branches[group * _WIDTH : (group + 1) * _WIDTH]
        key = tuple([c.text for c in chains])
        groups[key] = (groups[key][0] + places if key in groups else places, chains)
    ordered = sorted([(tuple(sorted(places)), chains) for places, chains in groups.values()])
    return _node(
        ATTENTION,
        shape,
        tuple(c for _, chains in ordered for c in chains),
        tuple(places for places, _ in ordered),
    )


def _node(operation: Operation, shape: Shape, branches: tuple[Chain, ...], heads: tuple[tuple[int, ...], ...]) -> Node:
    if operation.commutes:
        branches = _ordered(branches)
    params, flops, size, chains = operation.params(*shape), operation.flops(*shape), 1, 0
    for index, branch in enumerate(branches):
        copies = len(heads[index // _WIDTH]) if heads else 1
        params += copies * branch.params
        flops += copies * branch.flops
        size += branch.size
        chains += branch.chains
    text = _node_text(operation.name, branches, heads) if size > 1 else operation.name
    return Node(operation, shape, branches, heads, text, params, flops, size, chains)


def _ordered(branches: tuple[Chain, ...]) -> tuple[Chain, ...]:
    """The branches of a pair that commutes: the order of their texts is the canonical one."""
    return branches[::-1] if branches[1].text < branches[0].text else branches


def _node_text(name: str, branches: tuple[Chain, ...], heads: tuple[tuple[int, ...], ...]) -> str:
    """The text of a pair whose branches are not all empty."""
    if not heads:
        return f"{name}({', '.join([branch.text for branch in branches])})"
    groups = [
        ", ".join(
            f"{label}: {branch.text}"
            for label, branch in zip(HEAD_CHAINS, branches[i * _WIDTH : (i + 1) * _WIDTH], strict=True)
            if branch.nodes
        )
        for i in range(len(heads))
    ]
    if len(heads) > 1:
        groups = [
            f"heads {_ranges(own)}" + (f": {group}" if group else "") for own, group in zip(heads, groups, strict=True)
        ]
    return f"{name}({' | '.join(groups)})"


def _ranges(places: tuple[int, ...]) -> str:
    """Ascending places as "0-3 5"."""
    runs: list[list[int]] = []
    for place in places:
        if runs and place == runs[-1][-1] + 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    return " ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


@cache
def menu(shape: Shape, operations: tuple[str, ...] = ADDABLE) -> tuple[Node, ...]:
    """The nodes of these operations that may be added on a shape, with empty branches, in their order."""
    return tuple(node(name, shape) for name in operations if OPERATIONS[name].admits(shape))


def walk_nodes(root: Chain) -> Iterator[tuple[Node, int]]:
    """Every node of a chain in the order of its text, with the number of its copies."""
    stack = [(n, 1) for n in reversed(root.nodes)]
    while stack:
        current, copies = stack.pop()
        yield current, copies
        for index in reversed(range(len(current.branches))):
            inner = copies * current.copies(index)
            stack.extend((n, inner) for n in reversed(current.branches[index].nodes))
