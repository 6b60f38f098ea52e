"""Loading a genome from a preset's name, a file, or a text in any form."""

from __future__ import annotations

import json
from difflib import get_close_matches
from pathlib import Path

from uninas_evo.errors import GenomeError
from uninas_evo.spaces.uninas.authors_json import genome_from_package
from uninas_evo.spaces.uninas.genome import TEXT_HEADER, Genome
from uninas_evo.spaces.uninas.json_form import genome_from_data
from uninas_evo.spaces.uninas.presets import PRESETS, preset
from uninas_evo.spaces.uninas.skeleton import Skeleton
from uninas_evo.spaces.uninas.text import parse_genome

MAX_BYTES = 256 * 2**20
"""Largest file that is read: networks of a thousand nodes in the `uninas` package's JSON take some megabytes."""


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
    if "\n" in text or text.lstrip().startswith(("{", TEXT_HEADER)):
        return parse(text)
    try:
        path = Path(source)
        if path.stat().st_size > MAX_BYTES:
            raise GenomeError(f"{path} has over {MAX_BYTES >> 20} MiB and is no genome; give another file")
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = get_close_matches(text, PRESETS, 1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise GenomeError(
            f"{text!r} is neither a preset nor a file{hint}; use one of {', '.join(PRESETS)}, or a genome's path"
        ) from None
    except (OSError, ValueError) as error:
        raise GenomeError(f"cannot read a genome from {text!r}: {error}; give a readable UTF-8 text file") from None
    try:
        return parse(content)
    except GenomeError as error:
        raise GenomeError(f"{path}: {error}") from None


def parse(text: str) -> Genome:
    """The genome of a text in any form.

    Raises:
        GenomeError: the text is no genome; the message says where and why.
    """
    if not text.lstrip().startswith(("{", "[")):
        return parse_genome(text)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise GenomeError(f"the genome's JSON cannot be read: {error}; fix the file") from None
    if not isinstance(data, dict):
        raise GenomeError(f"a genome's JSON is an object, got {type(data).__name__}; give a genome's file")
    if "model_str" in data:
        return genome_from_package(data)
    if data.get("format") == "uninas-evo genome":
        return genome_from_data(data)
    raise GenomeError(
        f"this JSON holds no genome: it needs 'format': 'uninas-evo genome', or the 'model_str' of the uninas "
        f"package, got the keys {sorted(data)[:8]}; give a genome's file"
    )
