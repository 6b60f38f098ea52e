"""The JSON form of a genome: the skeleton as numbers, every chain as its canonical text."""

from __future__ import annotations

import json
from typing import Any

from uninas_evo.errors import GenomeError
from uninas_evo.spaces.uninas.genome import Genome
from uninas_evo.spaces.uninas.skeleton import Skeleton
from uninas_evo.spaces.uninas.text import parse_chain

VERSIONS = (1, 2)
"""Versions of the JSON form, as those of the text: 2 tells the image's sides and channels and the stem's stride."""


def genome_to_json(genome: Genome) -> str:
    """The JSON form of a genome; equal genomes have equal JSON."""
    s = genome.skeleton
    stages: list[dict[str, Any]] = [{"channels": c, "blocks": []} for c in s.channels]
    for index, (stage, _) in enumerate(s.blocks):
        stages[stage]["blocks"].append([c.text for c in genome.chains[2 * index : 2 * index + 2]])
    further = {} if s.is_plain else {"image_channels": s.image_channels, "stem_stride": s.stem_stride}
    data = {
        "format": "uninas-evo genome",
        "version": 2 if further else 1,
        "image_size": s.image_size if s.is_plain else s.image[1:],
        **further,
        "classes": s.classes,
        "stem": s.stem,
        "stages": stages,
    }
    return json.dumps(data, indent=2) + "\n"


def genome_from_data(data: dict[str, Any]) -> Genome:
    """The genome of a decoded JSON form.

    Raises:
        GenomeError: a version of the future, or data that is not of this form; the message names the place.
    """
    version = data.get("version")
    if version not in VERSIONS:
        raise GenomeError(
            f"the genome's JSON has version {version!r}, this program reads 1 and 2; "
            "write it again with `uninas-evo convert` of a matching version"
        )
    stages = _field(data, "stages", list)
    blocks = [_field(stage, "blocks", list, f"stages[{i}].") for i, stage in enumerate(stages)]
    skeleton = Skeleton(
        _field(data, "image_size", int) if version == 1 else tuple(_field(data, "image_size", list)),
        _field(data, "classes", int),
        tuple(_field(data, "stem", list)),
        tuple(_field(stage, "channels", int, f"stages[{i}].") for i, stage in enumerate(stages)),
        tuple(len(own) for own in blocks),
        *(_field(data, key, int) for key in (("image_channels", "stem_stride") if version == 2 else ())),
    )
    chains = []
    for stage, own in enumerate(blocks):
        for place, block in enumerate(own):
            where = f"stages[{stage}].blocks[{place}]"
            if not isinstance(block, list) or len(block) != 2 or not all(isinstance(c, str) for c in block):
                raise GenomeError(f"{where} must be a list of two chains as texts, got {block!r:.80}; fix it")
            chains += [parse_chain(text, skeleton.stage_shape(stage), f"{where}[{i}]") for i, text in enumerate(block)]
    return Genome.of(skeleton, chains)


def _field(data: Any, key: str, kind: type[Any], where: str = "") -> Any:
    value = data.get(key) if isinstance(data, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise GenomeError(
            f"{where}{key} of the genome's JSON must be of type {kind.__name__}, got {value!r:.80}; fix it"
        )
    return value
