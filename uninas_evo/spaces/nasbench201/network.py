"""The networks of NAS-Bench-201 (Dong & Yang, ICLR 2020, section 2): a cell stacked fifteen times."""

from __future__ import annotations

import itertools

import torch
from torch import nn

from uninas_evo.spaces.nasbench201.space import CELLS_PER_STAGE, EDGES, STAGES, Cell


class CellNetwork(nn.Module):
    """Stem, three stages of five cells with residual reductions between them, pooling and a classifier.

    Args:
        genome: the cell that all fifteen places hold.
        classes: K, the classifier's outputs.
    """

    def __init__(self, genome: Cell, classes: int) -> None:
        super().__init__()
        widths = [channels for channels, _ in STAGES]
        self.stem = nn.Sequential(nn.Conv2d(3, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]))
        self.stages = nn.ModuleList(
            nn.Sequential(*(CellModule(genome, width) for _ in range(CELLS_PER_STAGE))) for width in widths
        )
        self.reductions = nn.ModuleList(Reduction(a, b) for a, b in itertools.pairwise(widths))
        self.norm = nn.Sequential(nn.BatchNorm2d(widths[-1]), nn.ReLU())
        self.head = nn.Linear(widths[-1], classes)

    def forward_features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The (N, C, H, W) maps at the end of each stage of images (N, 3, H, W)."""
        x = self.stem(x)
        maps = []
        for index, stage in enumerate(self.stages):
            x = stage(self.reductions[index - 1](x) if index else x)
            maps.append(x)
        return maps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, K) of images (N, 3, H, W)."""
        return torch.as_tensor(self.head(self.norm(self.forward_features(x)[-1]).mean(dim=(2, 3))))


class CellModule(nn.Module):
    """Four nodes: the first is the input, each other one the sum of its edges, the last the output."""

    def __init__(self, genome: Cell, channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(_operation(name, channels) for name in genome.edges)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to the same shape."""
        nodes: dict[int, torch.Tensor] = {0: x}
        for module, (source, target) in zip(self.edges, EDGES, strict=True):
            value = module(nodes[source])
            nodes[target] = nodes[target] + value if target in nodes else value
        return nodes[max(nodes)]


class Reduction(nn.Module):
    """A residual block that halves the map and widens it; its shortcut is a pooling and a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(_relu_conv_norm(inputs, outputs, 3, 2), _relu_conv_norm(outputs, outputs, 3))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, 2 C, H / 2, W / 2)."""
        return torch.as_tensor(self.shortcut(x) + self.convolutions(x))


class Zero(nn.Module):
    """No connection: zeros of the input's shape, a product so that gradients are zeros and not missing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Zeros of x's shape."""
        return x * 0


def _relu_conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    # Not in place: the same input feeds several edges.
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), convolution, nn.BatchNorm2d(outputs))


def _operation(name: str, channels: int) -> nn.Module:
    match name:
        case "none":
            return Zero()
        case "skip_connect":
            return nn.Identity()
        case "avg_pool_3x3":
            return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        case _:
            return _relu_conv_norm(channels, channels, int(name[-1]))
