"""From a genome to its network, and reproducible weights."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from uninas_evo.spaces.uninas import Chain, Genome, Node
from uninas_evo.spaces.uninas.matching import node_keys
from uninas_evo.spaces.uninas.network.inherit import inherit
from uninas_evo.spaces.uninas.network.layers import ChannelNorm, RelPosBias
from uninas_evo.spaces.uninas.network.pairs import Attention, ChainModule, HeadGroup

Keys = tuple[str, ...]
"""One key for each copy of a module: the places and names of the nodes that lead to it."""


def build(genome: Genome, seed: int = 0) -> Network:
    """The network of a genome.

    Args:
        genome: any genome; equal genomes give equal networks.
        seed: of the initial weights (see `initialize`).
    """
    network = Network(genome)
    initialize(network, seed)
    return network


def build_operation(operation: Node, copies: int) -> nn.Module:
    """An operation alone, so many copies side by side: (N, copies·C, H, W) to any output."""
    return _Builder().node(operation, tuple(map(str, range(copies))))


def initialize(network: Network, seed: int) -> None:
    """Draws all weights anew, each from a generator of its own, keyed by the seed and by its node's place and name.

    So equal parts of two networks have equal weights, which makes the scores of a parent and its child comparable.
    Convolutions: Kaiming normal, fan-out, biases 0; projections of attention: Xavier uniform; bias tables: normal of
    deviation 0.02, cut at two; the head: torch's default. Norms start at weight 1 and bias 0.
    """
    for module, keys in network.seeded:
        for copy, key in enumerate(keys):
            digest = hashlib.sha256(f"{seed}/{key}".encode()).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))
            _initialize_copy(module, copy, len(keys), generator, key.endswith("/project"))


@torch.no_grad()
def _initialize_copy(module: nn.Module, copy: int, copies: int, generator: torch.Generator, projects: bool) -> None:
    own = [parameter.chunk(copies)[copy] for parameter in module.parameters(recurse=False)]
    if isinstance(module, nn.BatchNorm2d):
        module.reset_running_stats()
    if isinstance(module, nn.BatchNorm2d | ChannelNorm):
        own[0].fill_(1)
        own[1].zero_()
        return
    weight = torch.empty(own[0].shape)  # drawn on the CPU, so that every device gets the same weights
    if isinstance(module, RelPosBias):
        nn.init.trunc_normal_(weight, std=0.02, a=-0.04, b=0.04, generator=generator)
    elif isinstance(module, nn.Linear):
        nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)
    elif projects:
        nn.init.xavier_uniform_(weight, generator=generator)
    else:
        nn.init.kaiming_normal_(weight, mode="fan_out", generator=generator)
    own[0].copy_(weight)
    for bias in own[1:]:
        bound = 1 / math.sqrt(weight.shape[1]) if isinstance(module, nn.Linear) else 0
        bias.copy_(torch.empty(bias.shape).uniform_(-bound, bound, generator=generator))


class DropPath(nn.Module):
    """Stochastic depth: drops a residual branch of whole samples with probability `rate` while training."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same; kept samples are scaled so that the expectation stays."""
        if not self.training or self.rate == 0:
            return x
        kept = x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(1 - self.rate)
        return x * kept / (1 - self.rate)


