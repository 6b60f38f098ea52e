"""The shared weights of NAS-Bench-201's cells: every operation on every edge of every place.

Source: Dong & Yang, "NAS-Bench-201", ICLR 2020, arXiv 2001.00326, section 5 and its authors' search networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from uninas_evo.contracts import Mixture, Weights
from uninas_evo.spaces.mixed import Mixed, adopt
from uninas_evo.spaces.nasbench201.network import CellModule, CellNetwork, Trunk, join, operation
from uninas_evo.spaces.nasbench201.space import CELLS_PER_STAGE, EDGES, OPERATIONS, STAGES, Cell, NASBench201Space

if TYPE_CHECKING:
    from uninas_evo.contracts.array import FloatArray


class CellSupernet(Trunk):
    """All five operations on all six edges; slots are the space's decisions.

    Args:
        space: whose cells it serves.
        channels: of the first stage.
        cells: of each stage.
        affine: whether norms inside cells have a scale and a shift; the authors' search networks have none, so that
            the weight of an operation cannot hide in them.
    """

    def __init__(
        self,
        space: NASBench201Space,
        channels: int = STAGES[0][0],
        cells: int = CELLS_PER_STAGE,
        affine: bool = False,
    ) -> None:
        super().__init__(partial(SharedCell, affine=affine), space.classes, channels, cells)
        self.space, self.slots = space, space.decisions
        self.joins_slots = False
        self.size = channels, cells, affine

    def forward(self, images: Tensor, path: Cell | Mixture) -> Tensor:
        """Logits (N, K) of images (N, 3, H, W)."""
        if isinstance(path, Cell):
            choices: Sequence[str | Weights] = path.edges
        else:
            choices = [path[slot.name] for slot in self.slots]
        maps = self.maps(images, lambda cell, x: torch.as_tensor(cell(x, choices)))
        return self.logits(maps[-1])

    def extract(self, genome: Cell) -> nn.Module:
        """The genome's network with copies of the shared weights."""
        channels, cells, affine = self.size
        network = CellNetwork(genome, self.space.classes, channels, cells, affine=affine)
        for name in ("stem", "reductions", "norm", "head"):
            adopt(getattr(network, name), getattr(self, name))
        places = [cell for stage in network.stages for cell in stage.children()]
        sources = [cell for stage in self.stages for cell in stage.children()]
        for place, source in zip(places, sources, strict=True):
            _adopt_cell(place, source, genome)  # type: ignore[arg-type]
        return network.train(self.training).to(self.head.weight.device)

    def derive(self, probabilities: Mapping[str, FloatArray]) -> Cell:
        """The most probable operation of each edge."""
        return self.space.compose(lambda decision: decision.options[int(probabilities[decision.name].argmax())])

    def skips(self, genome: Cell) -> int:
        """Edges that are skipped."""
        return genome.edges.count("skip_connect")


class SharedCell(nn.Module):
    """A cell with all operations on each edge."""

    def __init__(self, channels: int, affine: bool) -> None:
        super().__init__()
        self.edges = nn.ModuleList(
            Mixed({name: operation(name, channels, affine) for name in OPERATIONS}) for _ in EDGES
        )

    def forward(self, x: Tensor, choices: Sequence[str | Weights]) -> Tensor:
        """Maps (N, C, H, W) to the same shape, by an operation's name or weights for each edge."""
        return join(x, [partial(edge, choice=choice) for edge, choice in zip(self.edges, choices, strict=True)])


def _adopt_cell(place: CellModule, source: SharedCell, genome: Cell) -> None:
    for edge, shared, name in zip(place.edges, source.edges, genome.edges, strict=True):
        adopt(edge, shared, name)
