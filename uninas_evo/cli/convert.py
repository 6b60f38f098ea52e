"""`uninas-evo convert`: a genome in its other forms."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from uninas_evo.cli._app import app
from uninas_evo.cli._genomes import GenomeArgument, space_and_genome


class Form(StrEnum):
    """The forms a genome is written in."""

    text = "text"
    json = "json"
    uninas = "uninas"
    onnx = "onnx"


@app.command()
def convert(
    genome: GenomeArgument,
    to: Annotated[Form, typer.Option(help="The form to write.")],
    out: Annotated[Path | None, typer.Option(help="The file to write; stdout by default, needed for onnx.")] = None,
    classes: Annotated[int | None, typer.Option(min=1, help="The same network for so many classes.")] = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, help="The same network for images of so many pixels.")
    ] = None,
    trim: Annotated[
        bool, typer.Option("--trim", help="Leave out nodes without effect on a trained network, such as dropout.")
    ] = False,
    depth: Annotated[float, typer.Option(help="So many times the blocks of every stage.")] = 1.0,
    width: Annotated[float, typer.Option(help="So many times the channels.")] = 1.0,
    compound: Annotated[
        float, typer.Option(help="Depth, width and image together, for 2^this times the FLOPs; of UniNAS only.")
    ] = 0.0,
) -> None:
    """Writes a genome as text, as JSON, as a model file of the `uninas` package, or as an ONNX network.

    With --classes or --image-size it is the same topology for other data, with --depth, --width or --compound a larger
    or smaller one.

    Example: `uninas-evo convert coatnet --to text`
    """
    from uninas_evo.errors import GenomeError
    from uninas_evo.files import check_writable, write_atomically
    from uninas_evo.spaces.load import load_space, resized
    from uninas_evo.spaces.scaling import scale
    from uninas_evo.spaces.uninas import Genome, genome_to_json, genome_to_package
    from uninas_evo.spaces.uninas import compound as scale_together
    from uninas_evo.spaces.uninas.reduce import trimmed

    space, loaded = space_and_genome(genome)
    if classes is not None or image_size is not None:
        space, loaded = resized(loaded, image_size, classes)
    if (depth, width) != (1, 1):
        space, loaded = load_space(scale(loaded, depth, width).text)
    if compound:
        if not isinstance(loaded, Genome):
            raise GenomeError("compound scaling is that of UniNAS; give --depth and --width for this genome")
        space, loaded = load_space(scale_together(loaded, compound).text)
    if trim:
        if not isinstance(loaded, Genome):
            raise GenomeError("networks of UniNAS alone have neutral parts that --trim knows; leave it out")
        loaded = trimmed(loaded)
    if to is Form.onnx:
        if out is None:
            raise GenomeError("an ONNX network is binary and needs a file; add --out network.onnx")
        from uninas_evo.spaces.uninas.network.onnx import export_onnx

        check_writable(out, GenomeError)  # exporting takes a minute
        export_onnx(space.build(loaded), out, space.image_of(loaded))
        return
    if to is not Form.text and not isinstance(loaded, Genome):
        raise GenomeError(f"genomes of UniNAS alone have the form {to.value!r}; write this one as text or onnx")
    write = {Form.text: space.encode, Form.json: genome_to_json, Form.uninas: genome_to_package}[to]
    if out is None:
        print(write(loaded), end="")
        return
    write_atomically(out, lambda file: file.write(write(loaded).encode()), GenomeError)
