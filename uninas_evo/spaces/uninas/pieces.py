"""Genomes as the pieces that a device runs one after the other, and sums over them that a search can afford."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from uninas_evo.contracts import Piece, Shape
from uninas_evo.spaces.uninas.chain import Chain, Node
from uninas_evo.spaces.uninas.genome import Genome

ZERO = "zero"
REMEMBERED = 100_000
"""Chains that sums remember: those of some thousand genomes, in 50 megabytes."""


def pieces(genome: Genome) -> Mapping[Piece, int]:
    """How often each piece stands in a genome, the skeleton left out, and what a zero in its chain cuts off."""
    found: Counter[Piece] = Counter()
    stack = [(chain, 1) for chain in genome.chains]
    while stack:
        chain, copies = stack.pop()
        for node in running(chain):
            found[Piece(node.operation.name, node.shape, copies)] += 1
            stack += [(branch, copies * node.copies(index)) for index, branch in enumerate(node.branches)]
    return found


def running(chain: Chain) -> tuple[Node, ...]:
    """The nodes that a network runs: those behind the last zero, which takes no time itself."""
    nodes = chain.nodes
    if ZERO in chain.text:
        last = max((place for place, node in enumerate(nodes) if node.operation.name == ZERO), default=-1)
        return nodes[last + 1 :]
    return nodes


class Sums:
    """Adds an amount over the pieces of genomes.

    Sums of chains are remembered: a search step makes one chain anew and keeps the others.

    Args:
        amount: of one piece; is asked once for each.
    """

    def __init__(self, amount: Callable[[Piece], float]) -> None:
        self._amount = amount
        self._pieces: dict[tuple[Shape, int], dict[str, float]] = {}
        self._chains: dict[tuple[str, Shape, int], float] = {}
        self._last: tuple[Sequence[Chain], Sequence[float]] = (), ()

    def __call__(self, genome: Genome) -> float:
        """The sum over a genome's pieces."""
        chains, (before, known) = genome.chains, self._last
        if len(before) == len(chains):  # nearly all are the objects that the genome before this one has
            changed = zip(chains, before, known, strict=True)
            sums = [own if chain is old else self._chain(chain, 1) for chain, old, own in changed]
        else:
            sums = [self._chain(chain, 1) for chain in chains]
        self._last = chains, sums
        return sum(sums)

    def _chain(self, chain: Chain, copies: int) -> float:
        key = chain.text, chain.shape, copies
        known = self._chains.get(key)
        if known is not None:
            return known
        own = self._pieces.setdefault(key[1:], {})
        total = 0.0
        for node in running(chain):
            name = node.operation.name
            if name not in own:
                own[name] = self._amount(Piece(name, chain.shape, copies))
            total += own[name]
            if node.size > 1:  # some branch is not empty
                for index, branch in enumerate(node.branches):
                    if branch.nodes:
                        total += self._chain(branch, copies * node.copies(index))
        if len(self._chains) >= REMEMBERED:
            self._chains.clear()
        self._chains[key] = total
        return total
