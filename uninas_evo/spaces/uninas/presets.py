"""The hand-crafted networks of the paper as genomes (arXiv 2510.06035, Table IV), on any skeleton."""

from __future__ import annotations

from dataclasses import replace

from uninas_evo.errors import GenomeError
from uninas_evo.mistakes import nearest
from uninas_evo.spaces.uninas.chain import Chain
from uninas_evo.spaces.uninas.genome import Genome
from uninas_evo.spaces.uninas.operations import Shape
from uninas_evo.spaces.uninas.operations.attention import RELPOSBIAS
from uninas_evo.spaces.uninas.skeleton import Skeleton
from uninas_evo.spaces.uninas.text import parse_chain

PRESETS = ("resnet", "efficientnet", "vit", "coatnet")
"""The names of the presets."""

_BLOCKS = {
    "resnet": ("conv3 batchnorm gelu conv3 batchnorm gelu", "zero"),
    "efficientnet": (
        "conv_exp4(batchnorm gelu dw5 batchnorm gelu copy_multiply(-, global_avg(conv_red4(gelu)))) batchnorm",
        "zero",
    ),
    "vit": ("attention(scores: relposbias softmax) conv1", "conv_exp4(layernorm gelu)"),
}

_CHANNELS = {
    "resnet": (64, 128, 384, 512),
    "efficientnet": (96, 192, 384, 512),
    "vit": (96, 192, 384, 768),
    "coatnet": (96, 192, 384, 768),
}


def block_texts(name: str, stage: int = 0, stages: int = 1) -> tuple[str, str]:
    """The two chains of a preset's block in a stage."""
    if name == "coatnet":
        name = "efficientnet" if stage < (stages + 1) // 2 else "vit"
    return _BLOCKS[name]


def block_chain(text: str, shape: Shape, where: str = "chain") -> Chain:
    """A known piece on a shape, without relative position biases where these need a square and it is none.

    Raises:
        GenomeError: an operation cannot stand there.
    """
    _, height, width = shape
    area = height * width
    return parse_chain(text if RELPOSBIAS.admits((1, area, area)) else text.replace("relposbias ", ""), shape, where)


def preset(name: str, skeleton: Skeleton | None = None) -> Genome:
    """A hand-crafted network.

    Args:
        name: one of `PRESETS`.
        skeleton: any skeleton; the paper's own of this preset by default. CoAtNet has the EfficientNet block in the
            first half of the stages (the middle one of an odd number included), the ViT block in the others.

    Raises:
        GenomeError: there is no preset of this name, or its block does not fit the skeleton; relative position biases
            alone are left out where it has no squares.
    """
    if name not in PRESETS:
        raise GenomeError(f"unknown preset {name!r}; use one of {', '.join(PRESETS)}{nearest(name, PRESETS)}")
    skeleton = replace(Skeleton(), channels=_CHANNELS[name]) if skeleton is None else skeleton
    stages = len(skeleton.channels)
    return Genome.of(
        skeleton,
        [
            block_chain(text, shape, f"preset {name}, stage {stage + 1}")
            for (stage, _), shape in zip(skeleton.blocks, skeleton.shapes, strict=True)
            for text in block_texts(name, stage, stages)
        ],
    )
