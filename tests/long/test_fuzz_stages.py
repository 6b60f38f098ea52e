"""What tests/spaces/stages samples, in full: run by hand."""

from __future__ import annotations

import pytest
from spaces.stages.test_stages import check_cost, fuzz

pytestmark = [pytest.mark.long, pytest.mark.timeout(7200)]


def test_five_hundred_genomes():
    """The costs of 500 random genomes are those of their networks."""
    for seed in range(500):
        check_cost(seed)


def test_ten_thousand_fuzzed_texts():
    """10,000 damaged texts are genomes, or a GenomeError."""
    for seed in range(10_000):
        fuzz(seed)
