"""The UniNAS space as a search sees it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

from uninas_evo.contracts import Budget, Choose, Cost, CostModel, Piece, Shape, Space, Variation
from uninas_evo.errors import BudgetError, GenomeError, SpaceError
from uninas_evo.spaces.load import SpaceEntry
from uninas_evo.spaces.uninas.backbone import backbone_cost
from uninas_evo.spaces.uninas.chain import node, walk_nodes
from uninas_evo.spaces.uninas.compose import FAR, NEAR, compose
from uninas_evo.spaces.uninas.crossover import cross
from uninas_evo.spaces.uninas.dialect import adapted, foreign
from uninas_evo.spaces.uninas.genome import HEADERS, Genome
from uninas_evo.spaces.uninas.load import load_genome, parse, resized
from uninas_evo.spaces.uninas.motifs import insert_motif
from uninas_evo.spaces.uninas.operations import OPERATIONS
from uninas_evo.spaces.uninas.pieces import Sums, pieces
from uninas_evo.spaces.uninas.presets import PRESETS
from uninas_evo.spaces.uninas.reduce import canonical, reduced
from uninas_evo.spaces.uninas.resize import fill, on_skeleton
from uninas_evo.spaces.uninas.skeleton import Skeleton
from uninas_evo.spaces.uninas.starts import starts
from uninas_evo.spaces.uninas.step import StepRule, step
from uninas_evo.spaces.uninas.substitution import substitute
from uninas_evo.spaces.uninas.vary import Part, vary

if TYPE_CHECKING:
    from torch import nn

PATIENCE = 100
"""Attempts before a mutation or crossover gives up. Between a third and all attempts succeed except in a corner of a
tight budget, where a hundred cost a millisecond."""
VARIED = 0.1
"""Share of the steps that change the skeleton, where it may change: such a step changes more than any other."""
_FIELDS: Mapping[Part, tuple[str, ...]] = {
    "width": ("stem", "channels"),
    "depth": ("depths",),
    "image": ("image_size",),
    "stem": ("stem_stride",),
}


@dataclass(frozen=True)
class UninasSpace(Space[Genome]):
    """All networks that search steps reach from a start network inside a budget.

    Attributes:
        start: the genome that walks begin at, in the rule's dialect (see `dialect.adapted`); its skeleton is the
            space's.
        budget: bounds that no operator leaves.
        rule: probabilities and limits of a search step.
        edits: how many edits `compose` may make.
        costs: what gives further named costs.
        vary: parts of the skeleton that may change, by rare steps (see `uninas_evo.spaces.uninas.vary`).
        fill: whether every genome, the start included, gets the widths that spend the budget, so that all compare at
            equal cost; operators then change the topology whatever its size, and the widths follow.
        image: (C, H, W) of the skeleton.
        classes: outputs of the skeleton's head.

    Raises:
        BudgetError: the start network lies outside the budget, or nothing bounds what is to be filled.
        GenomeError: the start has operations that the dialect lacks and nothing stands in for.
    """

    start: Genome
    budget: Budget = field(default_factory=Budget)
    rule: StepRule = field(default_factory=StepRule)
    edits: tuple[str, ...] = FAR
    costs: tuple[CostModel[Genome], ...] = ()
    vary: tuple[Part, ...] = ()
    fill: bool = False
    image: Shape = field(init=False, repr=False, compare=False)
    classes: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.start, Genome):
            raise SpaceError(
                f"a UninasSpace starts at a genome, got {self.start!r:.80}; write UninasSpace(load_genome(...)), or "
                f"UninasSpace(preset(NAME, skeleton))"
            )
        skeleton = self.start.skeleton
        object.__setattr__(self, "image", skeleton.image)
        object.__setattr__(self, "classes", skeleton.classes)
        object.__setattr__(self, "start", adapted(self.start, self.rule.dialect))
        if self.fill and self._is_bounded:
            object.__setattr__(self, "start", self._filled(self.start) or self.start)
        if not self.admits(self.start):
            raise BudgetError(
                f"the start network must lie inside the budget; it has {_told(self.cost(self.start))}, "
                f"the budget is {self.budget}; widen the budget or take a smaller start"
            )

    def with_budget(self, budget: Budget) -> Self:
        """The same space inside another budget."""
        return replace(self, budget=budget)

    def admits(self, genome: Genome) -> bool:
        """Whether a genome lies within the budget."""
        return self.budget.admits(self.cost(genome))

    def around(self, genome: Genome) -> Self:
        """The same space begun at another genome, which `compose` changes by one or two edits only."""
        return replace(self, start=genome, edits=NEAR)

    def compose(self, choose: Choose) -> Genome:
        """Applies an edit script to the start network (see `uninas_evo.spaces.uninas.compose`)."""
        admits = self.admits if self.costs and not self.fill else None
        composed = compose(self.start, choose, self._sizes, self.rule, self.edits, admits)
        return self._inside(composed) or self.start

    def mutate(self, genome: Genome, rng: random.Random) -> Genome | None:
        """One search step inside the budget, or None where none was found in `PATIENCE` attempts."""
        return _patiently(lambda: self.attempt(genome, rng))

    def attempt(self, genome: Genome, rng: random.Random) -> Genome | None:
        """One search step, None where what was drawn is not feasible."""
        return self._inside(self._attempt(genome, rng), genome)

    def _attempt(self, genome: Genome, rng: random.Random) -> Genome | None:
        rule = self.rule
        if self.vary and rng.random() < VARIED:
            return vary(genome, self.vary, rng)
        if rule.motifs or rule.substitutions:
            drawn = rng.random()
            if drawn < rule.motifs:
                return insert_motif(genome, self._sizes, rule, rng)
            if drawn < rule.motifs + rule.substitutions:
                return substitute(genome, self._sizes, rule, rng)
        return step(genome, self._sizes, rule, rng)

    @cached_property
    def _sizes(self) -> Budget:
        """The bounds on parameters and FLOPs, which genomes know of themselves; none where widths see to them."""
        own = Budget() if self.fill else self.budget
        return Budget(own.min_params, own.max_params, own.min_flops, own.max_flops) if own.bounds else own

    def _inside(self, child: Genome | None, *parents: Genome) -> Genome | None:
        """The child, filled where that is asked for, unless it leaves the budget or is a parent then."""
        if child is None or not (self.costs or self._is_free):
            return child
        if self.fill:
            child = self._filled(child)
        if child is None or (self._is_free and child in parents):
            return None
        return child if self.admits(child) else None

    def _filled(self, genome: Genome) -> Genome | None:
        ceiling = self.budget.ceiling
        return fill(genome, lambda one: ceiling.admits(self.cost(one)))

    @property
    def _is_bounded(self) -> bool:
        return self.budget.ceiling != Budget()

    @property
    def _is_free(self) -> bool:
        """Whether genomes may have other skeletons than the start."""
        return bool(self.vary or self.fill)

    def variations(self) -> Mapping[str, Variation]:
        """Motifs put in whole, operations substituted by others of their kind, and changes of the skeleton."""
        operators: dict[str, Variation] = {
            "motif": lambda genome, rng: insert_motif(genome, self._sizes, self.rule, rng),
            "substitution": lambda genome, rng: substitute(genome, self._sizes, self.rule, rng),
        }
        if self.vary:
            operators["skeleton"] = lambda genome, rng: vary(genome, self.vary, rng)
        return {name: self._patient(operator) for name, operator in operators.items()}

    def _patient(self, operator: Variation) -> Variation:
        """An operator that tries until a child is inside."""
        return lambda genome, rng: _patiently(lambda: self._inside(operator(genome, rng), genome))

    def starts(self) -> Sequence[Genome]:
        """The space's start, the presets, and their crosses by stage (see `uninas_evo.spaces.uninas.starts`)."""
        known = filter(None, map(self._adapted, starts(self.start.skeleton, self._sizes)))
        found = [self.start, *(one for one in known if self._sizes.admits(one.cost))]
        return list(dict.fromkeys(genome for one in found if (genome := self._inside(one)) is not None))

    def _adapted(self, genome: Genome) -> Genome | None:
        """A genome in the space's dialect; None where there is none."""
        try:
            return adapted(genome, self.rule.dialect)
        except GenomeError:
            return None

    def canonical(self, genome: Genome) -> Genome:
        """The genome without what no training-free score sees (see `uninas_evo.spaces.uninas.reduce`)."""
        return canonical(genome)

    def reduced(self, genome: Genome) -> tuple[Hashable, ...]:
        """The chains without nodes that have no effect (see `uninas_evo.spaces.uninas.reduce`), and the skeleton."""
        return (genome.skeleton, *reduced(genome)) if self._is_free else reduced(genome)

    def features(self, genome: Genome) -> dict[str, float]:
        """Logarithms of the costs, how often each operation stands in each stage, and the skeleton."""
        found = {"log params": math.log1p(genome.params), "log flops": math.log1p(genome.flops)}
        stages = range(1, len(genome.skeleton.channels) + 1)
        found |= {f"{stage}.{name}": 0.0 for stage in stages for name in OPERATIONS}
        for index, chain in enumerate(genome.chains):
            stage = genome.skeleton.blocks[index // 2][0] + 1
            for own, _ in walk_nodes(chain):
                name = f"{stage}.{own.operation.name}"
                found[name] += 1
        return found | _skeleton_features(genome.skeleton)

    def crossover(self, a: Genome, b: Genome, rng: random.Random) -> Genome | None:
        """Blocks of the same stage exchanged: a child inside the budget that equals neither parent, or None."""
        donor = b
        if a.skeleton != b.skeleton and self._is_free:
            try:
                donor = on_skeleton(b, a.skeleton)
            except GenomeError:
                return None
        for _ in range(PATIENCE):
            child = cross(a, donor, rng)
            inside = self._inside(child, a, b) if child not in (a, donor) else None
            if inside is not None and self.admits(inside):
                return inside
        return None

    def cost(self, genome: Genome) -> Cost:
        """Exact parameters and FLOPs, and what `costs` count."""
        return self.extended(genome, genome.cost)

    def backbone_cost(self, genome: Genome, height: int, width: int) -> Cost:
        """Exact parameters and FLOPs of the maps of an image, and FLOPs as the paper counts them."""
        return backbone_cost(genome, height, width)

    def build(self, genome: Genome) -> nn.Module:
        """The network of a genome (see `uninas_evo.spaces.uninas.network.build`)."""
        from uninas_evo.spaces.uninas.network import build

        return build(genome)

    def pieces(self, genome: Genome) -> Mapping[Piece, int]:
        """How often each operation stands in a genome on each shape (see `uninas_evo.spaces.uninas.pieces`)."""
        return pieces(genome)

    def build_piece(self, piece: Piece) -> nn.Module:
        """An operation alone, the branches of a coupled pair empty."""
        from uninas_evo.spaces.uninas.network.build import build_operation

        return build_operation(node(piece.operation, piece.shape), piece.copies)

    def sums(self, amount: Callable[[Piece], float]) -> Callable[[Genome], float]:
        """Adds an amount over the pieces of genomes; chains are remembered.

        Raises:
            SpaceError: the skeleton changes, which is no piece and the same for all.
        """
        if self._is_free:
            raise SpaceError(
                "what pieces take adds up beside one skeleton, and this search changes it, by vary or fill; remove "
                "these, or use features (uninas-evo profile --model ridge)"
            )
        return Sums(amount)

    def encode(self, genome: Genome) -> str:
        """The genome's canonical text."""
        return genome.text

    def decode(self, text: str) -> Genome:
        """The genome of a text in any form.

        Raises:
            GenomeError: the text is no genome, or one of a skeleton or with operations that no step leads to.
        """
        genome = parse(text)
        own = self.start.skeleton
        varied = {"width", *self.vary} if self.fill else set(self.vary)
        free = {name: getattr(genome.skeleton, name) for part in varied for name in _FIELDS[part]}
        if len(genome.skeleton.channels) != len(own.channels) or genome.skeleton != replace(own, **free):
            raise GenomeError(
                f"the genome has another skeleton than this space: {genome.skeleton}, the space's is "
                f"{self.start.skeleton}; decode it in a space of its own"
            )
        if outside := foreign(genome, self.rule.dialect):
            raise GenomeError(
                f"the genome has {', '.join(outside)}, which this space's dialect lacks: it is "
                f"{', '.join(self.rule.dialect)}; decode it in a space of its own, or allow them"
            )
        return genome


def _told(cost: Cost) -> str:
    """A cost in words."""
    further = "".join(f", {amount:g} {name}" for name, amount in cost.further)
    return f"{cost.params:,} params and {cost.flops:,} FLOPs{further}"


def _skeleton_features(skeleton: Skeleton) -> dict[str, float]:
    """Image, classes, widths and depths: the same for all genomes where the skeleton is not searched."""
    _, height, width = skeleton.image
    found = {
        "log image": math.log(math.sqrt(height * width)),
        "log classes": math.log(skeleton.classes),
        "log stem stride": math.log(skeleton.stem_stride),
    }
    for stage, (channels, depth) in enumerate(zip(skeleton.channels, skeleton.depths, strict=True), 1):
        found |= {f"{stage}.log width": math.log(channels), f"{stage}.log depth": math.log(depth)}
    return found


def _patiently(attempt: Callable[[], Genome | None]) -> Genome | None:
    """The first child that an operator gives in `PATIENCE` attempts."""
    return next((child for _ in range(PATIENCE) if (child := attempt()) is not None), None)


def _load(source: str, skeleton: Skeleton | None = None) -> tuple[UninasSpace, Genome]:
    genome = load_genome(source, skeleton)
    return UninasSpace(genome), genome


ENTRY = SpaceEntry(
    begins=(*HEADERS, "{"),
    load=_load,
    presets=PRESETS,
    space_of=lambda genome: UninasSpace(genome) if isinstance(genome, Genome) else None,
    resized=resized,
)
"""How the texts of the space are known; a text that begins with a brace is JSON, ours or that of `uninas`."""
