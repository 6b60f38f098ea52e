"""Small skeletons and random genomes for all tests."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from uninas_evo.contracts import Budget
from uninas_evo.spaces.uninas import PRESETS, Genome, Skeleton, StepRule, UninasSpace, preset

SKELETONS = (
    Skeleton(image_size=32, classes=10, stem=(16, 16), channels=(32, 96), depths=(1, 2)),
    Skeleton(image_size=32, classes=7, stem=(8, 12), channels=(32, 64, 128), depths=(1, 1, 1)),
    Skeleton(image_size=64, classes=2, stem=(3, 64), channels=(64,), depths=(3,)),
    Skeleton(),
    Skeleton((16, 24), 3, (8, 8), (32, 64), (1, 1), image_channels=1, stem_stride=1),
)
"""Small ones first; the last but one is the paper's, the last is for gray images that are no squares."""


def random_genome(start: Genome, steps: int, seed: int, split: float = 0.1) -> Genome:
    """The end of a walk from a start, inside four times its cost."""
    budget = Budget(max_params=4 * start.params, max_flops=4 * start.flops)
    space = UninasSpace(start, budget, StepRule(split=split))
    rng = random.Random(seed)
    genome = start
    for _ in range(steps):
        genome = space.mutate(genome, rng) or genome
    return genome


def genomes(skeletons: tuple[Skeleton, ...] = SKELETONS, max_steps: int = 80) -> st.SearchStrategy[Genome]:
    """Genomes at the ends of walks from all presets on all skeletons."""
    starts = [preset(name, skeleton) for name in PRESETS for skeleton in skeletons]
    return st.builds(
        random_genome,
        st.sampled_from(starts),
        st.integers(0, max_steps),
        st.integers(0, 2**32),
        st.sampled_from([0.1, 0.5]),
    )
