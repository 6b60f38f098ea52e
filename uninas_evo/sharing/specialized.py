"""A genome's network taken out of shared weights, ready for use without a training of its own (Once-for-All)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from uninas_evo.contracts import Space
from uninas_evo.errors import SpaceError
from uninas_evo.sharing.data import DEVIATION, MEAN
from uninas_evo.sharing.scorer import SupernetScorer
from uninas_evo.training.formats import Preparation, save_weights

PIXEL = 255.0
"""The brightest."""


def specialize(scorer: SupernetScorer, space: Space[Any], genome: Any, folder: Path) -> None:
    """Writes `genome.txt` and `weights.safetensors`, which `uninas_evo.load` and `uninas-evo export` read.

    The norms are measured as for the objective `supernet`, so that the network has the accuracy that was recorded.

    Raises:
        SpaceError: the shared weights are those of a smaller search network than the genome's.
    """
    network = scorer.extracted(space, genome)
    with torch.device("meta"):
        whole = space.build(genome)
    mine, wanted = ({name: tuple(t.shape) for name, t in net.state_dict().items()} for net in (network, whole))
    if mine != wanted:
        raise SpaceError(
            f"the shared weights of {type(space).__name__} are those of a search network, which lacks parts of the "
            "genome's own or is smaller; train the genome: uninas-evo train"
        )
    assert scorer.training is not None
    size = space.image_of(genome)
    mean, std = (MEAN / PIXEL,) * size[0], (DEVIATION / PIXEL,) * size[0]
    prepared = Preparation(size, mean, std, "squash", 1.0, scorer.training.data.classes)
    save_weights(network, folder, space, genome, prepared=prepared)
