"""Scaling winners: a deeper, wider network for other images, of the spaces whose genomes hold their skeleton."""

from __future__ import annotations

from typing import Any

from uninas_evo.errors import GenomeError
from uninas_evo.spaces import uninas, uninet


def scale(
    genome: Any, depth: float = 1, width: float = 1, image: int | tuple[int, int] | None = None
) -> uninas.Genome | uninet.Genome:
    """The same topology deeper, wider and for other images, of UniNAS and UniNet.

        larger = uninas_evo.scale(uninas_evo.load_genome("winner.txt"), depth=2, width=1.5)

    Args:
        genome: is left as it is.
        depth: multiplies the blocks of all stages, halves rounded up.
        width: multiplies the channels, to the nearest multiple of 8 or of what the operations need.
        image: side of the images, or of UniNAS their height and width; the genome's own by default.

    Raises:
        GenomeError: the space's genomes do not hold their skeleton, or such a network cannot be.
    """
    if isinstance(genome, uninas.Genome):
        return uninas.scale(genome, depth, width, image)
    if isinstance(genome, uninet.Genome):
        if not (image is None or isinstance(image, int)):
            raise GenomeError(f"images of UniNet are square, got the sides {image}; give one side")
        return uninet.scale(genome, depth, width, image)
    raise GenomeError(
        f"only genomes of UniNAS and UniNet hold the skeleton that is scaled, got a {type(genome).__name__}; "
        "search this space again with larger choices"
    )
