"""Outputs of 20,000 random genomes and of their canonical ones: run by hand."""

from __future__ import annotations

import pytest
from spaces.uninas.equal_networks import difference, same, walked

from uninas_evo.spaces.uninas.reduce import canonical

pytestmark = pytest.mark.long


@pytest.mark.parametrize("block", range(200))
def test_canonical_networks_compute_the_same(block: int) -> None:
    """A hundred genomes each: outputs equal to 1e-5 in eval mode, and with the batch's statistics up to rounding."""
    for seed in range(100 * block, 100 * block + 100):
        raw = walked(seed)
        found = canonical(raw)
        if found != raw:
            assert difference(raw, found, training=False) < 1e-5, seed
            assert same(raw, found, training=True), seed
