"""The search step (arXiv 2510.06035, Algorithm 1): one node more or one node less, inside the budget.

A step costs microseconds: all costs are sums kept in the nodes, and only the path from a block's chain to the change
is made anew.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from uninas_evo.contracts import Budget
from uninas_evo.errors import GenomeError
from uninas_evo.spaces.uninas.chain import Chain, Node, menu
from uninas_evo.spaces.uninas.genome import Genome
from uninas_evo.spaces.uninas.operations import ADDABLE

Change = Callable[[Chain, int], Chain | None]
"""Takes a chain and the number of its copies in the network, returns the changed chain or None."""


@dataclass(frozen=True, slots=True)
class StepRule:
    """How a search step is drawn.

    Attributes:
        eliminate: probability p of removing a node rather than adding one; 0.3 is the paper's.
        split: probability that a step inside a group of equal attention heads changes one head alone. A tenth: heads
            of the presets stay groups, which run batched, for long, and can still come to differ.
        max_nodes: nodes of one block that an addition may lead to. Without it a walk ends in operations that cost
            next to nothing, nested without end; twenty-four is twice the largest block of the presets.
        motifs: share of the steps that put in a known piece whole; 0 is the paper's step (see `motifs`).
        substitutions: share of the steps that replace an operation by one of its kind; 0 likewise.
        operations: what may be put in, a dialect (see `dialect`); None for all. A run file has it as
            `problem.operations` and `problem.without`.
    """

    eliminate: float = 0.3
    split: float = 0.1
    max_nodes: int = 24
    motifs: float = 0.0
    substitutions: float = 0.0
    operations: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("eliminate", "split", "motifs", "substitutions"):
            if not 0 <= getattr(self, name) <= 1:
                raise GenomeError(f"{name} is a probability: between 0 and 1, got {getattr(self, name)}; 0.3 is usual")
        if self.motifs + self.substitutions > 1:
            raise GenomeError(
                f"motifs and substitutions are shares of the steps: at most 1 together, got {self.motifs} and "
                f"{self.substitutions}; lower one"
            )
        if self.max_nodes < 0:
            raise GenomeError(f"max_nodes counts the nodes of a block: at least 0, got {self.max_nodes}")

    @property
    def dialect(self) -> tuple[str, ...]:
        """The operations that may be put in."""
        return ADDABLE if self.operations is None else self.operations


def step(genome: Genome, budget: Budget, rule: StepRule, rng: random.Random) -> Genome | None:
    """One attempt at a search step: a block, one of its chains (nested ones included), a position, all uniform.

    Args:
        genome: is left unchanged.
        budget: no step leaves it.
        rule: the probabilities.
        rng: all draws come from it.

    Returns:
        The changed genome, or None where the drawn change is not feasible.
    """
    draw = rng.random
    block = int(draw() * (len(genome.chains) // 2))
    first, second = genome.chains[2 * block], genome.chains[2 * block + 1]
    eliminates = draw() < rule.eliminate
    room = rule.max_nodes - first.size - second.size
    if room <= 0 and not eliminates:
        return None
    index, number = 2 * block, int(draw() * (first.chains + second.chains))
    if number >= first.chains:
        index, number = index + 1, number - first.chains
    change = _elimination(genome, budget, rng) if eliminates else _addition(genome, budget, rule, rng)
    old = genome.chains[index]
    new = rewrite(old, number, change, rule, rng)
    if new is None or new.size - old.size > max(room, 0):
        return None
    return genome.with_chain(index, new)


def _elimination(genome: Genome, budget: Budget, rng: random.Random) -> Change:
    return lambda chain, copies: remove_node(chain, int(rng.random() * len(chain.nodes)), copies, genome, budget)


def _addition(genome: Genome, budget: Budget, rule: StepRule, rng: random.Random) -> Change:
    def change(chain: Chain, copies: int) -> Chain | None:
        nodes = menu(chain.shape, rule.dialect)
        if not nodes:
            return None
        node = nodes[int(rng.random() * len(nodes))]
        if not fits(node, copies, genome, budget):  # draw again, among those that fit: uniform over these
            fitting = [n for n in nodes if fits(n, copies, genome, budget)]
            if not fitting:
                return None
            node = fitting[int(rng.random() * len(fitting))]
        return chain.insert(int(rng.random() * (len(chain.nodes) + 1)), node)

    return change


def fits(node: Node, copies: int, genome: Genome, budget: Budget) -> bool:
    """Whether the genome stays inside its upper bounds with `copies` more of this node."""
    return (
        genome.params + copies * node.params <= budget.max_params
        and genome.flops + copies * node.flops <= budget.max_flops
    )


def remove_node(chain: Chain, position: int, copies: int, genome: Genome, budget: Budget) -> Chain | None:
    """The chain without a node and its branches, or None where there is none or a lower bound is broken."""
    if not chain.nodes:
        return None
    node = chain.nodes[position]
    if (
        genome.params - copies * node.params < budget.min_params
        or genome.flops - copies * node.flops < budget.min_flops
    ):
        return None
    return chain.remove(position)


def rewrite(
    chain: Chain, number: int, change: Change, rule: StepRule, rng: random.Random | None, copies: int = 1
) -> Chain | None:
    """Changes one chain inside a chain and makes the path to it anew.

    Args:
        chain: the outermost chain.
        number: which of `chain.chains` is changed, in the order of the text; 0 is the outermost.
        change: what is done to it.
        rule: `split` is used.
        rng: draws whether a single attention head is split off; None never splits.
        copies: copies of `chain` in the network.
    """
    if number == 0:
        return change(chain, copies)
    number -= 1
    for position, node in enumerate(chain.nodes):
        if number < node.chains:
            new = _rewrite_node(node, number, change, rule, rng, copies)
            return None if new is None else chain.replace(position, new)
        number -= node.chains
    raise IndexError("number must be below chain.chains")


def _rewrite_node(
    node: Node, number: int, change: Change, rule: StepRule, rng: random.Random | None, copies: int
) -> Node | None:
    for branch, chain in enumerate(node.branches):
        if number < chain.chains:
            own = node.copies(branch)
            if own > 1 and rng is not None and rng.random() < rule.split:
                places = node.places(branch)
                node, branch = node.split_head(branch, places[int(rng.random() * own)])  # noqa: PLW2901
                own = 1
            new = rewrite(chain, number, change, rule, rng, copies * own)
            return None if new is None else node.with_branch(branch, new)
        number -= chain.chains
    raise IndexError("number must be below node.chains")
