"""A scorer: gives a genome named values, and sees it as if it were alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from uninas_evo.contracts.problem import Ancestor, Objective, Progress
from uninas_evo.contracts.space import Shape, Space

if TYPE_CHECKING:
    import pydantic
    from torch import nn

    from uninas_evo.contracts.supernet import Learned


class Subject(Protocol):
    """A genome as a scorer sees it: no scorer sees what another did to the network, its mode or random state."""

    genome: Any
    space: Space[Any]
    seed: int
    fidelity: int | None
    lineage: Sequence[Ancestor]

    @property
    def image(self) -> Shape:
        """(C, H, W) of the images that the network takes."""

    def network(self) -> nn.Module:
        """A network of the scorer's own, freshly initialized by the seed, on the CPU and in training mode."""

    def scored(self, scorer: Scorer, device: str) -> Mapping[str, float]:
        """What another scorer gives this genome, computed once a genome: for scorers that join several."""


class Scorer(ABC):
    """Scores genomes of any space.

    Attributes:
        Options: its settings in a run file, for scorers that are found by name: `Class(**settings)` makes one.
        objectives: the values it gives that a search may follow, with their own goals and units.
        sources: files of the user's own that the values depend on.
        prepared: SHA-256 of what `make_ready` made, empty where it made nothing: part of a run's identity.
        derives: whether `make_ready` learns which genomes to prefer.
        learned: what it learned, see `Problem.learned`.
        fidelities: ways to score from cheap to full, by which a problem's are set; empty where there is one way.
        canonical: whether it scores what stands for a genome (see `contracts.Canonical`), so that all that it stands
            for have one value.
        is_pure: whether it looks at the genome alone, builds nothing and draws nothing: it needs no isolation.
    """

    Options: ClassVar[type[pydantic.BaseModel]]
    objectives: tuple[Objective, ...]
    sources: tuple[Path, ...] = ()
    prepared: str = ""
    derives: bool = False
    learned: Learned | None = None
    fidelities: tuple[Mapping[str, float], ...] = ()
    canonical: bool = False
    is_pure: bool = False

    def make_ready(  # noqa: B027 - most have nothing to make
        self, space: Space[Any], seed: int, folder: Path | None, device: str, progress: Progress
    ) -> None:
        """Called once a run, before the workers start: what all scores share, see `Problem.make_ready`."""

    def clean_up(self, folder: Path | None) -> int:
        """Called when a search has ended, see `Problem.clean_up`."""
        return 0

    def prepare(self, space: Space[Any], device: str) -> None:  # noqa: B027 - most have nothing to prepare
        """Called once in each worker before the first score."""

    @abstractmethod
    def score(self, subject: Subject, device: str) -> Mapping[str, float]:
        """A value for each of its objectives; further named values, such as standard errors, may be added."""
