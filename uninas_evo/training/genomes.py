"""Training a genome: build, initialize, train, and leave weights that `uninas_evo.load` reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from uninas_evo.contracts import Shape, Space, Trained
from uninas_evo.errors import TrainingError
from uninas_evo.proxies import Scorable
from uninas_evo.spaces.uninas import Genome
from uninas_evo.spaces.uninas.network import build
from uninas_evo.training.finetune import start_from
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
    It begins with the weights that the protocol's `start_from` names, where they fit (see `finetune`).

    Raises:
        DataError, TrainingError, MissingExtraError: as `train`; also where the protocol's image size is not that
            of the genome's skeleton.
    """
    size = genome.skeleton.image_size
    check_image_size((3, size, size), protocol)
    network = build(genome, seed)
    _start(network, protocol, say)
    result = train(
        network,
        splits,
        protocol,
        folder,
        image_size=size,
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


def train_in_space(
    space: Space[Any],
    genome: Any,
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
    """Trains the network of a genome of any space that builds networks, or resumes that; see `train_genome`.

    Settings of the training that the genome decides replace the protocol's.
    Where the network knows its genome, as those of UniNAS and UniNet do, the folder also holds what `uninas_evo.load`
    reads; of others the checkpoints of `train`.

    Raises:
        DataError, TrainingError, MissingExtraError: as `train_genome`.
    """
    if isinstance(genome, Genome):
        return train_genome(
            genome,
            splits,
            protocol,
            folder,
            seed=seed,
            process=process,
            workers=workers,
            progress=progress,
            say=say,
        )
    protocol = trained_by(space, genome, protocol)
    image = image_of(space, genome)
    check_image_size(image, protocol)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = space.build(genome)
    if isinstance(network, Scorable):
        network.reinitialize(seed)
    _start(network, protocol, say)
    result = train(
        network,
        splits,
        protocol,
        folder,
        image_size=image,
        seed=seed,
        name=space.encode(genome),
        process=process,
        workers=workers,
        progress=progress,
        say=say,
    )
    if hasattr(network, "genome") and (process is None or process.first):
        save_weights(network, folder, protocol, splits.classes)
    return result


def trained_by(space: Space[Any], genome: Any, protocol: Protocol) -> Protocol:
    """The protocol with the settings that a genome decides.

    Raises:
        TrainingError: they do not fit together.
    """
    return protocol.replace(**space.training(genome)) if isinstance(space, Trained) else protocol


def _start(network: nn.Module, protocol: Protocol, say: Callable[[str], None]) -> None:
    """Gives a network the weights of the training that the protocol fine-tunes, if it names one."""
    if protocol.start_from:
        start_from(network, protocol.start_from, say)


def image_of(space: Space[Any], genome: Any) -> Shape:
    """(C, H, W) of the images that a genome's network takes."""
    if isinstance(genome, Genome):
        return (3, genome.skeleton.image_size, genome.skeleton.image_size)
    return space.image


def check_image_size(image: Shape, protocol: Protocol) -> None:
    """Refuses a genome for other images than the protocol's: its costs would not be those of the search.

    Args:
        image: (C, H, W) of the images that the genome's network takes.
        protocol: how it is to be trained.

    Raises:
        TrainingError: the sizes differ.
    """
    _, height, width = image
    if protocol.image_size and (height, width) != (protocol.image_size,) * 2:
        made_for = f"{height} px" if height == width else f"{width} x {height} px"
        raise TrainingError(
            f"the genome's skeleton is made for images of {made_for} and the protocol trains with "
            f"{protocol.image_size} px: both must be equal; search on a skeleton of {protocol.image_size} px, or set "
            f"image_size = {height if height == width else 0} in the protocol"
        )
