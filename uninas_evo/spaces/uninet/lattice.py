"""The lattice of a space: which channels and repeats each stage may take, around a base network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from uninas_evo.contracts import Choose, Decision
from uninas_evo.errors import SpaceError
from uninas_evo.spaces.uninet.genome import MODULES, OPERATORS, Genome, Skeleton, Stage
from uninas_evo.spaces.uninet.widths import rounded

EXPANSIONS = (2, 3, 4, 5, 6)
WIDTHS = (0.5, 0.75, 1.0, 1.25, 1.5)
"""Factors on the base channels of a stage."""
DEPTHS = (-2, -1, 0, 1, 2)
"""Added to the base repeats of a stage, whose sum is at least 1: ours, the paper does not say what r = 0 means."""


@dataclass(frozen=True)
class Lattice:
    """Base channels and repeats of each stage, which the options of a search lie around.

    Attributes:
        channels: base channels of each stage.
        repeats: base repeats of each stage.
        divisor: channels are rounded to multiples of it, to the head width where a stage attends.
        operators: the general operators that a stage may have.
        modules: the downsampling modules that a stage may have.
    """

    channels: tuple[int, ...]
    repeats: tuple[int, ...]
    divisor: int = 16
    operators: tuple[str, ...] = OPERATORS
    modules: tuple[str, ...] = MODULES

    def __post_init__(self) -> None:
        if len(self.channels) != len(self.repeats) or min((*self.channels, *self.repeats, self.divisor)) < 1:
            raise SpaceError(
                f"a lattice has base channels and repeats from 1 up for each stage, got {self}; give as many of both"
            )
        for given, known in ((self.operators, OPERATORS), (self.modules, MODULES)):
            if not given or len(set(given)) != len(given) or not set(given) <= set(known):
                raise SpaceError(f"a lattice has some of {', '.join(known)}, each once, got {given}; correct the list")

    @classmethod
    def of(cls, genome: Genome) -> Lattice:
        """The paper's base for five stages, else the genome's own channels and repeats."""
        if len(genome.stages) == len(PAPER.channels):
            return PAPER
        return cls(tuple(stage.channels for stage in genome.stages), tuple(stage.repeats for stage in genome.stages))

    def widths(self, index: int, stage: Stage, heads: int) -> tuple[int, ...]:
        """The channels that a stage may have, ascending, each once."""
        return tuple(dict.fromkeys(self.width(index, factor, stage, heads) for factor in WIDTHS))

    def width(self, index: int, factor: float, stage: Stage, heads: int) -> int:
        """The channels of a stage at a factor on the base."""
        return rounded(self.channels[index] * factor, heads if stage.attends else self.divisor)

    def depths(self, index: int) -> tuple[int, ...]:
        """The repeats that a stage may have, ascending, each once."""
        return tuple(dict.fromkeys(max(1, self.repeats[index] + offset) for offset in DEPTHS))

    def decisions(self) -> tuple[Decision, ...]:
        """Five for each stage, in the order in which `compose` asks them."""
        kinds: tuple[tuple[str, tuple[str, ...], bool], ...] = (
            ("gop", self.operators, False),
            ("dsm", self.modules, False),
            ("e", tuple(map(str, EXPANSIONS)), True),
            ("c", tuple(f"{factor:g}" for factor in WIDTHS), True),
            ("r", tuple(f"{offset:+d}" for offset in DEPTHS), True),
        )
        return tuple(
            Decision(f"stage {number} {kind}", options, ordered)
            for number in range(1, len(self.channels) + 1)
            for kind, options, ordered in kinds
        )

    def compose(self, skeleton: Skeleton, choose: Choose) -> Genome:
        """The genome of the answers to all decisions, whatever it costs."""
        answers = [choose(decision) for decision in self.decisions()]
        stages = []
        for index in range(len(self.channels)):
            operator, module, e, c, r = answers[5 * index : 5 * index + 5]
            stage = Stage(module, operator, int(e), 1, max(1, self.repeats[index] + int(r)))
            stages.append(replace(stage, channels=self.width(index, float(c), stage, skeleton.heads)))
        return Genome(skeleton, tuple(stages))

    def neighbors(self, genome: Genome) -> Iterator[Genome]:
        """All genomes that differ in one decision, in a fixed order; values off the lattice stay elsewhere."""
        heads = genome.skeleton.heads
        for index, stage in enumerate(genome.stages):
            changed = [replace(stage, operator=operator) for operator in self.operators]
            changed += [replace(stage, module=module) for module in self.modules]
            changed = [self.fitted(one, heads) for one in changed]
            changed += [replace(stage, expansion=e) for e in EXPANSIONS]
            changed += [replace(stage, channels=c) for c in self.widths(index, stage, heads)]
            changed += [replace(stage, repeats=r) for r in self.depths(index)]
            yield from (genome.with_stage(index, one) for one in changed if one != stage)

    @staticmethod
    def fitted(stage: Stage, heads: int) -> Stage:
        """The stage with channels that its heads divide, where it attends."""
        return replace(stage, channels=rounded(stage.channels, heads)) if stage.attends else stage


PAPER = Lattice((32, 48, 96, 128, 192), (2, 2, 3, 5, 8))
"""EfficientNetV2-B0 with its 112 channels rounded to heads. Ours, the paper says only "as EfficientNetV2": it is the
one reading under which UniNet-B0 lies in the space."""
