"""The shared weights of the DARTS space: every operation on all fourteen edges of every cell.

Sources: Liu et al., "DARTS", arXiv 1806.09055, section 2.2; Vahdat et al., "UNAS", arXiv 1912.07651, section 3.1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from uninas_evo.contracts import Chosen, Decision, Gated, Mixture, Weights
from uninas_evo.errors import SpaceError
from uninas_evo.spaces.darts.genome import FIRST_NODE, NODES, Cell, Edge, Genome, Place
from uninas_evo.spaces.darts.layers import NormStyle, Partial, edge, operation
from uninas_evo.spaces.darts.network import CellModule, DartsNetwork, Trunk, input_layers, stride_of
from uninas_evo.spaces.darts.space import KINDS, DartsSpace
from uninas_evo.spaces.mixed import Mixed, adopt

if TYPE_CHECKING:
    from uninas_evo.contracts.array import FloatArray

NONE = "none"
DROPOUT_FADES = 5.0
"""Of the exponent at the end: P-DARTS' 0.2 an epoch over 25."""
Relaxation = Literal["edges", "factorized"]
EdgeWeights = dict[tuple[int, int], tuple[Weights, Tensor | None]]
"""Of a cell's edges, by (source, node): the weights of the operations, and one of the edge, () or (N,), or None."""


