"""The UniNet space as a search sees it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from uninas_evo.contracts import Budget, Choose, Cost, CostModel, Decision, Shape, Space
from uninas_evo.errors import BudgetError, GenomeError, SpaceError
from uninas_evo.spaces.load import SpaceEntry
from uninas_evo.spaces.uninet.cost import backbone_cost
from uninas_evo.spaces.uninet.fit import fit
from uninas_evo.spaces.uninet.genome import Genome
from uninas_evo.spaces.uninet.lattice import Lattice
from uninas_evo.spaces.uninet.presets import PRESETS, REFERENCE, preset
from uninas_evo.spaces.uninet.text import parse_genome, skeleton_line

if TYPE_CHECKING:
    from torch import nn

PATIENCE = 100
"""Children that a crossover tries before it gives up."""


@dataclass(frozen=True)
class UninetSpace(Space[Genome]):
    """All networks of a lattice on one skeleton inside a budget: operators, modules and sizes of every stage.

    Attributes:
        start: where walks begin, and what a composition that cannot be fitted becomes; its skeleton is the space's.
        budget: bounds that no operator leaves.
        lattice: the options of channels and repeats; None takes the paper's for five stages, else the start's own.
        costs: what gives further named costs.
        image: (3, H, W) of the skeleton.
        classes: outputs of the skeleton's head.

    Raises:
        BudgetError: the start network lies outside the budget.
        SpaceError: the lattice has another number of stages than the start.
    """

    start: Genome = field(default_factory=lambda: preset(REFERENCE))
    budget: Budget = field(default_factory=Budget)
    lattice: Lattice | None = None
    costs: tuple[CostModel[Genome], ...] = ()
    image: Shape = field(init=False, repr=False, compare=False)
    classes: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        s = self.start.skeleton
        lattice = self.lattice or Lattice.of(self.start)
        for name, value in (("lattice", lattice), ("image", (3, s.image_size, s.image_size)), ("classes", s.classes)):
            object.__setattr__(self, name, value)
        if len(lattice.channels) != len(self.start.stages):
            raise SpaceError(
                f"the lattice must have the start's {len(self.start.stages)} stages, it has {len(lattice.channels)}; "
                "give base channels and repeats for each stage"
            )
        if not self.admits(self.start):
            raise BudgetError(self._told_outside())

    def _told_outside(self) -> str:
        """What is wrong with the start, and a start that would do."""
        near = fit(self.start, self.budget, self._lattice, self.cost)
        fix = (
            f"start from this one, which is inside:\n{near.text}" if near else "none nearby is inside: widen the budget"
        )
        return f"the start network must lie inside the budget {self.budget}; it costs {self.cost(self.start)}; {fix}"

    @property
    def _lattice(self) -> Lattice:
        return self.lattice or Lattice.of(self.start)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """What `compose` asks, five for each stage."""
        return self._lattice.decisions()

    def with_budget(self, budget: Budget) -> Self:
        """The same space inside another budget."""
        return replace(self, budget=budget)

    def admits(self, genome: Genome) -> bool:
        """Whether a genome lies within the budget."""
        return self.budget.admits(self.cost(genome))

    def compose(self, choose: Choose) -> Genome:
        """Asks operator, module, e, c and r of each stage, and fits the genome into the budget."""
        genome = self._lattice.compose(self.start.skeleton, choose)
        return fit(genome, self.budget, self._lattice, self.cost) or self.start

    def mutate(self, genome: Genome, rng: random.Random) -> Genome | None:
        """Another option of one decision, uniform over those inside the budget; None where there is none."""
        changed = list(self._lattice.neighbors(genome))
        rng.shuffle(changed)
        return next(filter(self.admits, changed), None)

    def attempt(self, genome: Genome, rng: random.Random) -> Genome | None:
        """Another option of one decision, None where that leaves the budget."""
        child = rng.choice(list(self._lattice.neighbors(genome)))
        return child if self.admits(child) else None

    def crossover(self, a: Genome, b: Genome, rng: random.Random) -> Genome | None:
        """Each stage from either parent: a child inside the budget that equals neither, or None."""
        for _ in range(PATIENCE):
            child = Genome(a.skeleton, tuple(rng.choice(pair) for pair in zip(a.stages, b.stages, strict=True)))
            if child not in (a, b) and self.admits(child):
                return child
        return None

    def cost(self, genome: Genome) -> Cost:
        """Exact parameters, FLOPs and published FLOPs."""
        return self.extended(genome, genome.cost)

    def backbone_cost(self, genome: Genome, height: int, width: int) -> Cost:
        """Exact parameters, FLOPs and published FLOPs of the maps of an image."""
        return backbone_cost(genome, height, width)

    def build(self, genome: Genome) -> nn.Module:
        """The network of a genome (see `uninas_evo.spaces.uninet.network.build`)."""
        from uninas_evo.spaces.uninet.network import build

        return build(genome)

    def encode(self, genome: Genome) -> str:
        """The genome's canonical text."""
        return genome.text

    def decode(self, text: str) -> Genome:
        """The genome of a text.

        Raises:
            GenomeError: the text is no genome, or one of another skeleton.
        """
        genome = parse_genome(text)
        if genome.skeleton != self.start.skeleton:
            raise GenomeError(
                f"the genome has another skeleton than this space: {skeleton_line(text, self.start.skeleton)}; "
                "decode it in a space of its own"
            )
        return genome


def _load(source: str) -> tuple[UninetSpace, Genome]:
    genome = preset(source) if source in PRESETS else parse_genome(source)
    return UninetSpace(genome), genome


ENTRY = SpaceEntry(
    begins=("uninet ",),
    load=_load,
    presets=PRESETS,
    space_of=lambda genome: UninetSpace(genome) if isinstance(genome, Genome) else None,
    resized=Genome.resized,
)
"""How the texts of the space are known, whatever their version."""
