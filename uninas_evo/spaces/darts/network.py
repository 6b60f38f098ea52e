"""The networks of the DARTS space: stem, a stack of cells each fed by the two before it, pooling, classifier."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from uninas_evo.errors import SpaceError
from uninas_evo.spaces.darts.genome import FIRST_NODE, Cell, Genome, Place, Skeleton
from uninas_evo.spaces.darts.layers import Halve, NormStyle, edge, operation, projection

AUXILIARY_SIDE = 5
"""The auxiliary head's pooling needs maps of at least so many pixels."""


class Trunk(nn.Module):
    """Everything but the cells' insides, which evaluation and shared-weight networks have in common.

    Args:
        skeleton: image, classes, channels.
        cells: a module for each place.
    """

    def __init__(self, skeleton: Skeleton, cells: Iterable[nn.Module]) -> None:
        super().__init__()
        self.skeleton = skeleton
        self.stem = _large_stem(skeleton.channels) if skeleton.is_large else _small_stem(skeleton.channels)
        self.cells = nn.ModuleList(cells)
        self.classifier = nn.Linear(skeleton.places[-1].outputs, skeleton.classes)

    def outputs(self, x: Tensor, run: Callable[[nn.Module, Tensor, Tensor], Tensor]) -> list[Tensor]:
        """The output of each cell, `run` applying a cell to its two inputs."""
        before = self.stem[0](x)
        last = self.stem[1](before)
        maps = []
        for cell in self.cells:
            before, last = last, run(cell, before, last)
            maps.append(last)
        return maps

    def logits(self, x: Tensor) -> Tensor:
        """(N, K) of the last cell's output (N, C, H, W)."""
        return torch.as_tensor(self.classifier(x.mean(dim=(2, 3))))


class DartsNetwork(Trunk):
    """The network of a genome.

    Args:
        genome: the cells and their skeleton.
        style: of the norms: affine and none behind pools, unless it is taken out of a search network.
        auxiliary: whether it has the auxiliary head of trainings from scratch.

    Raises:
        SpaceError: the maps are too small for an auxiliary head.
    """

    def __init__(self, genome: Genome, style: NormStyle | None = None, *, auxiliary: bool = False) -> None:
        style, places = style or NormStyle(), genome.skeleton.places
        cells = [CellModule(cell, place, style) for cell, place in zip(genome.cells, places, strict=True)]
        super().__init__(genome.skeleton, cells)
        self.auxiliary = AuxiliaryHead(genome.skeleton) if auxiliary else None

    def forward_features(self, x: Tensor) -> list[Tensor]:
        """The (N, C, H, W) maps at the end of each stage of images (N, 3, H, W)."""
        maps = self.outputs(x, _run)
        return [a for a, b in pairwise(maps) if a.shape[2:] != b.shape[2:]] + [maps[-1]]

    def add_auxiliary(self) -> None:
        """Gives it the auxiliary head.

        Raises:
            SpaceError: the maps are too small for one.
        """
        self.auxiliary = AuxiliaryHead(self.skeleton)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits (N, K) of images (N, 3, H, W); while training with the auxiliary head, its logits behind them."""
        maps = self.outputs(x, _run)
        logits = self.logits(maps[-1])
        if self.auxiliary is None or not self.training:
            return logits
        return logits, self.auxiliary(maps[2 * len(maps) // 3])

    def set_drop_path(self, rate: float) -> None:
        """The chance that an image loses an edge's output in training; identities are never dropped."""
        for cell in self.cells:
            setattr(cell, "drop_path", rate)  # noqa: B010 - a plain assignment is typed as one of a module


def _run(cell: nn.Module, before: Tensor, last: Tensor) -> Tensor:
    return torch.as_tensor(cell(before, last))


class CellModule(nn.Module):
    """Nodes, each the sum of two edges; the output concatenates them."""

    def __init__(self, cell: Cell, place: Place, style: NormStyle) -> None:
        super().__init__()
        self.inputs = input_layers(place, style)
        self.sources = tuple(tuple(edge.input for edge in pair) for pair in cell.nodes)
        self.edges = nn.ModuleList(
            edge(
                partial(operation, name, stride=stride_of(place, source), style=style),
                place.channels,
                stride_of(place, source),
                style,
            )
            for pair in cell.nodes
            for source, name in pair
        )
        self.drop_path = 0.0

    def forward(self, before: Tensor, last: Tensor) -> Tensor:
        """(N, nodes · C, H, W) of the outputs of the two cells before."""
        states = [self.inputs[0](before), self.inputs[1](last)]
        for node, (a, b) in enumerate(self.sources):
            states.append(self._edge(2 * node, states[a]) + self._edge(2 * node + 1, states[b]))
        return torch.cat(states[FIRST_NODE:], 1)

    def _edge(self, index: int, x: Tensor) -> Tensor:
        layer = self.edges[index]
        value: Tensor = layer(x)
        if not (self.training and self.drop_path) or isinstance(layer, nn.Identity):
            return value
        keep = 1 - self.drop_path
        return value * (torch.rand(len(x), 1, 1, 1, device=x.device) < keep) / keep


def input_layers(place: Place, style: NormStyle) -> nn.ModuleList:
    """What brings a cell's two inputs to its size and channels."""
    (first, second), channels = place.inputs, place.channels
    halve = Halve(first, channels, style) if place.halves else projection(first, channels, style)
    return nn.ModuleList([halve, projection(second, channels, style)])


def stride_of(place: Place, source: int) -> int:
    """The stride of a cell's edge from a node."""
    return 2 if place.is_reduction and source < FIRST_NODE else 1


def _small_stem(channels: int) -> nn.ModuleList:
    """For CIFAR: one convolution feeds both inputs of the first cell."""
    return nn.ModuleList([_convolution_norm(3, 3 * channels, 1), nn.Identity()])


def _large_stem(channels: int) -> nn.ModuleList:
    """For ImageNet: the first cell's inputs have a quarter and an eighth of the image's size."""
    first = nn.Sequential(
        _convolution_norm(3, channels // 2, 2), nn.ReLU(), _convolution_norm(channels // 2, channels, 2)
    )
    return nn.ModuleList([first, nn.Sequential(nn.ReLU(), _convolution_norm(channels, channels, 2))])


def _convolution_norm(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


class AuxiliaryHead(nn.Module):
    """A classifier on the output of the second reduction, for trainings from scratch (DARTS, appendix A.1.2).

    Both norms are kept at every image size, where DARTS' code leaves out the second on ImageNet.
    """

    def __init__(self, skeleton: Skeleton) -> None:
        super().__init__()
        place = skeleton.places[2 * skeleton.cells // 3]
        stride = 2 if skeleton.is_large else 3
        after = (place.output_side - AUXILIARY_SIDE) // stride + 1
        if after < 2:
            raise SpaceError(
                f"the auxiliary head needs maps of {AUXILIARY_SIDE + stride} px behind the second reduction, got "
                f"{place.output_side}; give larger images or leave it out"
            )
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(AUXILIARY_SIDE, stride, padding=0, count_include_pad=False),
            nn.Conv2d(place.outputs, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            nn.BatchNorm2d(768),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(768 * (after - 1) ** 2, skeleton.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, K) of maps (N, C, H, W)."""
        return torch.as_tensor(self.classifier(self.layers(x).flatten(1)))
