"""The spaces of ProxylessNAS and Once-for-All: decisions, costs and networks from the plans of their genomes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from uninas_evo.contracts import Budget, Cost, Decision, Supernet
from uninas_evo.errors import GenomeError, SpaceError
from uninas_evo.spaces.choices import Choices, ChoiceSpace
from uninas_evo.spaces.load import SpaceEntry
from uninas_evo.spaces.mobile import ofa, proxyless
from uninas_evo.spaces.mobile.genome import MobileGenome
from uninas_evo.spaces.mobile.ofa import DEPTHS, EXPANSIONS, KERNELS, RESOLUTIONS, STAGES, OFAGenome
from uninas_evo.spaces.mobile.presets import OFA, PROXYLESS, ofa_preset, proxyless_preset
from uninas_evo.spaces.mobile.proxyless import LAYERS, ProxylessGenome, ProxylessSkeleton

if TYPE_CHECKING:
    from torch import nn

M = TypeVar("M", bound=MobileGenome)


class MobileSpace(ChoiceSpace[M]):
    """What both spaces have in common: everything that a genome's plan tells."""

    def cost(self, genome: M) -> Cost:
        """Exact parameters, FLOPs and MACs."""
        return self.extended(genome, genome.cost)

    def build(self, genome: M) -> nn.Module:
        """The network of a genome."""
        from uninas_evo.spaces.mobile.network import MobileNetwork

        return MobileNetwork(genome.plan)

    def encode(self, genome: M) -> str:
        """The genome's canonical text."""
        return genome.text

    def decode(self, text: str) -> M:
        """The genome of a text.

        Raises:
            GenomeError: the text is no genome, or one that lies outside the space.
        """
        genome = self.parse(text)
        if not self.holds(genome):
            raise GenomeError(
                f"the genome is of another space than this one, whose texts read like {self.encode(self.example)!r}, "
                f"got {text[:200]!r}; decode it in a space of its own"
            )
        return genome

    @property
    def example(self) -> M:
        """The genome of every decision's first option."""
        return self.genome([0] * len(self.decisions))

    @abstractmethod
    def parse(self, text: str) -> M:
        """The genome of a text, of this skeleton or another."""

    @abstractmethod
    def holds(self, genome: M) -> bool:
        """Whether a genome lies in the space, its budget aside."""


