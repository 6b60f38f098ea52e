"""Genomes of any space from their texts: the first line says which space a text belongs to.

A space makes its texts known by an entry point of the group `uninas_evo.spaces` that names a `SpaceEntry`::

    [project.entry-points."uninas_evo.spaces"]
    toy = "toy_cells:ENTRY"

    ENTRY = SpaceEntry(begins=("toy 1",), load=load)         # in toy_cells.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uninas_evo.contracts import Space
from uninas_evo.errors import GenomeError, SpaceError
from uninas_evo.files import decoded
from uninas_evo.spaces.choices import ChoiceSpace

if TYPE_CHECKING:
    from torch import nn

MAX_BYTES = 256 * 2**20
"""Largest file that is read: networks of a thousand nodes in the `uninas` package's JSON take some megabytes."""


@dataclass(frozen=True, slots=True)
class SpaceEntry:
    """How a space makes its genomes known.

    Attributes:
        begins: what its texts begin with, such as ``("toy 1",)``.
        load: gives (space, genome) of a text, or of the name of a preset; the space has no budget. Raises
            GenomeError where the text is wrong. A skeleton is passed on as a second argument where one is given.
        presets: names of known networks, different from those of all other spaces.
        space_of: gives the space, without budget, of a genome alone, or None for genomes of other spaces. Left out
            by spaces whose genomes do not say for which images they are.
        resized: gives the same network for (genome, image size, classes), None for what stays; left out by spaces
            whose genomes do not hold them.
    """

    begins: tuple[str, ...]
    load: Callable[..., tuple[Space[Any], Any]]
    presets: tuple[str, ...] = ()
    space_of: Callable[[Any], Space[Any] | None] = lambda genome: None
    resized: Callable[[Any, int | None, int | None], Any] | None = None


def load_genome(source: str | Path, skeleton: Any = None) -> Any:
    """A genome of any space.

    Args:
        source: a preset's name, the path of a file, or a text.
        skeleton: what a preset or a printed cell stands on, for spaces that have skeletons; their own by default.

    Raises:
        GenomeError: there is no such preset or file, it cannot be read, or it holds no genome.
    """
    return load_space(source, skeleton)[1]


def load_space(source: str | Path, skeleton: Any = None) -> tuple[Space[Any], Any]:
    """A genome of any space, and before it the space it lies in, without budget: gives its cost and builds it.

    Args:
        source: a preset's name, the path of a file, or a text.
        skeleton: what a preset or a printed cell stands on, for spaces that have skeletons; their own by default.

    Raises:
        GenomeError: there is no such preset or file, it cannot be read, or it holds no genome.
    """
    text, given = str(source).lstrip("\ufeff"), () if skeleton is None else (skeleton,)
    entry = _by_preset().get(text) or _entry(text)
    if entry is not None:
        return entry.load(text, *given)
    if "\n" in text:
        raise GenomeError(_unread(text))
    content = read_source(text, presets())
    entry = _entry(content)
    if entry is None:
        raise GenomeError(f"{text}: {_unread(content)}")
    try:
        return entry.load(content, *given)
    except GenomeError as error:
        raise GenomeError(f"{text}: {error}") from None


def build(genome: Any) -> nn.Module:
    """The network of a genome, with its default initialization, on the CPU.

    Args:
        genome: a genome, or what `load_genome` takes.

    Raises:
        GenomeError: `genome` is a text, file or name, and holds no genome.
        SpaceError: the genome alone does not say what its network is.
    """
    if isinstance(genome, str | Path):
        space, genome = load_space(genome)
        return space.build(genome)
    for entry in entries().values():
        found = entry.space_of(genome)
        if found is not None:
            return found.build(genome)
    raise SpaceError(
        f"a genome alone must say for which images and classes it is built, got {type(genome).__name__}; "
        "build its text, or call the `build` of its space"
    )


def resized(genome: Any, image_size: int | None = None, classes: int | None = None) -> tuple[Space[Any], Any]:
    """The same network for images of another size or other classes, and before it the space it lies in.

    Raises:
        GenomeError: the network cannot have that size, or its genome does not hold them.
    """
    for entry in entries().values():
        space = entry.space_of(genome)
        if space is not None and entry.resized is not None:
            return load_space(space.encode(entry.resized(genome, image_size, classes)))
    raise GenomeError(
        f"a {type(genome).__name__} of this space does not hold its image size and classes; "
        "set them in the run file's [problem]"
    )


@lru_cache
def entries() -> dict[str, SpaceEntry]:
    """The entries of all spaces that are installed, by name."""
    return {point.name: point.load() for point in sorted(entry_points(group="uninas_evo.spaces"))}


def presets() -> list[str]:
    """The names of the presets of all spaces."""
    return list(_by_preset())


def _by_preset() -> dict[str, SpaceEntry]:
    return {name: entry for entry in entries().values() for name in entry.presets}


def _entry(text: str) -> SpaceEntry | None:
    return next((entry for entry in entries().values() if text.lstrip().startswith(entry.begins)), None)


def _unread(text: str) -> str:
    """Why no entry reads a text, and what to do."""
    if text.lstrip().startswith(ChoiceSpace.form):
        return (
            f"a text that begins with {ChoiceSpace.form!r} is of a space of one's own, whose table and functions the "
            "text does not hold; give the folder of its run where a run is taken, or call `decode` of the space in "
            "Python"
        )
    known = ", ".join(repr(begin) for entry in entries().values() for begin in entry.begins)
    return f"no space reads a text that begins with {text[:40].splitlines()[:1]}; texts begin with {known}"


def read_source(name: str, known: Sequence[str]) -> str:
    """The text of a genome's file.

    Args:
        name: its path.
        known: the presets that could have been meant.

    Raises:
        GenomeError: there is no such file, or it cannot be read.
    """
    path = Path(name)
    try:
        if path.is_dir():
            inside = [path / one for one in ("winner.txt", "genome.txt") if (path / one).is_file()]
            told = f"give {inside[0]}" if inside else "give a genome's file"
            raise GenomeError(f"{path} is a folder, and a genome is a file; {told}")
        if path.exists() and not path.is_file():
            raise GenomeError(f"{path} is no file and holds no genome; give a genome's file")
        if path.stat().st_size > MAX_BYTES:
            raise GenomeError(f"{path} has over {MAX_BYTES >> 20} MiB and is no genome; give another file")
        return decoded(path.read_bytes())
    except GenomeError:
        raise
    except FileNotFoundError:
        near = get_close_matches(name, known, 1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise GenomeError(
            f"{name!r} is neither a preset nor a file{hint}; use one of {', '.join(known)}, or a genome's path"
        ) from None
    except (OSError, ValueError) as error:
        raise GenomeError(f"cannot read a genome from {name!r}: {error}; give a readable UTF-8 text file") from None
