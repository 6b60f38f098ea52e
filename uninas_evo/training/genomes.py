"""Training a genome: build, initialize, train, and leave weights that `uninas_evo.load` reads."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from uninas_evo.contracts import Shape, Space, Trained
from uninas_evo.errors import TrainingError
from uninas_evo.proxies import Scorable
from uninas_evo.spaces.uninas import Genome, UninasSpace
from uninas_evo.spaces.uninas.network import build
from uninas_evo.training.finetune import start_from
from uninas_evo.training.fit import Progress
from uninas_evo.training.formats import save_weights
from uninas_evo.training.loop import TrainResult, train
from uninas_evo.training.process import Process
from uninas_evo.training.protocol import WHOLE, Protocol
from uninas_evo.training.tasks import task_class


def train_genome(
    genome: Genome,
    data: Any,
    protocol: Protocol,
    folder: str | Path,
    *,
    seed: int = 0,
    process: Process | None = None,
    workers: int = 0,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda line: None,
    time_limit_s: float = math.inf,
) -> TrainResult:
    """Builds a genome's network with the seed's weights and trains it into a folder, or resumes that.

    Under detection and segmentation the network is the backbone of the task's head. Beside the files of `train`, the
    folder holds `genome.txt` and, at the end, `weights.safetensors`. It begins with the weights that the protocol's
    `start_from` names, where they fit (see `finetune`).

    Raises:
        DataError, TrainingError, MissingExtraError: as `train`; also where the protocol's image size is not that
            of the genome's skeleton, on which a classifier depends.
    """
    return train_in_space(
        UninasSpace(genome),
        genome,
        data,
        protocol,
        folder,
        seed=seed,
        process=process,
        workers=workers,
        progress=progress,
        say=say,
        time_limit_s=time_limit_s,
    )


def train_in_space(
    space: Space[Any],
    genome: Any,
    data: Any,
    protocol: Protocol,
    folder: str | Path,
    *,
    seed: int = 0,
    process: Process | None = None,
    workers: int = 0,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda line: None,
    time_limit_s: float = math.inf,
) -> TrainResult:
    """Trains the network of a genome of any space that builds networks, or resumes that; see `train_genome`.

    Settings of the training that the genome decides replace the protocol's.
    The folder also holds what `uninas_evo.load` reads.

    Raises:
        DataError, TrainingError, MissingExtraError: as `train_genome`.
    """
    protocol = trained_by(space, genome, protocol)
    image = space.image_of(genome)
    check_image_size(image, protocol)
    network = headed(initialized(space, genome, seed), data, protocol, seed, say)
    result = train(
        network,
        data,
        protocol,
        folder,
        image_size=image,
        seed=seed,
        name=space.encode(genome),
        process=process,
        workers=workers,
        progress=progress,
        say=say,
        time_limit_s=time_limit_s,
    )
    if process is None or process.first:
        task_class(protocol.task).finished(network, data)
        save_weights(network, folder, space, genome, protocol, data.classes)
    return result


def trained_by(space: Space[Any], genome: Any, protocol: Protocol) -> Protocol:
    """The protocol with the settings that a genome decides.

    Raises:
        TrainingError: they do not fit together.
    """
    return protocol.replace(**space.training(genome)) if isinstance(space, Trained) else protocol


def initialized(space: Space[Any], genome: Any, seed: int) -> nn.Module:
    """The network of a genome with the seed's weights."""
    if isinstance(genome, Genome):
        return build(genome, seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = space.build(genome)
    if isinstance(network, Scorable):
        network.reinitialize(seed)
    return network


def headed(
    backbone: nn.Module, data: Any, protocol: Protocol, seed: int, say: Callable[[str], None] = lambda line: None
) -> nn.Module:
    """What a protocol trains of a network: with the weights that it starts from and its task's head."""
    if protocol.start_from:
        start_from(backbone, protocol.start_from, say)
    return task_class(protocol.task).network(backbone, data, protocol, seed)


def check_image_size(image: Shape, protocol: Protocol) -> None:
    """Refuses a classifier for other images than the protocol's: its costs would not be those of the search.

    Args:
        image: (C, H, W) of the images that the genome's network takes.
        protocol: how it is to be trained.

    Raises:
        TrainingError: the sizes differ.
    """
    _, height, width = image
    if protocol.task in WHOLE and protocol.image_size and (height, width) != (protocol.image_size,) * 2:
        made_for = f"{height} px" if height == width else f"{width} x {height} px"
        raise TrainingError(
            f"the genome's skeleton is made for images of {made_for} and the protocol trains with "
            f"{protocol.image_size} px: both must be equal; search on a skeleton of {protocol.image_size} px, or set "
            f"image_size = {height if height == width else 0} in the protocol"
        )
