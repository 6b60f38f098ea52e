"""What a network costs as a backbone: its maps for images of any size, in closed form."""

from __future__ import annotations

from uninas_evo.contracts import Cost
from uninas_evo.spaces.uninas.chain import Chain, Node
from uninas_evo.spaces.uninas.genome import Genome
from uninas_evo.spaces.uninas.operations import Shape

PUBLISHED = "published_flops"
"""Name of the count that the paper prints."""


def backbone_cost(genome: Genome, height: int, width: int) -> Cost:
    """Parameters and FLOPs of `forward_features`: everything but the last norm, the pooling and the classifier.

    `published_flops` leave out norms, activation, poolings and additions of the skeleton, as the authors' package does:
    it counts the skeleton by torch's profiler, which sees convolutions alone, and the chains as Table I has them.

    Args:
        genome: any genome.
        height: of the image in pixels.
        width: of the image in pixels.
    """
    s = genome.skeleton
    _, (h, w) = s.stem_sizes(height, width)
    skeleton, seen = s.stem_cost(height, width), s.stem_convolutions(height, width)
    chains = 0
    for index, (stage, place) in enumerate(s.blocks):
        area_before = h * w
        if place == 0:
            h, w = h // 2, w // 2
        skeleton = skeleton + s.block_cost(stage, h * w, area_before if place == 0 else None)
        seen += s.widening(stage, h * w).flops if place == 0 else 0
        chains += sum(_chain_flops(c, (s.channels[stage], h, w)) for c in genome.chains[2 * index : 2 * index + 2])
    return Cost(genome.params - s.head_cost.params, skeleton.flops + chains, ((PUBLISHED, seen + chains),))


def _chain_flops(chain: Chain, shape: Shape) -> int:
    return sum(_node_flops(node, shape) for node in chain.nodes)


def _node_flops(node: Node, shape: Shape) -> int:
    """FLOPs of a node with its branches on another shape than its own."""
    shapes = node.operation.branches(shape) if node.operation.branches else ()
    inner = sum(
        node.copies(index) * _chain_flops(branch, shapes[index % len(shapes)])
        for index, branch in enumerate(node.branches)
    )
    return node.operation.flops(*shape) + inner
