"""The DARTS cell space, by the rule of DARTS or of UNAS.

Sources: Liu et al., "DARTS", arXiv 1806.09055; Vahdat et al., "UNAS", arXiv 1912.07651, section 3.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

from uninas_evo.contracts import Budget, Cost, Decision, Supernet
from uninas_evo.errors import GenomeError, SpaceError
from uninas_evo.spaces.choices import Choices, ChoiceSpace
from uninas_evo.spaces.darts.genome import HEADER, NODES, OPERATIONS, Cell, Edge, Genome, Skeleton, parse
from uninas_evo.spaces.darts.literal import UNAS_OPERATIONS, parse_literal
from uninas_evo.spaces.darts.presets import PRESETS, preset
from uninas_evo.spaces.load import SpaceEntry

if TYPE_CHECKING:
    from torch import nn

Rule = Literal["darts", "factorized"]
KINDS = ("normal", "reduce")
DARTS_OPERATIONS = tuple(name for name in OPERATIONS if name != "sep_conv_7x7")
"""The seven operations of DARTS' search; UNAS' seven have a larger separable and no large dilated convolution."""


class DartsSpace(ChoiceSpace[Genome]):
    """Two cells of four nodes with two edges each.

    Args:
        skeleton: what the cells stand on.
        rule: "darts": the two inputs of a node differ (1.077e18 genomes); "factorized": both edges are free
            (3.849e19).
        operations: what edges may hold; by default the seven of DARTS or of UNAS.
        start: where walks begin.
        budget: bounds on params, flops and macs.

    Raises:
        SpaceError: the rule or an operation is unknown.
        BudgetError: the start lies outside the budget.
    """

    form = HEADER

    def __init__(
        self,
        skeleton: Skeleton | None = None,
        rule: Rule = "darts",
        operations: Iterable[str] | None = None,
        start: Genome | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.skeleton, self.rule = skeleton or Skeleton(), rule
        if rule not in ("darts", "factorized"):
            raise SpaceError(f"the rule is 'darts' or 'factorized', got {rule!r}; choose one")
        default = DARTS_OPERATIONS if rule == "darts" else UNAS_OPERATIONS
        self.operations = tuple(default if operations is None else operations)
        if unknown := [name for name in self.operations if name not in OPERATIONS]:
            raise SpaceError(f"the operations {unknown} are unknown; use some of {', '.join(OPERATIONS)}")
        side = self.skeleton.image
        super().__init__(self._decisions(), (3, side, side), self.skeleton.classes, budget, start)

    def _decisions(self) -> Iterator[Decision]:
        for kind in KINDS:
            for node in NODES:
                if self.rule == "darts":
                    yield Decision(f"{kind} {node} inputs", tuple(f"{a} {b}" for a, b in _pairs(node)))
                else:
                    earlier = tuple(map(str, range(node)))
                    yield from (Decision(f"{kind} {node} input {edge}", earlier) for edge in "ab")
                yield from (Decision(f"{kind} {node} operation {edge}", self.operations) for edge in "ab")

    @property
    def size(self) -> int:
        """How many different networks there are."""
        cells, count = 1, len(self.operations)
        for node in NODES:
            edges = node * count
            cells *= len(_pairs(node)) * count**2 if self.rule == "darts" else edges * (edges + 1) // 2
        return cells**2

    def genome(self, indices: Iterable[int]) -> Genome:
        """The genome of the decisions' indices."""
        answers = iter(decision.options[index] for decision, index in zip(self.decisions, indices, strict=True))
        normal, reduce = (Cell(tuple(self._pair(answers) for _ in NODES)) for _ in KINDS)
        return Genome(normal, reduce, self.skeleton)

    def _pair(self, answers: Iterator[str]) -> tuple[Edge, Edge]:
        inputs = next(answers).split() if self.rule == "darts" else [next(answers), next(answers)]
        first, second = (Edge(int(source), next(answers)) for source in inputs)
        return first, second

    def indices(self, genome: Genome) -> Choices:
        """The decisions' indices of a genome; the first of those that give equal networks."""
        return Choices(
            index
            for cell in (genome.normal, genome.reduce)
            for node, pair in zip(NODES, cell.nodes, strict=True)
            for index in self._node_indices(node, *pair)
        )

    def _node_indices(self, node: int, a: Edge, b: Edge) -> list[int]:
        inputs = [_pairs(node).index((a.input, b.input))] if self.rule == "darts" else [a.input, b.input]
        return [*inputs, self.operations.index(a.operation), self.operations.index(b.operation)]

    def mutate(self, genome: Genome, rng: random.Random) -> Genome | None:
        """One edge gets another operation or another input, uniform over those inside rule and budget."""
        changed = list(self._neighbors(genome))
        rng.shuffle(changed)
        return next((child for child in changed if child != genome and self.admits(child)), None)

    def _neighbors(self, genome: Genome) -> Iterator[Genome]:
        for cell in self._cell_neighbors(genome.normal):
            yield replace(genome, normal=cell)
        for cell in self._cell_neighbors(genome.reduce):
            yield replace(genome, reduce=cell)

    def _cell_neighbors(self, cell: Cell) -> Iterator[Cell]:
        for place, (node, pair) in enumerate(zip(NODES, cell.nodes, strict=True)):
            for edge, other in (pair, pair[::-1]):
                for changed in self._changes_of(edge, other, node):
                    yield Cell((*cell.nodes[:place], (changed, other), *cell.nodes[place + 1 :]))

    def _changes_of(self, edge: Edge, other: Edge, node: int) -> Iterator[Edge]:
        yield from (Edge(edge.input, name) for name in self.operations if name != edge.operation)
        taken = {edge.input, other.input} if self.rule == "darts" else {edge.input}
        yield from (Edge(source, edge.operation) for source in range(node) if source not in taken)

    def crossover(self, a: Genome, b: Genome, rng: random.Random) -> Genome | None:
        """Each node's pair of edges from either parent; None where the child is outside the budget."""
        normal, reduce = (
            Cell(tuple(rng.choice(pairs) for pairs in zip(mine.nodes, other.nodes, strict=True)))
            for mine, other in ((a.normal, b.normal), (a.reduce, b.reduce))
        )
        child = Genome(normal, reduce, self.skeleton)
        return child if self.admits(child) else None

    def cost(self, genome: Genome) -> Cost:
        """Exact parameters, FLOPs and MACs."""
        return self.extended(genome, genome.cost)

    def build(self, genome: Genome) -> nn.Module:
        """The network that is trained from scratch: affine norms, no auxiliary head."""
        from uninas_evo.spaces.darts.network import DartsNetwork

        return DartsNetwork(genome)

    def supernet(self, **options: Any) -> Supernet[Genome]:
        """All genomes' weights; see `uninas_evo.spaces.darts.shared.DartsSupernet` for the options."""
        from uninas_evo.spaces.darts.shared import DartsSupernet

        return DartsSupernet(self, **options)

    def encode(self, genome: Genome) -> str:
        """The genome's canonical text."""
        return genome.text

    def decode(self, text: str) -> Genome:
        """The genome of a text, or of a printed genotype on this skeleton.

        Raises:
            GenomeError: the text is no genome, or one that lies outside the space.
        """
        genome = read(text, self.skeleton)
        if genome.skeleton != self.skeleton:
            raise GenomeError(
                f"the genome has another skeleton than this space: {genome.skeleton}, the space's is "
                f"{self.skeleton}; decode it in a space of its own"
            )
        if not self.holds(genome):
            raise GenomeError(
                f"the genome breaks the space's rule {self.rule!r} (operations {', '.join(self.operations)}): "
                f"{genome.normal.text} {genome.reduce.text}; use the other rule"
            )
        return genome

    def holds(self, genome: Genome) -> bool:
        """Whether the cells keep the rule and use operations of the space alone."""
        cells = genome.normal, genome.reduce
        used = {edge.operation for cell in cells for pair in cell.nodes for edge in pair}
        return used <= set(self.operations) and (
            self.rule == "factorized" or all(cell.has_distinct_inputs for cell in cells)
        )


