"""The acceptance networks of the UniNet space, and random ones."""

from __future__ import annotations

import random

from uninas_evo.spaces.uninet import MODULES, OPERATORS, Genome, Skeleton, Stage
from uninas_evo.spaces.uninet.widths import rounded

SKELETONS = {
    "A": Skeleton(),
    "B": Skeleton(image_size=224),
    "C": Skeleton(32, 10, 16, 1, (16, 1), 16, 4, 128, (2, 2, 2)),
    "D": Skeleton(96, 10, 24, 2, None, 16, 5, 256, (2, 2, 1, 2)),
    "E": Skeleton(28, 10, 16, 1, (16, 2), 8, 4, 64, (1, 2, 2)),
}

ACCEPTED = (
    ("A", "LG LSA 2 32 1 · G DWConv 5 64 1 · G SA 2 128 4 · L MLP 5 128 4 · L MLP 4 96 6",
     3_357_910, 997_717_760, 2_031_255_856),
    ("B", "LG DWConv 6 32 1 · G MLP 4 64 1 · L DWConv 4 144 5 · G MLP 3 96 7 · L LSA 3 288 10",
     12_528_492, 3_726_797_920, 7_588_691_296),
    ("A", "G DWConv 4 64 2 · LG SA 6 96 4 · G Conv 6 64 2 · LG LSA 6 96 3 · G MLP 2 96 6",
     5_904_102, 2_361_675_840, 4_798_349_557),
    ("C", "G SA 2 16 1 · L Conv 6 24 2 · L Conv 3 40 2",
     722_418, 42_477_440, 85_847_544),
    ("A", "L MLP 4 32 3 · G Conv 5 32 1 · G Conv 4 128 2 · L Conv 4 192 4 · G MLP 2 160 6",
     31_684_094, 3_009_351_904, 6_023_532_527),
    ("D", "L DWConv 2 24 2 · LG MLP 5 64 1 · G MLP 3 96 1 · LG DWConv 6 96 3",
     1_110_130, 63_587_968, 128_484_664),
    ("B", "G LSA 6 32 2 · L DWConv 4 32 3 · G MLP 6 128 5 · L LSA 2 64 4 · L LSA 6 160 8",
     6_228_388, 3_211_907_392, 6_549_336_680),
    ("E", "LG Conv 6 16 1 · G Conv 2 24 1 · LG MLP 5 32 4",
     178_678, 106_313_384, 217_601_312),
    ("A", "G SA 4 32 1 · L Conv 6 32 1 · L DWConv 2 80 2 · G MLP 3 64 6 · LG LSA 3 160 6",
     3_807_176, 1_090_813_344, 2_220_954_795),
    ("B", "L LSA 3 64 1 · LG Conv 6 64 1 · G Conv 6 96 1 · G LSA 2 160 6 · G MLP 6 256 10",
     16_032_842, 3_040_073_632, 6_101_976_560),
)  # fmt: skip
"""Skeleton, stages, parameters, published FLOPs, FLOPs: measured by building the networks and counting every call."""


def accepted(skeleton: str, stages: str) -> Genome:
    """A genome of the table above."""
    rows = [stage.split() for stage in stages.split(" · ")]
    return Genome(SKELETONS[skeleton], tuple(Stage(m, o, int(e), int(c), int(r)) for m, o, e, c, r in rows))


def random_genome(skeleton: Skeleton, rng: random.Random) -> Genome:
    """A small genome on a skeleton, off any lattice."""
    stages = []
    for _ in skeleton.strides:
        module, operator = rng.choice(MODULES), rng.choice(OPERATORS)
        channels = rounded(rng.randint(16, 64), max(8, skeleton.heads))
        stages.append(Stage(module, operator, rng.randint(1, 4), channels, rng.randint(1, 2)))
    return Genome(skeleton, tuple(stages))