class Block(nn.Module):
    """x ← shortcut(x) + chain₁(norm₁(x)); x ← x + chain₂(norm₂(x)).

    The first block of a stage halves the resolution on both ways, and changes the channels where these differ.
    """

    def __init__(self, before: int, channels: int, first: bool, chain1: ChainModule, chain2: ChainModule) -> None:
        super().__init__()
        self.shortcut = _downsample(before, channels) if first else nn.Identity()
        self.norm1 = nn.Sequential(ChannelNorm(before), *([_downsample(before, channels)] if first else []))
        self.chain1 = chain1
        self.norm2 = ChannelNorm(channels)
        self.chain2 = chain2
        self.drop_path = DropPath()
        for norm, chain in ((self.norm1, chain1), (self.norm2, chain2)):
            if chain.is_constant:
                norm.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the shape of the stage."""
        shortcut: Tensor = self.shortcut(x)
        x = self._residual(shortcut, x, self.norm1, self.chain1)
        return self._residual(x, x, self.norm2, self.chain2)

    def _residual(self, shortcut: Tensor, x: Tensor, norm: nn.Module, chain: ChainModule) -> Tensor:
        if chain.is_zero:
            return shortcut
        branch = chain(shortcut if chain.is_constant else norm(x), broadcast=True)
        dropped: Tensor = self.drop_path(branch)
        return shortcut + dropped


def _downsample(before: int, channels: int) -> nn.Sequential:
    widen = [nn.Conv2d(before, channels, 1)] if before != channels else []
    return nn.Sequential(nn.AvgPool2d(2), *widen)


class Network(nn.Module):
    """The network of a genome: stem, stages of blocks, head.

    Attributes:
        genome: what it was built from.
        stem: two convolutions; halves the resolution, unless its stride is another.
        stages: lists of blocks; the first block of each halves the resolution.
        norm: layer norm before the pooling.
        head: linear, C → K.
        seeded: every module with parameters of its own, with a key for each of its copies (see `initialize`).
    """

    def __init__(self, genome: Genome) -> None:
        super().__init__()
        s = genome.skeleton
        self.genome = genome
        self.stem = nn.Sequential(
            nn.Conv2d(s.image_channels, s.stem[0], 3, stride=s.stem_strides[0], padding=1, bias=False),
            nn.BatchNorm2d(s.stem[0]),
            nn.GELU(),
            nn.Conv2d(s.stem[0], s.stem[1], 3, stride=s.stem_strides[1], padding=1, bias=False),
        )
        builder = _Builder()
        self.stages = nn.ModuleList(nn.ModuleList() for _ in s.channels)
        for index, (stage, place) in enumerate(s.blocks):
            before = s.stem[1] if stage == 0 else s.channels[stage - 1]
            name = f"stages.{stage}.{place}"
            chains = [builder.chain(genome.chains[2 * index + c], (f"{name}.chain{c + 1}",)) for c in range(2)]
            channels = s.channels[stage]
            block = Block(before if place == 0 else channels, channels, place == 0, *chains)
            self._stage(stage).append(block)
        self.norm = ChannelNorm(s.channels[-1])
        self.head = nn.Linear(s.channels[-1], s.classes)
        self.seeded = [*self._skeleton_modules(), *builder.seeded]
        self.to(memory_format=torch.channels_last)

    def _stage(self, stage: int) -> nn.ModuleList:
        blocks = self.stages[stage]
        if not isinstance(blocks, nn.ModuleList):
            raise TypeError("a stage is a list of blocks")
        return blocks

    def _skeleton_modules(self) -> Iterator[tuple[nn.Module, Keys]]:
        for name, module in self.named_modules():
            inside_chain = ".chain1." in name or ".chain2." in name
            if not inside_chain and next(module.parameters(recurse=False), None) is not None:
                yield module, (name,)

    @property
    def blocks(self) -> list[Block]:
        """All blocks in order."""
        return [block for stage in range(len(self.stages)) for block in self._stage(stage) if isinstance(block, Block)]

    def reinitialize(self, seed: int) -> None:
        """Draws all weights anew (see `initialize`)."""
        initialize(self, seed)

    def inherit(self, parent: nn.Module) -> None:
        """Takes over the weights of the network of a parent, as far as they fit (see `network.inherit`)."""
        if isinstance(parent, Network):
            inherit(self, parent)

    def forward_features(self, x: Tensor) -> list[Tensor]:
        """(N, C, H, W) to one map for each stage, for detection and segmentation.

        Their strides are 4, 8, … behind a stem of stride 2, the paper's.
        """
        # Channels last in memory, the layout of layer norms; torch.func.vmap does not take `channels_last` itself.
        x = self.stem(x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2))
        maps = []
        for stage in range(len(self.stages)):
            for block in self._stage(stage):
                x = block(x)
            maps.append(x)
        return maps

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """The last stage's map (N, C, H, W) to logits (N, K), or to the pooled features (N, C) before the head."""
        pooled: Tensor = self.norm(x).mean((2, 3))
        return pooled if pre_logits else self.head(pooled)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to logits (N, K)."""
        return self.forward_head(self.forward_features(x)[-1])

    @property
    def num_features(self) -> int:
        """C, the channels before the head, as timm calls them."""
        return self.genome.skeleton.channels[-1]

    @property
    def feature_info(self) -> list[dict[str, int | str]]:
        """For each map of `forward_features` its channels, stride and module, as timm tells them."""
        skeleton = self.genome.skeleton
        return [
            {"num_chs": width, "reduction": skeleton.stem_stride * 2 ** (stage + 1), "module": f"stages.{stage}"}
            for stage, width in enumerate(skeleton.channels)
        ]

    def get_classifier(self) -> nn.Module:
        """The head."""
        return self.head

    def reset_classifier(self, num_classes: int) -> None:
        """Puts a head of so many classes, drawn anew, in place of the old one; the genome follows."""
        skeleton = replace(self.genome.skeleton, classes=num_classes)
        self.genome = Genome.of(skeleton, self.genome.chains)
        self.seeded = [entry for entry in self.seeded if entry[0] is not self.head]
        weight = self.head.weight
        self.head = nn.Linear(self.num_features, num_classes, device=weight.device, dtype=weight.dtype)
        self.seeded.append((self.head, ("head",)))

    def set_drop_path(self, rate: float) -> None:
        """Sets stochastic depth: the rate grows linearly over the blocks, from 0 to `rate`."""
        blocks = self.blocks
        for index, block in enumerate(blocks):
            block.drop_path.rate = rate * index / max(1, len(blocks) - 1)


class _Builder:
    """Builds chains and notes the keys of all modules with parameters."""

    def __init__(self) -> None:
        self.seeded: list[tuple[nn.Module, Keys]] = []

    def chain(self, chain: Chain, keys: Keys) -> ChainModule:
        """A chain.

        A node's key is its operation and how many of the same came before, so that neighbors that come or go leave
        its weights alone.
        """
        own = zip(*(node_keys(chain, key) for key in keys), strict=True)
        return ChainModule([self.node(node, names) for node, names in zip(chain.nodes, own, strict=True)])

    def node(self, node: Node, keys: Keys) -> nn.Module:
        operation, copies = node.operation, len(keys)
        if operation.layer is not None:
            return self.seed(operation.layer(node.shape, copies), keys)
        if operation.couple is None:
            return self.attention(node, keys)
        branches = [self.chain(b, tuple(f"{key}/{i}" for key in keys)) for i, b in enumerate(node.branches)]
        return operation.couple(node.shape, branches, copies, partial(self.conv1, keys))

    def attention(self, node: Node, keys: Keys) -> Attention:
        groups = []
        for group, places in enumerate(node.heads):
            own = tuple(f"{key}/head{place}" for key in keys for place in places)
            chains = [
                self.chain(chain, tuple(f"{key}/{part}" for key in own))
                for part, chain in enumerate(node.head_group(group))
            ]
            groups.append(HeadGroup(chains, places))
        c = node.shape[0]
        return Attention(self.conv1(keys, c, 3 * c, "project"), groups, len(keys))

    def conv1(self, keys: Keys, before: int, after: int, part: str) -> nn.Conv2d:
        copies = len(keys)
        conv = nn.Conv2d(copies * before, copies * after, 1, groups=copies)
        self.seed(conv, tuple(f"{key}/{part}" for key in keys))
        return conv

    def seed(self, module: nn.Module, keys: Keys) -> nn.Module:
        if next(module.parameters(recurse=False), None) is not None:
            self.seeded.append((module, keys))
        return module