class DartsSupernet(Trunk):
    """All operations on all edges of a smaller network than the genomes' own.

    Args:
        space: whose genomes it serves; image, classes and operations are its own.
        channels: C of the first cells; 16 in both papers.
        cells: how many are stacked; 8 in both papers.
        relaxation: "edges": slots are the 28 edges with `none` among their options, as in DARTS; "factorized": slots
            are the space's decisions, as in UNAS. By default the one of the space's rule.
        affine: whether the cells' norms have a scale and a shift.
        partial: operations get one of so many parts of an edge's channels, the rest passes by; PC-DARTS' 4 on CIFAR.
        edge_weights: whether the inputs of a node have weights too, slots of their own, as in PC-DARTS (edges alone).
        skip_dropout: the first rate of a dropout behind skips; P-DARTS' 0, 0.4 and 0.7 in its stages.
        behind_pools: whether a norm follows each pooling, as in DARTS' search network and not in UNAS'; by default as
            the rule has it.

    Raises:
        SpaceError: the relaxation does not fit the space's rule.
    """

    def __init__(
        self,
        space: DartsSpace,
        channels: int = 16,
        cells: int = 8,
        relaxation: Relaxation | None = None,
        affine: bool = False,
        behind_pools: bool | None = None,
        partial: int = 1,
        edge_weights: bool = False,
        skip_dropout: float = 0.0,
    ) -> None:
        relaxed: Relaxation = relaxation or ("edges" if space.rule == "darts" else "factorized")
        if relaxed not in ("edges", space.rule):
            raise SpaceError(
                f"the relaxation is 'edges', or 'factorized' for a space of that rule, got {relaxation!r} for the rule "
                f"{space.rule!r}; change one of the two"
            )
        is_edges = relaxed == "edges"
        candidates = (NONE, *space.operations) if is_edges else space.operations
        if edge_weights and not is_edges:
            raise SpaceError(
                "edge_weights are of the relaxation 'edges', as the factorized one has inputs among its own"
            )
        if partial < 1 or channels % (2 * partial if partial > 1 else 1):
            raise SpaceError(
                f"with partial = {partial} the channels must be a multiple of {2 * partial}, as reductions halve a "
                f"part's, got {channels}; change one of the two"
            )
        style = NormStyle(
            affine, space.rule == "darts" if behind_pools is None else behind_pools, partial, skip_dropout
        )
        skeleton = replace(space.skeleton, channels=channels, cells=cells)
        super().__init__(skeleton, (SharedCell(place, candidates, style) for place in skeleton.places))
        self.space, self.style, self.relaxation = space, style, relaxed
        self.joins_slots = not is_edges
        self.slots = tuple(_edge_slots(candidates)) if is_edges else space.decisions
        if edge_weights:
            self.joins_slots, self.slots = True, (*self.slots, *_input_slots())
        self.edge_weights = edge_weights

    def forward(self, images: Tensor, path: Genome | Mixture) -> Tensor:
        """Logits (N, K) of images (N, 3, H, W); of a genome the cells count and not the skeleton."""
        if isinstance(path, Genome):
            cells: tuple[Cell | EdgeWeights, ...] = (path.normal, path.reduce)
        else:
            cells = tuple(self._edge_weights(kind, path) for kind in KINDS)

        def run(cell: nn.Module, before: Tensor, last: Tensor) -> Tensor:
            return torch.as_tensor(cell(before, last, cells[cell.is_reduction]))  # type: ignore[index]

        return self.logits(self.outputs(images, run)[-1])

    def _edge_weights(self, kind: str, mixture: Mixture) -> EdgeWeights:
        edges = [(source, node) for node in NODES for source in range(node)]
        if self.relaxation == "factorized":
            return {(source, node): (_outer(kind, source, node, mixture), None) for source, node in edges}
        return {
            (source, node): (
                mixture[_slot(kind, source, node)],
                _dense(mixture[_inputs(kind, node)])[..., source] if self.edge_weights else None,
            )
            for source, node in edges
        }

    def extract(self, genome: Genome) -> nn.Module:
        """The genome's network of the supernet's own size and norms, with copies of the shared weights."""
        network = DartsNetwork(replace(genome, skeleton=self.skeleton), self.style)
        adopt(network.stem, self.stem)
        adopt(network.classifier, self.classifier)
        for alone, shared in zip(network.cells, self.cells, strict=True):
            cell = genome.reduce if shared.is_reduction else genome.normal
            _adopt_cell(alone, shared, cell)  # type: ignore[arg-type]
        return network.train(self.training).to(self.classifier.weight.device)

    def derive(self, probabilities: Mapping[str, FloatArray]) -> Genome:
        """DARTS' rule for edges (section 2.4), the most probable option of each decision for the factorized space.

        A node keeps the two inputs whose best operation other than `none` is most probable, with that operation.
        """
        if self.relaxation == "factorized":
            return self.space.compose(lambda decision: decision.options[int(probabilities[decision.name].argmax())])
        normal, reduce = (Cell(tuple(self._best_pair(kind, node, probabilities) for node in NODES)) for kind in KINDS)
        return self.space.nearest(Genome(normal, reduce, self.space.skeleton))

    def set_dropout(self, share: float) -> None:
        """The dropout behind skips at a share 0 to 1 of the training: it fades, as P-DARTS' 0.2 of 25 epochs each."""
        for module in self.cells.modules() if self.style.skip_dropout else ():
            if isinstance(module, nn.Dropout):
                module.p = self.style.skip_dropout * math.exp(-DROPOUT_FADES * share)

    def skips(self, genome: Genome) -> int:
        """Edges of the normal cell that are skipped."""
        return sum(edge.operation == "skip_connect" for pair in genome.normal.nodes for edge in pair)

    def coincidence(self, mixture: Mixture) -> Tensor:
        """How much the two edges of nodes are the same, () or (N,): Σ ⟨i, i'⟩⟨o, o'⟩ of the factorized decisions."""
        total = torch.zeros(())
        for kind in KINDS:
            for node in NODES:
                both = [
                    (_dense(mixture[f"{kind} {node} {part} a"]) * _dense(mixture[f"{kind} {node} {part} b"])).sum(-1)
                    for part in ("input", "operation")
                ]
                total = total.to(both[0]) + both[0] * both[1]
        return total

    def _best_pair(self, kind: str, node: int, probabilities: Mapping[str, FloatArray]) -> tuple[Edge, Edge]:
        best = {source: probabilities[_slot(kind, source, node)][1:] for source in range(node)}  # without `none`
        if self.edge_weights:
            best = {source: values * probabilities[_inputs(kind, node)][source] for source, values in best.items()}
        first, second, *_ = sorted(best, key=lambda source: (-float(best[source].max()), source))
        operations = self.space.operations
        return (
            Edge(first, operations[int(best[first].argmax())]),
            Edge(second, operations[int(best[second].argmax())]),
        )


