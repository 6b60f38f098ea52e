"""What genomes of several spaces have in common: a canonical text and an exact cost, and what follows from them."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from importlib import import_module

from uninas_evo.contracts import Cost


class TextGenome(ABC):
    """A genome that knows its text and its cost; immutable and hashable."""

    @property
    @abstractmethod
    def text(self) -> str:
        """The canonical text."""

    @property
    @abstractmethod
    def cost(self) -> Cost:
        """Exact parameters, FLOPs and further named costs."""

    @property
    def params(self) -> int:
        """Exact number of parameters."""
        return self.cost.params

    @property
    def flops(self) -> int:
        """Exact FLOPs of one image."""
        return self.cost.flops

    @property
    def id(self) -> str:
        """The first 12 hexadecimal digits of the text's SHA-256: the same in every process."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]

    def _repr_svg_(self) -> str:
        """The drawing that notebooks show."""
        return drawn(self)


def drawn(genome: object) -> str:
    """The drawing of a genome as SVG; the room of drawings knows spaces, so it is found by its name."""
    drawing: str = import_module("uninas_evo.drawing.notebook").draw(genome)._repr_svg_()
    return drawing
