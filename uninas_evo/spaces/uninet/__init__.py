"""The UniNet space: five stages of one operator and one downsampling module each (no torch).

- `Genome`, `Skeleton`, `Stage`: a network, and what the search does not change of it
- `preset`, `PRESETS`, `scale`: the published networks B0 to B6, the reference, and compound scaling
- `parse_genome`: the genome of a text
- `UninetSpace`, `Lattice`: the space as a search sees it, and its options
- `OPERATORS`, `MODULES`: general operators and downsampling modules

Source: Liu et al., "UniNet: Unified Architecture Search with Convolution, Transformer, and MLP", ECCV 2022, arXiv
2207.05420.
"""

from uninas_evo.spaces.uninet.genome import MODULES, OPERATORS, Genome, Skeleton, Stage
from uninas_evo.spaces.uninet.lattice import Lattice
from uninas_evo.spaces.uninet.presets import PRESETS, REFERENCE, preset, scale
from uninas_evo.spaces.uninet.space import UninetSpace
from uninas_evo.spaces.uninet.text import parse_genome

__all__ = [
    "MODULES",
    "OPERATORS",
    "PRESETS",
    "REFERENCE",
    "Genome",
    "Lattice",
    "Skeleton",
    "Stage",
    "UninetSpace",
    "parse_genome",
    "preset",
    "scale",
]
