"""Motifs: pieces that hand-crafted networks are made of, put into a network whole.

A search step adds one node, and most pieces that help are two to six nodes long, with nothing gained on the way to
them. The pieces are those of the presets (arXiv 2510.06035, Table IV), of MobileNetV3 (arXiv 1905.02244) and ConvNeXt
(arXiv 2201.03545).
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from uninas_evo.contracts import Budget
from uninas_evo.errors import GenomeError
from uninas_evo.spaces.uninas.chain import Chain, walk_nodes
from uninas_evo.spaces.uninas.genome import Genome
from uninas_evo.spaces.uninas.operations import Shape
from uninas_evo.spaces.uninas.presets import block_chain
from uninas_evo.spaces.uninas.step import StepRule

MOTIFS = (
    "conv3 batchnorm gelu",
    "conv1 batchnorm gelu",
    "dw3 batchnorm gelu",
    "dw5 batchnorm gelu",
    "dw5 batchnorm",
    "batchnorm gelu",
    "conv_exp4(gelu)",
    "conv_exp4(gelu) batchnorm",
    "dw5 layernorm conv_exp4(gelu)",
    "conv_exp4(dw3 batchnorm gelu) batchnorm",
    "conv_exp4(batchnorm gelu dw5 batchnorm gelu) batchnorm",
    "conv_exp4(batchnorm gelu dw5 batchnorm gelu copy_multiply(-, global_avg(conv_red4(gelu)))) batchnorm",
    "conv_red4(conv3 batchnorm gelu)",
    "copy_multiply(-, global_avg(conv_red4(gelu)))",
    "copy_multiply(-, global_avg(conv1 sigmoid))",
    "copy_add(-, dw3 batchnorm)",
    "attention(scores: relposbias softmax) conv1",
)
"""The pieces, from the cheapest convolutions to a whole attention."""


def insert_motif(genome: Genome, budget: Budget, rule: StepRule, rng: random.Random) -> Genome | None:
    """One attempt to put a motif before, behind or in the place of a block's chain.

    Half of the time a node of the chain is taken out first, to make room in the budget.

    Args:
        genome: is left unchanged.
        budget: is not left.
        rule: `max_nodes` and `dialect` hold here too.
        rng: all draws come from it.

    Returns:
        The changed genome, or None where the drawn motif does not stand there or does not fit.
    """
    index = rng.randrange(len(genome.chains))
    old = genome.chains[index]
    motif = _on(rng.choice(MOTIFS), old.shape, rule.dialect)
    if motif is None:
        return None
    kept = old
    if kept.nodes and rng.random() < 0.5:
        kept = kept.remove(rng.randrange(len(kept.nodes)))
    new = _placed(kept, motif, rng.choice(("before", "behind", "instead")))
    child = genome.with_chain(index, new)
    other = genome.chains[index ^ 1]
    grew_too_much = new.size + other.size > max(rule.max_nodes, old.size + other.size)
    return None if child == genome or grew_too_much or not budget.admits(child.cost) else child


def _on(text: str, shape: Shape, operations: Sequence[str]) -> Chain | None:
    """A motif on a shape; None where one of its operations cannot stand there, or is not in the dialect."""
    try:
        motif = block_chain(text, shape)
    except GenomeError:
        return None
    return motif if all(node.operation.name in operations for node, _ in walk_nodes(motif)) else None


def _placed(kept: Chain, motif: Chain, where: str) -> Chain:
    if where == "instead":
        return motif
    position = 0 if where == "before" else len(kept.nodes)
    for node in reversed(motif.nodes):
        kept = kept.insert(position, node)
    return kept
