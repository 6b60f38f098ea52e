"""Loading a genome from a preset's name, a file, or a text in any form."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from uninas_evo.errors import GenomeError
from uninas_evo.files import parse_json
from uninas_evo.spaces.load import read_source
from uninas_evo.spaces.uninas.authors_json import genome_from_package
from uninas_evo.spaces.uninas.genome import HEADERS, Genome
from uninas_evo.spaces.uninas.json_form import genome_from_data
from uninas_evo.spaces.uninas.presets import PRESETS, preset
from uninas_evo.spaces.uninas.resize import on_skeleton
from uninas_evo.spaces.uninas.skeleton import Skeleton
from uninas_evo.spaces.uninas.text import parse_genome


def load_genome(source: str | Path, skeleton: Skeleton | None = None) -> Genome:
    """A genome from wherever it is.

    Args:
        source: a preset's name, the path of a file in any form, or a text in any form: the canonical text, our
            JSON, or the JSON of the `uninas` package.
        skeleton: for a preset, the skeleton it stands on; the paper's by default.

    Raises:
        GenomeError: there is no such preset or file, it cannot be read, or it holds no genome.
    """
    text = str(source)
    if text in PRESETS:
        return preset(text, skeleton)
    if "\n" in text or text.lstrip().startswith(("{", *HEADERS)):
        return parse(text)
    content = read_source(text, PRESETS)
    try:
        return parse(content)
    except GenomeError as error:
        raise GenomeError(f"{text}: {error}") from None


def resized(genome: Genome, image_size: int | None = None, classes: int | None = None) -> Genome:
    """The same topology and widths for images of another size, or for other classes.

    Raises:
        GenomeError: the image size is not divisible as the stages need it, or there is no class.
    """
    old = genome.skeleton
    return on_skeleton(
        genome,
        replace(
            old,
            image_size=old.image_size if image_size is None else image_size,
            classes=old.classes if classes is None else classes,
        ),
    )


def parse(text: str) -> Genome:
    """The genome of a text in any form.

    Raises:
        GenomeError: the text is no genome; the message says where and why.
    """
    text = text.removeprefix("\ufeff")  # the mark of some editors
    if not text.lstrip().startswith(("{", "[")):
        return parse_genome(text)
    try:
        data = parse_json(text)
    except (ValueError, RecursionError) as error:
        raise GenomeError(f"the genome's JSON cannot be read: {error}; fix the file") from None
    if not isinstance(data, dict):
        raise GenomeError(f"a genome's JSON is an object, got {type(data).__name__}; give a genome's file")
    try:
        if "model_str" in data:
            return genome_from_package(data)
        if data.get("format") == "uninas-evo genome":
            return genome_from_data(data)
    except GenomeError:
        raise
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise GenomeError(f"the genome's JSON is not of its form ({error!r:.120}); fix the file") from None
    raise GenomeError(
        f"this JSON holds no genome: it needs 'format': 'uninas-evo genome', or the 'model_str' of the uninas "
        f"package, got the keys {sorted(data)[:8]}; give a genome's file"
    )
