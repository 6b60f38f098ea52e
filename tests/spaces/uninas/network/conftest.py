"""Random genomes to build: presets on small skeletons, changed by search steps, some with parts cut off by zeros."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import torch

from uninas_evo.contracts import Budget
from uninas_evo.spaces.uninas import PRESETS, Genome, Skeleton, StepRule, UninasSpace, preset
from uninas_evo.spaces.uninas.chain import Chain, node
from uninas_evo.spaces.uninas.step import rewrite

SKELETONS = (
    Skeleton(32, 10, (8, 16), (32, 64), (1, 1)),
    Skeleton(64, 7, (4, 8), (32, 96, 64), (1, 2, 1)),
    Skeleton(48, 3, (6, 6), (96, 96), (2, 1)),
    Skeleton(8, 2, (8, 8), (32,), (2,)),
    Skeleton(16, 10, (8, 12), (12,), (3,)),  # no attention: 12 is not divisible by 32
)


@dataclass(frozen=True)
class Genomes:
    """Sources of random genomes, each a function of its arguments alone."""

    skeletons: tuple[Skeleton, ...] = SKELETONS

    def walked(self, name: str, skeleton: Skeleton, steps: int, seed: int) -> Genome:
        """A preset after search steps inside twice its cost, with heads that split off often."""
        start = preset(name, skeleton)
        budget = Budget(max_params=2 * start.params, max_flops=2 * start.flops + 1e7)
        space = UninasSpace(start, budget, StepRule(split=0.3))
        rng = random.Random(seed)
        genome = start
        for _ in range(steps):
            genome = space.mutate(genome, rng) or genome
        return genome

    def zeroed(self, genome: Genome, zeros: int, seed: int) -> Genome:
        """The genome with zeros at random places of random chains, nested ones included."""
        rng = random.Random(seed)

        def add_zero(chain: Chain, _copies: int) -> Chain:
            return chain.insert(rng.randrange(len(chain.nodes) + 1), node("zero", chain.shape))

        for _ in range(zeros):
            index = rng.randrange(len(genome.chains))
            old = genome.chains[index]
            new = rewrite(old, rng.randrange(old.chains), add_zero, StepRule(), rng)
            assert new is not None
            genome = genome.with_chain(index, new)
        return genome

    def many(self, seeds: int, most_steps: int = 150) -> Iterator[Genome]:
        """Walks from every preset on every skeleton that admits it; every second one with zeros."""
        for number, skeleton in enumerate(self.skeletons):
            for name in PRESETS:
                if name in ("vit", "coatnet") and any(c % 32 for c in skeleton.channels):
                    continue
                for seed in range(seeds):
                    rng = random.Random(f"{number} {name} {seed}")
                    genome = self.walked(name, skeleton, rng.randrange(most_steps + 1), seed)
                    yield self.zeroed(genome, rng.randrange(1, 6), seed) if seed % 2 else genome


@pytest.fixture(scope="session")
def genomes() -> Genomes:
    return Genomes()


@pytest.fixture
def images() -> Callable[[Genome, int], torch.Tensor]:
    """Random images of a genome's size."""

    def draw(genome: Genome, count: int) -> torch.Tensor:
        size = genome.skeleton.image_size
        return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))

    return draw


@pytest.fixture(autouse=True)
def _one_thread_and_own_draws() -> Iterator[None]:
    """Dropout draws from torch's global generator: put it back afterwards."""
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)
