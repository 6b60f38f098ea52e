"""From a genome to its network, and reproducible weights."""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor, nn

from uninas_evo.spaces.uninet.genome import Genome
from uninas_evo.spaces.uninet.network.layers import LAYER_SCALE, LayerScale
from uninas_evo.spaces.uninet.network.modules import downsampling
from uninas_evo.spaces.uninet.network.operators import Block, ConvBlock, operator

LINEAR_DEVIATION = 0.02
"""Standard deviation of linear weights at the start, cut at two: the authors' code."""


def build(genome: Genome, seed: int = 0) -> Network:
    """The network of a genome.

    Args:
        genome: any genome; equal genomes give equal networks.
        seed: of the initial weights (see `initialize`).
    """
    network = Network(genome)
    initialize(network, seed)
    return network


@torch.no_grad()
def initialize(network: Network, seed: int) -> None:
    """Draws all weights anew for training, each layer from a generator keyed by the seed and the layer's name.

    Linear weights are normal of deviation 0.02, cut at two; convolutions torch's default; norms 1 and 0; LayerScale
    1e-6 and the last norm of convolutional blocks 0, so that every block begins as the identity (the authors' code).
    """
    for name, layer in network.named_modules():
        generator = _generator(seed, name)
        if isinstance(layer, nn.BatchNorm2d | nn.LayerNorm):
            layer.reset_parameters()
        elif isinstance(layer, LayerScale):
            layer.weight.fill_(LAYER_SCALE)
        elif isinstance(layer, nn.Linear):
            cut = 2 * LINEAR_DEVIATION
            weight = torch.empty(layer.weight.shape)  # drawn on the CPU, so that every device gets the same weights
            nn.init.trunc_normal_(weight, std=LINEAR_DEVIATION, a=-cut, b=cut, generator=generator)
            _set(layer, weight)
        elif isinstance(layer, nn.Conv2d):
            weight = torch.empty(layer.weight.shape)
            nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)
            bound = 1 / math.sqrt(weight[0].numel())
            _set(layer, weight, torch.empty(len(weight)).uniform_(-bound, bound, generator=generator))
    for block in network.modules():
        if isinstance(block, ConvBlock):
            block.norm.weight.zero_()


@torch.no_grad()
def initialize_for_scoring(network: Network, seed: int) -> None:
    """Draws all weights anew for training-free scores: Kaiming normal, biases 0, norms and LayerScale 1.

    With the factors that training begins at, attention and MLP are invisible to scores at initialization.
    """
    for name, layer in network.named_modules():
        if isinstance(layer, nn.BatchNorm2d | nn.LayerNorm):
            layer.reset_parameters()
        elif isinstance(layer, LayerScale):
            layer.weight.fill_(1)
        elif isinstance(layer, nn.Linear | nn.Conv2d):
            weight = torch.empty(layer.weight.shape)
            nn.init.kaiming_normal_(weight, generator=_generator(seed, name))
            _set(layer, weight)


def _generator(seed: int, name: str) -> torch.Generator:
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))


def _set(layer: nn.Linear | nn.Conv2d, weight: Tensor, bias: Tensor | None = None) -> None:
    layer.weight.copy_(weight)
    if layer.bias is not None:
        layer.bias.copy_(torch.zeros(len(weight)) if bias is None else bias)


class Network(nn.Module):
    """The network of a genome: stem, fixed stage, stages of a module and blocks, head.

    Attributes:
        genome: what it was built from.
        stem: 3×3 convolution, batch norm, GELU.
        first: the blocks of the fixed stage.
        stages: of each stage its module, then its blocks.
        neck: 1×1 convolution, batch norm, GELU before the pooling.
        head: linear, → K.
    """

    def __init__(self, genome: Genome) -> None:
        super().__init__()
        s = genome.skeleton
        self.genome = genome
        self.stem = nn.Sequential(
            nn.Conv2d(3, s.stem, 3, s.stem_stride, 1, bias=False), nn.BatchNorm2d(s.stem), nn.GELU()
        )
        channels, repeats = s.first or (s.stem, 0)
        self.first = nn.Sequential(
            *(ConvBlock(channels if place else s.stem, channels, 1, dense=False) for place in range(repeats))
        )
        self.stages = nn.ModuleList()
        for index, (before, stage) in enumerate(zip(genome.inputs, genome.stages, strict=True)):
            module = downsampling(stage.module, before, stage.channels, s.strides[index], s.heads)
            side = s.sides[index + 1]
            blocks = [operator(stage, side, s.heads, s.window) for _ in range(stage.repeats)]
            self.stages.append(nn.Sequential(module, *blocks))
        last = genome.stages[-1].channels
        self.neck = nn.Sequential(nn.Conv2d(last, s.head, 1, bias=False), nn.BatchNorm2d(s.head), nn.GELU())
        self.head = nn.Linear(s.head, s.classes)
        self.to(memory_format=torch.channels_last)

    @property
    def blocks(self) -> list[nn.Module]:
        """All blocks and modules in order, those of the fixed stage too."""
        return [*self.first, *(layer for stage in self.stages for layer in stage)]  # type: ignore[attr-defined]

    def reinitialize(self, seed: int) -> None:
        """Draws all weights anew for training (see `initialize`)."""
        initialize(self, seed)

    def initialize_for_scoring(self, seed: int) -> None:
        """Draws all weights anew for training-free scores (see the function of this name)."""
        initialize_for_scoring(self, seed)

    def forward_features(self, x: Tensor) -> list[Tensor]:
        """(N, 3, H, W) to the map after each stage: for detection and segmentation."""
        # Channels last in memory, the layout of tokens; torch.func.vmap does not take `channels_last` itself.
        x = self.first(self.stem(x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)))
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) to logits (N, K)."""
        logits: Tensor = self.head(self.neck(self.forward_features(x)[-1]).mean((2, 3)))
        return logits

    def set_drop_path(self, rate: float) -> None:
        """Sets stochastic depth: the rate grows linearly over the blocks, from 0 to `rate`; modules have none."""
        blocks = [block for block in self.blocks if isinstance(block, Block)]
        for index, block in enumerate(blocks):
            block.drop_path.rate = rate * index / max(1, len(blocks) - 1)
