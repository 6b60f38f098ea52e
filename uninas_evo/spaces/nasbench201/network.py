"""The networks of NAS-Bench-201 (Dong & Yang, ICLR 2020, section 2): a cell stacked fifteen times."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from uninas_evo.spaces.nasbench201.space import CELLS_PER_STAGE, EDGES, STAGES, Cell


class Trunk(nn.Module):
    """Everything but the cells: stem, residual reductions between three stages, pooling, classifier.

    Args:
        make_cell: gives the cell of a width in channels.
        classes: K, the classifier's outputs.
        channels: of the first stage; each further one has twice as many.
        cells: of each stage.
    """

    def __init__(self, make_cell: Callable[[int], nn.Module], classes: int, channels: int, cells: int) -> None:
        super().__init__()
        widths = [channels << stage for stage in range(len(STAGES))]
        self.stem = nn.Sequential(nn.Conv2d(3, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]))
        self.stages = nn.ModuleList(nn.Sequential(*(make_cell(width) for _ in range(cells))) for width in widths)
        self.reductions = nn.ModuleList(Reduction(a, b) for a, b in itertools.pairwise(widths))
        self.norm = nn.Sequential(nn.BatchNorm2d(widths[-1]), nn.ReLU())
        self.head = nn.Linear(widths[-1], classes)

    def maps(self, x: Tensor, run: Callable[[nn.Module, Tensor], Tensor]) -> list[Tensor]:
        """The (N, C, H, W) maps at the end of each stage, `run` applying a cell to its input."""
        x, found = self.stem(x), []
        for index, stage in enumerate(self.stages):
            x = self.reductions[index - 1](x) if index else x
            for cell in stage:  # type: ignore[attr-defined]  # a Sequential
                x = run(cell, x)
            found.append(x)
        return found

    def logits(self, x: Tensor) -> Tensor:
        """(N, K) of the last stage's map (N, C, H, W)."""
        return torch.as_tensor(self.head(self.norm(x).mean(dim=(2, 3))))


class CellNetwork(Trunk):
    """The network of a cell, by default the benchmark's.

    Args:
        genome: the cell that all places hold.
        classes: K, the classifier's outputs.
        channels: of the first stage.
        cells: of each stage.
        affine: whether the norms inside cells have a scale and a shift, which those of supernets do not.
    """

    def __init__(
        self,
        genome: Cell,
        classes: int,
        channels: int = STAGES[0][0],
        cells: int = CELLS_PER_STAGE,
        *,
        affine: bool = True,
    ) -> None:
        super().__init__(lambda width: CellModule(genome, width, affine), classes, channels, cells)

    def forward_features(self, x: Tensor) -> list[Tensor]:
        """The (N, C, H, W) maps at the end of each stage of images (N, 3, H, W)."""
        return self.maps(x, _run)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, K) of images (N, 3, H, W)."""
        return self.logits(self.maps(x, _run)[-1])


def _run(cell: nn.Module, x: Tensor) -> Tensor:
    return torch.as_tensor(cell(x))


class CellModule(nn.Module):
    """Four nodes: the first is the input, each other one the sum of its edges, the last the output."""

    def __init__(self, genome: Cell, channels: int, affine: bool = True) -> None:
        super().__init__()
        self.edges = nn.ModuleList(operation(name, channels, affine) for name in genome.edges)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        return join(x, list(self.edges))


def join(x: Tensor, edges: Sequence[Callable[[Tensor], Tensor]]) -> Tensor:
    """The last node of a cell whose first is x, each edge taking the value of its source."""
    nodes: dict[int, Tensor] = {0: x}
    for edge, (source, target) in zip(edges, EDGES, strict=True):
        value = edge(nodes[source])
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


def _relu_conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1, affine: bool = True) -> nn.Sequential:
    # Not in place: the same input feeds several edges.
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), convolution, nn.BatchNorm2d(outputs, affine=affine))


def operation(name: str, channels: int, affine: bool = True) -> nn.Module:
    """The layers of an operation; each keeps the shape."""
    match name:
        case "none":
            return Zero()
        case "skip_connect":
            return nn.Identity()
        case "avg_pool_3x3":
            return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        case _:
            return _relu_conv_norm(channels, channels, int(name[-1]), affine=affine)