class ProxylessSpace(MobileSpace[ProxylessGenome]):
    """2.215e17 chains of 21 layers; the decisions are `layer 1` to `layer 21`.

    Args:
        skeleton: image, classes and widths.
        start: where walks begin.
        budget: bounds on params, flops and macs.
    """

    form = proxyless.HEADER

    def __init__(
        self,
        skeleton: ProxylessSkeleton | None = None,
        start: ProxylessGenome | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.skeleton = skeleton or ProxylessSkeleton()
        side = self.skeleton.image
        decisions = (Decision(f"layer {index + 1}", proxyless.options(index)) for index in range(LAYERS))
        super().__init__(decisions, (3, side, side), self.skeleton.classes, budget, start)

    def genome(self, indices: Iterable[int]) -> ProxylessGenome:
        """The genome of the layers' indices."""
        words = (decision.options[index] for decision, index in zip(self.decisions, indices, strict=True))
        return ProxylessGenome(tuple(words), self.skeleton)

    def indices(self, genome: ProxylessGenome) -> Choices:
        """The layers' indices."""
        return Choices(d.options.index(word) for d, word in zip(self.decisions, genome.layers, strict=True))

    def supernet(self, **options: Any) -> Supernet[ProxylessGenome]:
        """All genomes' weights; see `uninas_evo.spaces.mobile.shared.ProxylessSupernet` for the options."""
        from uninas_evo.spaces.mobile.shared import ProxylessSupernet

        return ProxylessSupernet(self, **options)

    def parse(self, text: str) -> ProxylessGenome:
        """The genome of a text, of this skeleton or another."""
        return proxyless.parse(text)

    def holds(self, genome: ProxylessGenome) -> bool:
        """Whether a genome stands on the space's skeleton."""
        return genome.skeleton == self.skeleton


class OFASpace(MobileSpace[OFAGenome]):
    """2.176e19 networks at each of 25 resolutions.

    The decisions are `resolution`, and for each stage its `depth` and the `kernel` and `expansion` of four blocks;
    those of blocks beyond the depth do not matter.

    Args:
        classes: K.
        width: factor of every width.
        resolutions: pixels of a side, multiples of 4 in 128..224 in the paper.
        start: where walks begin.
        budget: bounds on params, flops and macs.

    Raises:
        SpaceError: there is no resolution.
    """

    form = ofa.HEADER

    def __init__(
        self,
        classes: int = 1000,
        width: float = 1.0,
        resolutions: Iterable[int] = RESOLUTIONS,
        start: OFAGenome | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.width, self.resolutions = width, tuple(sorted(resolutions))
        if not self.resolutions:
            raise SpaceError("an ofa space has at least one resolution, got none; give some of 128, 132, ..., 224")
        decisions = [Decision("resolution", tuple(map(str, self.resolutions)), ordered=True)]
        for stage in range(1, len(STAGES) + 1):
            decisions.append(_ordered(f"stage {stage} depth", DEPTHS))
            for block in range(1, max(DEPTHS) + 1):
                decisions.append(_ordered(f"stage {stage} block {block} kernel", KERNELS))
                decisions.append(_ordered(f"stage {stage} block {block} expansion", EXPANSIONS))
        side = self.resolutions[-1]
        super().__init__(decisions, (3, side, side), classes, budget, start)

    def genome(self, indices: Iterable[int]) -> OFAGenome:
        """The genome of the decisions' indices."""
        answers = iter(int(d.options[index]) for d, index in zip(self.decisions, indices, strict=True))
        resolution, stages = next(answers), []
        for _ in STAGES:
            depth = next(answers)
            blocks = [(next(answers), next(answers)) for _ in range(max(DEPTHS))]
            stages.append(tuple(blocks[:depth]))
        return OFAGenome(resolution, tuple(stages), self.classes, self.width)

    def indices(self, genome: OFAGenome) -> Choices:
        """The decisions' indices, 0 for blocks beyond the depth."""
        found = [self.resolutions.index(genome.resolution)]
        for stage in genome.stages:
            found.append(DEPTHS.index(len(stage)))
            for kernel, expansion in (*stage, *[(KERNELS[0], EXPANSIONS[0])] * (max(DEPTHS) - len(stage))):
                found += [KERNELS.index(kernel), EXPANSIONS.index(expansion)]
        return Choices(found)

    def supernet(self, **options: Any) -> Supernet[OFAGenome]:
        """All genomes' weights; see `uninas_evo.spaces.mobile.elastic.OFASupernet` for the options."""
        from uninas_evo.spaces.mobile.elastic import OFASupernet

        return OFASupernet(self, **options)

    def parse(self, text: str) -> OFAGenome:
        """The genome of a text, of this skeleton or another."""
        return ofa.parse(text)

    def holds(self, genome: OFAGenome) -> bool:
        """Whether a genome has the space's classes and width and one of its resolutions."""
        skeleton = genome.classes, genome.width
        return skeleton == (self.classes, self.width) and genome.resolution in self.resolutions


def _ordered(name: str, options: Iterable[int]) -> Decision:
    return Decision(name, tuple(map(str, options)), ordered=True)


def _load_proxyless(source: str, skeleton: ProxylessSkeleton | None = None) -> tuple[ProxylessSpace, ProxylessGenome]:
    genome = proxyless_preset(source, skeleton) if source in PROXYLESS else proxyless.parse(source)
    return ProxylessSpace(genome.skeleton), genome


def _load_ofa(source: str, skeleton: Mapping[str, Any] | None = None) -> tuple[OFASpace, OFAGenome]:
    genome = ofa_preset(source, **(skeleton or {})) if source in OFA else ofa.parse(source)
    return _ofa_space(genome), genome


def _ofa_space(genome: OFAGenome) -> OFASpace:
    return OFASpace(genome.classes, genome.width, {*RESOLUTIONS, genome.resolution})


PROXYLESS_ENTRY = SpaceEntry(
    begins=(proxyless.HEADER,),
    load=_load_proxyless,
    presets=tuple(PROXYLESS),
    space_of=lambda genome: ProxylessSpace(genome.skeleton) if isinstance(genome, ProxylessGenome) else None,
)
"""How the texts of ProxylessNAS' space are known."""

OFA_ENTRY = SpaceEntry(
    begins=(ofa.HEADER,),
    load=_load_ofa,
    presets=tuple(OFA),
    space_of=lambda genome: _ofa_space(genome) if isinstance(genome, OFAGenome) else None,
)
"""How the texts of Once-for-All's space are known."""
