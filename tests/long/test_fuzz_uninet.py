"""What tests/spaces/uninet samples, in full: run by hand."""

from __future__ import annotations

import random

import pytest
from spaces.uninet.fuzz import check_fuzzed
from spaces.uninet.test_space import check_operators

pytestmark = pytest.mark.long


def test_ten_thousand_fuzzed_texts():
    """10,000 damaged texts give a GenomeError with its line, or a genome that is read back."""
    print(check_fuzzed(range(10_000)), "of 10,000 are still genomes")


@pytest.mark.timeout(3600)
def test_a_hundred_thousand_calls():
    """10⁵ random calls of compose, mutate and crossover give feasible genomes inside the budget."""
    check_operators(random.Random(0), 100_000)
