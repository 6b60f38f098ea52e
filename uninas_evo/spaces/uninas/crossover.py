"""Crossover of two genomes of one skeleton: blocks of the same stage are exchanged."""

from __future__ import annotations

import random

from uninas_evo.errors import GenomeError
from uninas_evo.spaces.uninas.genome import Genome


def cross(a: Genome, b: Genome, rng: random.Random) -> Genome:
    """The genome `a` with about half of its blocks taken from blocks of the same stages of `b`.

    All blocks of a stage have one shape, so that a block may also change its place in the stage. The child's cost is
    not bounded here.

    Args:
        a: is left unchanged.
        b: likewise; must have the skeleton of `a`.
        rng: all draws come from it.

    Raises:
        GenomeError: the skeletons differ.
    """
    if a.skeleton != b.skeleton:
        raise GenomeError(
            f"crossover needs two genomes of one skeleton, got {a.skeleton} and {b.skeleton}; "
            "search each skeleton on its own"
        )
    chains = list(a.chains)
    start = 0
    for depth in a.skeleton.depths:
        for block in range(start, start + depth):
            if rng.random() < 0.5:
                donor = start + int(rng.random() * depth)
                chains[2 * block : 2 * block + 2] = b.chains[2 * donor : 2 * donor + 2]
        start += depth
    return Genome.of(a.skeleton, chains)