def _slot(kind: str, source: int, node: int) -> str:
    return f"{kind} {node} from {source}"


def _inputs(kind: str, node: int) -> str:
    return f"{kind} {node} inputs"


def _input_slots() -> list[Decision]:
    return [Decision(_inputs(kind, node), tuple(map(str, range(node)))) for kind in KINDS for node in NODES]


def _edge_slots(candidates: tuple[str, ...]) -> list[Decision]:
    return [
        Decision(_slot(kind, source, node), candidates) for kind in KINDS for node in NODES for source in range(node)
    ]


def _outer(kind: str, source: int, node: int, mixture: Mixture) -> Tensor:
    """Weights (..., operations) of an edge: i_j o_o + i'_j o'_o (UNAS, equation 9)."""
    first, second = (
        _dense(mixture[f"{kind} {node} input {side}"])[..., source, None]
        * _dense(mixture[f"{kind} {node} operation {side}"])
        for side in "ab"
    )
    return first + second


def _dense(weights: Weights) -> Tensor:
    if isinstance(weights, Chosen | Gated):
        raise SpaceError(
            "slots that are multiplied take weights of all options; use relaxation = 'edges' without edge_weights"
        )
    return weights


class SharedCell(nn.Module):
    """A cell with all operations on each edge."""

    def __init__(self, place: Place, candidates: tuple[str, ...], style: NormStyle) -> None:
        super().__init__()
        self.is_reduction = place.is_reduction
        self.inputs = input_layers(place, style)
        self.edges = nn.ModuleDict()
        for node in NODES:
            for source in range(node):
                stride = stride_of(place, source)
                make = partial(_mixed, candidates, stride=stride, style=style)
                self.edges[f"{source}_{node}"] = edge(make, place.channels, stride, style)

    def forward(self, before: Tensor, last: Tensor, path: Cell | EdgeWeights) -> Tensor:
        """(N, 4 C, H, W) of the outputs of the two cells before, along a cell or of weighted edges."""
        states = [self.inputs[0](before), self.inputs[1](last)]
        for index, node in enumerate(NODES):
            if isinstance(path, Cell):
                values = [self._edge(one.input, node, states, one.operation) for one in path.nodes[index]]
            else:
                values = [self._edge(source, node, states, *path[source, node]) for source in range(node)]
            states.append(sum(values[1:], values[0]))
        return torch.cat(states[FIRST_NODE:], 1)

    def _edge(
        self, source: int, node: int, states: list[Tensor], choice: str | Weights, weight: Tensor | None = None
    ) -> Tensor:
        value: Tensor = self.edges[f"{source}_{node}"](states[source], choice)
        return value if weight is None else weight.reshape(-1, 1, 1, 1) * value


def _mixed(candidates: tuple[str, ...], channels: int, stride: int, style: NormStyle) -> Mixed:
    return Mixed({name: operation(name, channels, stride, style) for name in candidates})


def _adopt_cell(alone: CellModule, shared: SharedCell, cell: Cell) -> None:
    adopt(alone.inputs, shared.inputs)
    edges = [(one, node) for node, pair in zip(NODES, cell.nodes, strict=True) for one in pair]
    for layer, (one, node) in zip(alone.edges, edges, strict=True):
        source = shared.edges[f"{one.input}_{node}"]
        if isinstance(layer, Partial) and isinstance(source, Partial):
            adopt(layer.operation, source.operation, one.operation)
        else:
            adopt(layer, source, one.operation)
