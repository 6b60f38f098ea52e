"""The mobile spaces of ProxylessNAS and Once-for-All: any scorer, or accuracy with shared weights."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from uninas_evo.devices import costed
from uninas_evo.problems.options import scoring
from uninas_evo.problems.shared_weights import MacsOptions, SharedWeightsProblem
from uninas_evo.spaces.mobile.ofa import RESOLUTIONS
from uninas_evo.spaces.mobile.proxyless import ProxylessSkeleton
from uninas_evo.spaces.mobile.space import OFASpace, ProxylessSpace

_WIDTHS = ProxylessSkeleton()


class ProxylessOptions(MacsOptions):
    """The `[problem]` table of a run file for ProxylessNAS' space; widths are ProxylessNAS-GPU's by default."""

    image: int = Field(_WIDTHS.image, description="pixels of a side")
    classes: int = Field(_WIDTHS.classes, description="of the data")
    stem: tuple[int, int] = Field(_WIDTHS.stem, description="channels of the stem and of the first block")
    widths: list[int] = Field(list(_WIDTHS.widths), description="channels of the six groups of layers")
    head: int = Field(_WIDTHS.head, description="channels before the classifier")


class ProxylessProblem(SharedWeightsProblem):
    """Scores genomes of ProxylessNAS' space; see `SharedWeightsProblem`."""

    Options = ProxylessOptions
    space: ProxylessSpace

    @classmethod
    def from_options(cls, options: ProxylessOptions, seed: int) -> Self:
        """The problem of a run file's `[problem]` table."""
        widths = tuple(options.widths)
        skeleton = ProxylessSkeleton(options.image, options.classes, options.stem, widths, options.head)
        space = costed(ProxylessSpace(skeleton), options.costs, options.budget.budget())
        return cls(space, options.objectives, seed=seed, supernet=options.supernet, **scoring(options))


class OFAOptions(MacsOptions):
    """The `[problem]` table of a run file for Once-for-All's space."""

    classes: int = Field(1000, description="of the data")
    width: float = Field(1.0, gt=0, description="factor of every width; 1.0 and 1.2 in the paper")
    resolutions: list[int] = Field(list(RESOLUTIONS), description="pixels of a side to choose among")


class OFAProblem(SharedWeightsProblem):
    """Scores genomes of Once-for-All's space; see `SharedWeightsProblem`."""

    Options = OFAOptions
    space: OFASpace

    @classmethod
    def from_options(cls, options: OFAOptions, seed: int) -> Self:
        """The problem of a run file's `[problem]` table."""
        whole = OFASpace(options.classes, options.width, options.resolutions)
        space = costed(whole, options.costs, options.budget.budget())
        return cls(space, options.objectives, seed=seed, supernet=options.supernet, **scoring(options))
