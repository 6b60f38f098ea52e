"""Drawings and figures as notebooks show them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uninas_evo.drawing.drawing import draw as draw_file
from uninas_evo.drawing.drawing import titled_parts
from uninas_evo.drawing.layout import layout
from uninas_evo.drawing.sketch import sketched
from uninas_evo.drawing.svg import svg
from uninas_evo.spaces.load import load_space

if TYPE_CHECKING:
    from uninas_evo.contracts import Space
    from uninas_evo.drawing.parts import Titled


@dataclass(frozen=True, repr=False)
class Drawing:
    """A drawing that a notebook shows by itself, and that `save` writes into a file."""

    genome: Any
    against: Any = None

    @property
    def _parts(self) -> list[Titled]:
        return titled_parts(self.genome, "", self.against, "")

    def _repr_svg_(self) -> str:
        """What notebooks show."""
        return svg(layout(self._parts))

    def save(self, out: str | Path) -> Path:
        """Writes it; the file's ending says the format: .svg, .png, .pdf or .html.

        Raises:
            GenomeError: the ending is none of these.
        """
        return draw_file(self.genome, Path(out), against=self.against)

    def __repr__(self) -> str:
        return f"<Drawing of {self.genome!r}>"


def draw(genome: Any, against: Any = None, *, space: Space[Any] | None = None) -> Drawing:
    """The drawing of a genome, or of two of the same space with what differs marked.

    Args:
        genome: a genome, or what `load_genome` takes.
        against: a second one.
        space: where they lie; needed for genomes that are choices, such as those of stages and of a space of one's own.

    Raises:
        GenomeError: there is no such genome, or the two are of different spaces.
    """

    def found(one: Any) -> Any:
        return sketched(*load_space(one)) if isinstance(one, str | Path) else sketched(space, one)

    return Drawing(found(genome), None if against is None else found(against))
