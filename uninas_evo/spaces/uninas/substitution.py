"""Substitution: one operation gives its place to another of its kind, and keeps its branches."""

from __future__ import annotations

import random
from collections.abc import Sequence

from uninas_evo.contracts import Budget
from uninas_evo.spaces.uninas.chain import Chain, Node, node
from uninas_evo.spaces.uninas.genome import Genome
from uninas_evo.spaces.uninas.operations import ADDABLE, OPERATIONS, Operation
from uninas_evo.spaces.uninas.step import Change, StepRule, rewrite


def substitute(genome: Genome, budget: Budget, rule: StepRule, rng: random.Random) -> Genome | None:
    """One attempt to replace an operation by another of its kind that takes the same branches.

    Args:
        genome: is left unchanged.
        budget: is not left.
        rule: says how often an attention head is changed alone, and which operations there are.
        rng: all draws come from it.

    Returns:
        The changed genome, or None where what was drawn has no kin or does not fit.
    """
    index = rng.randrange(len(genome.chains))
    old = genome.chains[index]
    new = rewrite(old, rng.randrange(old.chains), _change(rule, rng), rule, rng)
    if new is None:
        return None
    child = genome.with_chain(index, new)
    return child if budget.admits(child.cost) else None


def kin(one: Node, operations: Sequence[str] = ADDABLE) -> list[Operation]:
    """The operations out of some that can stand in a node's place: of its kind, with branches of the same shapes."""
    operation = one.operation
    shapes = operation.branches(one.shape) if operation.branches else ()
    return [
        other
        for other in map(OPERATIONS.__getitem__, operations)
        if other is not operation
        and other.kind == operation.kind
        and other.admits(one.shape)
        and (other.branches(one.shape) if other.branches else ()) == shapes
    ]


def _change(rule: StepRule, rng: random.Random) -> Change:
    def change(chain: Chain, copies: int) -> Chain | None:
        if not chain.nodes:
            return None
        position = rng.randrange(len(chain.nodes))
        one = chain.nodes[position]
        others = kin(one, rule.dialect)
        if not others:
            return None
        return chain.replace(position, node(rng.choice(others).name, chain.shape, one.branches or None))

    return change
