"""The genome that an argument names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from uninas_evo.contracts import Space

GenomeArgument = Annotated[
    str,
    typer.Argument(
        metavar="GENOME",
        help="A preset (resnet, efficientnet, vit, coatnet), a genome's file, or a run folder: its best genome.",
    ),
]
SpaceOption = Annotated[
    Path | None, typer.Option(help="A run file of the genomes' space, where their texts do not tell it.")
]


def is_run(source: str) -> bool:
    """Whether an argument is a run's folder."""
    from uninas_evo.engine.journal import FILE_NAME

    return "\n" not in source and (Path(source) / FILE_NAME).is_file()


def space_and_genome(source: str) -> tuple[Space[Any], Any]:
    """A genome and the space it lies in.

    Args:
        source: a preset, a genome's file, or a run folder, whose best genome it is.

    Raises:
        GenomeError, JournalError: there is none.
    """
    from uninas_evo.compare.baselines import winners
    from uninas_evo.spaces.load import load_space

    if is_run(source):
        space, (genome,) = winners(source, 1)
        return space, genome
    return load_space(source)


def space_of_run_file(run_file: Path | None) -> Space[Any] | None:
    """The space of a run file, where one is given.

    Raises:
        RunFileError: the file holds a mistake.
    """
    from uninas_evo.config.runfile import load_run_file

    return None if run_file is None else load_run_file(run_file).problem().space
