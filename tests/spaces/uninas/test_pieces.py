"""Genomes as pieces: each operation on its shape, and sums over them that are as exact as they are fast."""

from __future__ import annotations

import random

import pytest
import torch

from uninas_evo.contracts import Piece, Pieced
from uninas_evo.spaces.uninas import Genome, Skeleton, UninasSpace, load_genome, preset, walk_nodes
from uninas_evo.spaces.uninas.operations import OPERATIONS
from uninas_evo.spaces.uninas.pieces import pieces

SMALL = Skeleton(image_size=16, classes=4, stem=(8, 8), channels=(96,), depths=(1,))
SPACE = UninasSpace(preset("coatnet", SMALL))


def walked(steps: int, seed: int) -> Genome:
    rng, genome = random.Random(seed), SPACE.start
    for _ in range(steps):
        genome = SPACE.mutate(genome, rng) or genome
    return genome


@pytest.mark.parametrize("seed", range(5))
def test_pieces_are_the_nodes(seed):
    """Summed over pieces, FLOPs and parameters of operations and their copies are those of a genome without zeros."""
    genome = load_genome(walked(60, seed).text.replace("zero", "gelu"))
    found = pieces(genome)
    assert sum(found.values()) == sum(1 for chain in genome.chains for _ in walk_nodes(chain))
    for number in ("params", "flops"):
        total = getattr(SMALL.cost, number)
        for piece, count in found.items():
            own = OPERATIONS[piece.operation].cost(piece.shape)
            total += count * piece.copies * getattr(own, number)
        assert total == getattr(genome, number)


def test_sums_are_the_same_however_they_are_reached():
    """Along a walk, sums that remember chains equal those of a fresh start, to the last bit."""
    amount = lambda piece: 0.1 + len(piece.operation) * piece.copies / 7 + piece.shape[1] / 3  # noqa: E731
    remembering, rng, genome = SPACE.sums(amount), random.Random(0), SPACE.start
    for _ in range(200):
        genome = SPACE.mutate(genome, rng) or genome
        assert remembering(genome) == SPACE.sums(amount)(genome)
        assert remembering(genome) == pytest.approx(sum(n * amount(p) for p, n in SPACE.pieces(genome).items()))


def test_what_a_zero_cuts_off_is_no_piece():
    """Nodes before a zero do not run, and the zero itself takes no time."""
    text = SPACE.start.text.split("  1:")[0] + "  1: conv1 zero gelu\n  2: zero\n"
    assert pieces(load_genome(text)) == {Piece("gelu", (96, 4, 4)): 1}


def test_pieces_run_alone():
    """Every piece is a module that takes its copies side by side."""
    assert isinstance(SPACE, Pieced)
    for piece in pieces(walked(80, 1)):
        c, h, w = piece.shape
        output = SPACE.build_piece(piece).eval()(torch.randn(1, piece.copies * c, h, w))
        assert output.shape[:2] == (1, piece.copies * c)