def _pairs(node: int) -> list[tuple[int, int]]:
    return list(combinations(range(node), 2))


def read(text: str, skeleton: Skeleton | None = None) -> Genome:
    """The genome of a canonical text, a preset's name, or a printed genotype; `skeleton` is for the latter two.

    Raises:
        GenomeError: the text is none of these.
    """
    if text in PRESETS:
        return preset(text, skeleton)
    if text.lstrip().startswith(LITERALS):
        return parse_literal(text, skeleton)
    return parse(text)


def space_of(genome: Genome) -> DartsSpace:
    """The narrowest of the spaces that hold a genome: DARTS', UNAS', or the factorized one of all operations."""
    spaces = DartsSpace(genome.skeleton), DartsSpace(genome.skeleton, "factorized")
    return next(
        (space for space in spaces if space.holds(genome)), DartsSpace(genome.skeleton, "factorized", OPERATIONS)
    )


def _load(source: str, skeleton: Skeleton | None = None) -> tuple[DartsSpace, Genome]:
    genome = read(source, skeleton)
    return space_of(genome), genome


LITERALS = ("Genotype(", "[{'inputs'", '[{"inputs"', "[[{'inputs'", '[[{"inputs"')
"""What printed genotypes begin with."""

ENTRY = SpaceEntry(
    begins=(HEADER, *LITERALS),
    load=_load,
    presets=PRESETS,
    space_of=lambda genome: space_of(genome) if isinstance(genome, Genome) else None,
)
"""How the texts of the space are known."""
