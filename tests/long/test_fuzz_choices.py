"""What tests/spaces/cells and tests/spaces/stages sample, in full: run by hand."""

from __future__ import annotations

import pytest
from spaces.cells import test_cells as cells
from spaces.damage import fuzz
from spaces.stages import test_stages as stages

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(7200),
    pytest.mark.parametrize("sampled", [cells, stages], ids=["cells", "stages"]),
]


def test_five_hundred_genomes(sampled):
    """The costs of 500 random genomes are those of their networks."""
    for seed in range(500):
        sampled.check_cost(seed)


def test_ten_thousand_fuzzed_texts(sampled):
    """10,000 damaged texts are genomes, or a GenomeError."""
    for seed in range(10_000):
        fuzz(sampled.SPACE, seed)
