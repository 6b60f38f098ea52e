"""The published genotypes of the DARTS space, by the names that their authors gave them.

Sources: DARTS (arXiv 1806.09055), P-DARTS (1904.12760), PC-DARTS (1907.05737), UNAS (1912.07651, appendix).
"""

from __future__ import annotations

from uninas_evo.errors import GenomeError
from uninas_evo.mistakes import nearest
from uninas_evo.spaces.darts.genome import Cell, Edge, Genome, Skeleton

_SHORT = {
    "s3": "sep_conv_3x3",
    "s5": "sep_conv_5x5",
    "s7": "sep_conv_7x7",
    "d3": "dil_conv_3x3",
    "d5": "dil_conv_5x5",
    "id": "skip_connect",
    "mp": "max_pool_3x3",
    "ap": "avg_pool_3x3",
}

_CELLS = {
    "darts_v1": ("s31 s30 id0 s31 id0 s31 s30 id2", "mp0 mp1 id2 mp0 mp0 id2 id2 ap0"),
    "darts_v2": ("s30 s31 s30 s31 s31 id0 id0 d32", "mp0 mp1 id2 mp1 mp0 id2 id2 mp1"),
    "pdarts": ("id0 d31 id0 s31 s31 s33 s30 d54", "ap0 s51 s30 d52 mp0 d31 d31 d53"),
    "pc_darts_cifar": ("s31 id0 s30 d31 s50 s31 ap0 d31", "s51 mp0 s51 s52 s30 s33 s31 s32"),
    "pc_darts_image": ("id1 s30 s30 id1 s31 s33 s31 d54", "s30 id1 d52 mp1 s32 s31 s50 s33"),
    "unas_cifar10": ("s50 id0 id0 d31 s30 d31 s31 d30", "s30 s50 id1 s30 ap1 id0 s53 ap1"),
    "unas_cifar100": ("s30 d30 d31 s30 id0 s31 s51 s30", "s70 s30 s31 s50 s71 d30 d30 s33"),
    "unas_imagenet": ("s30 id0 s30 id1 s31 s50 s30 d31", "s50 s31 s50 s31 s51 d30 d33 s31"),
}
"""Normal and reduction cell: operation and input of each edge, two for a node."""

PRESETS = tuple(_CELLS)
"""The names of the presets."""


def preset(name: str, skeleton: Skeleton | None = None) -> Genome:
    """A published network.

    Args:
        name: one of `PRESETS`.
        skeleton: any skeleton; by default the one that is trained on CIFAR-10.

    Raises:
        GenomeError: there is no preset of this name.
    """
    if name not in _CELLS:
        raise GenomeError(f"unknown preset {name!r}; use one of {', '.join(PRESETS)}{nearest(name, PRESETS)}")
    normal, reduce = map(_cell, _CELLS[name])
    return Genome(normal, reduce, skeleton or Skeleton())


def _cell(words: str) -> Cell:
    edges = [Edge(int(word[2]), _SHORT[word[:2]]) for word in words.split()]
    return Cell(tuple((edges[index], edges[index + 1]) for index in range(0, len(edges), 2)))
