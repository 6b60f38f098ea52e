"""Training a genome: build, initialize, train, and leave weights that `uninas_evo.load` reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from uninas_evo.errors import TrainingError
from uninas_evo.spaces.uninas import Genome
from uninas_evo.spaces.uninas.network import build
from uninas_evo.training.fit import Progress
from uninas_evo.training.formats import save_weights
from uninas_evo.training.images import Splits
from uninas_evo.training.loop import TrainResult, train
from uninas_evo.training.process import Process
from uninas_evo.training.protocol import Protocol


def train_genome(
    genome: Genome,
    splits: Splits,
    protocol: Protocol,
    folder: str | Path,
    *,
    seed: int = 0,
    process: Process | None = None,
    workers: int = 0,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> TrainResult:
    """Builds a genome's network with the seed's weights and trains it into a folder, or resumes that.

    Beside the files of `train`, the folder holds `genome.txt` and, at the end, `weights.safetensors`.

    Raises:
        DataError, TrainingError, MissingExtraError: as `train`; also where the protocol's image size is not that
            of the genome's skeleton.
    """
    check_image_size(genome, protocol)
    network = build(genome, seed)
    result = train(
        network,
        splits,
        protocol,
        folder,
        image_size=genome.skeleton.image_size,
        seed=seed,
        name=genome.text,
        process=process,
        workers=workers,
        progress=progress,
        say=say,
    )
    if process is None or process.first:
        save_weights(network, folder, protocol, splits.classes)
    return result


def check_image_size(genome: Genome, protocol: Protocol) -> None:
    """Refuses a genome of another skeleton than the protocol's images: its costs would not be those of the search.

    Raises:
        TrainingError: the sizes differ.
    """
    made_for = genome.skeleton.image_size
    if protocol.image_size not in (0, made_for):
        raise TrainingError(
            f"the genome's skeleton is made for images of {made_for} px and the protocol trains with "
            f"{protocol.image_size} px: both must be equal; search on a skeleton of {protocol.image_size} px, or set "
            f"image_size = {made_for} in the protocol"
        )
