"""Where a search may begin: the presets and their crosses, stage by stage, that the budget admits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from uninas_evo.contracts import Budget
from uninas_evo.errors import GenomeError
from uninas_evo.spaces.uninas.genome import Genome
from uninas_evo.spaces.uninas.presets import PRESETS, block_chain, block_texts, preset
from uninas_evo.spaces.uninas.skeleton import Skeleton

BLOCKS = ("resnet", "efficientnet", "vit")
"""The presets that have a block of their own; CoAtNet is one of their crosses."""


def starts(skeleton: Skeleton, budget: Budget) -> list[Genome]:
    """The presets first, then crosses of them, those that spend most of the budget first; all inside it.

    In a cross each stage has the block of one preset, its second chain that of the ViT where the block has none.
    """
    presets = [genome for name in PRESETS if (genome := _preset(name, skeleton)) and budget.admits(genome.cost)]
    crosses = [genome for genome in _crosses(skeleton) if budget.admits(genome.cost)]
    ordered = sorted(crosses, key=lambda genome: (-_spent(genome, budget), genome.text))
    return list(dict.fromkeys([*presets, *ordered]))


def _preset(name: str, skeleton: Skeleton) -> Genome | None:
    try:
        return preset(name, skeleton)
    except GenomeError:  # attention needs widths that a head divides
        return None


def _crosses(skeleton: Skeleton) -> Iterator[Genome]:
    second = block_texts("vit")[1]
    texts = [block_texts(name) for name in BLOCKS] + [(block_texts(name)[0], second) for name in BLOCKS[:2]]
    for chosen in itertools.product(texts, repeat=len(skeleton.channels)):
        try:
            yield Genome.of(
                skeleton,
                [
                    block_chain(text, shape)
                    for (stage, _), shape in zip(skeleton.blocks, skeleton.shapes, strict=True)
                    for text in chosen[stage]
                ],
            )
        except GenomeError:
            continue


def _spent(genome: Genome, budget: Budget) -> float:
    """The share of the budget's tightest bound that a genome spends; of its own size where nothing is bounded."""
    shares = [genome.params / budget.max_params, genome.flops / budget.max_flops]
    return max(shares) if any(map(math.isfinite, (budget.max_params, budget.max_flops))) else genome.params
