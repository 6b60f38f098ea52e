"""The UniNAS space: genomes, the search step, crossover, exact cost, presets and file forms (no torch).

- `Genome`, `Skeleton`: a network, and what the search does not change of it
- `scale`, `compound`: a deeper, wider network for other images
- `preset`, `PRESETS`, `load_genome`: hand-crafted networks; a genome from a name, a file or a text
- `genome_to_json`, `genome_to_package`: the JSON forms, ours and that of the authors' package `uninas`
- `UninasSpace`, `StepRule`: the space as a search sees it, and how a search step is drawn
- `OPERATIONS`, `ADDABLE`, `HEAD_CHAINS`, `HEAD_WIDTH`: Table I of the paper
- `Chain`, `Node`, `walk_nodes`: the trees inside a genome
"""

from uninas_evo.spaces.uninas.authors_json import genome_to_package
from uninas_evo.spaces.uninas.chain import Chain, Node, walk_nodes
from uninas_evo.spaces.uninas.genome import Genome
from uninas_evo.spaces.uninas.json_form import genome_to_json
from uninas_evo.spaces.uninas.load import load_genome
from uninas_evo.spaces.uninas.operations import ADDABLE, HEAD_CHAINS, HEAD_WIDTH, OPERATIONS, Operation
from uninas_evo.spaces.uninas.presets import PRESETS, preset
from uninas_evo.spaces.uninas.resize import compound, scale
from uninas_evo.spaces.uninas.skeleton import Skeleton
from uninas_evo.spaces.uninas.space import UninasSpace
from uninas_evo.spaces.uninas.step import StepRule, step

__all__ = [
    "ADDABLE",
    "HEAD_CHAINS",
    "HEAD_WIDTH",
    "OPERATIONS",
    "PRESETS",
    "Chain",
    "Genome",
    "Node",
    "Operation",
    "Skeleton",
    "StepRule",
    "UninasSpace",
    "compound",
    "genome_to_json",
    "genome_to_package",
    "load_genome",
    "preset",
    "scale",
    "step",
    "walk_nodes",
]
