"""A scorer: gives a genome named values, and sees it as if it were alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from uninas_evo.contracts.problem import Objective
from uninas_evo.contracts.space import Shape, Space

if TYPE_CHECKING:
    from torch import nn


class Subject(Protocol):
    """A genome as a scorer sees it: no scorer sees what another did to the network, its mode or random state."""

    genome: Any
    space: Space[Any]
    seed: int
    fidelity: int | None
    lineage: Sequence[Any]

    @property
    def image(self) -> Shape:
        """(C, H, W) of the images that the network takes."""

    def network(self) -> nn.Module:
        """A network of the scorer's own, freshly initialized by the seed, on the CPU and in training mode."""


class Scorer(ABC):
    """Scores genomes of any space.

    Attributes:
        objectives: the values it gives that a search may follow, with their own goals and units.
        sources: files of the user's own that the values depend on.
    """

    objectives: tuple[Objective, ...]
    sources: tuple[Path, ...] = ()

    def prepare(self, space: Space[Any], device: str) -> None:  # noqa: B027 - most have nothing to prepare
        """Called once in each worker before the first score."""

    @abstractmethod
    def score(self, subject: Subject, device: str) -> Mapping[str, float]:
        """A value for each of its objectives; further named values, such as standard errors, may be added."""
