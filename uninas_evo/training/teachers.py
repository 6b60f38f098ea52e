"""Teachers by their names: folders of trainings, and networks of timm."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from torch import nn

from uninas_evo.errors import TrainingError
from uninas_evo.training import formats, outside
from uninas_evo.training.distillation import Teacher
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.tasks.backbone import Headed


def load_teacher(protocol: Protocol, classes: Sequence[str], channels: int, device: torch.device) -> Teacher | None:
    """The teacher that a protocol names; None where it names none.

    Args:
        protocol: of the student.
        classes: names of the student's outputs (K), in their order.
        channels: of the student's images.
        device: of the training.

    Raises:
        TrainingError: there is no such teacher, or it tells other classes apart.
        MissingExtraError: timm or safetensors is not installed.
    """
    if not protocol.teacher:
        return None
    network, prepared = _loaded(protocol.teacher, len(classes), _written(protocol.teacher))
    if prepared.classes and prepared.classes != tuple(classes):
        raise TrainingError(
            f"the teacher {protocol.teacher} was trained on other classes ({', '.join(prepared.classes)[:80]}) than "
            f"the data's ({', '.join(classes)[:80]}): both must be equal, in their order; train a teacher on this data"
        )
    with torch.inference_mode():
        given = network(torch.zeros(1, *prepared.size)).shape[1]
    if given != len(classes):
        raise TrainingError(
            f"the teacher {protocol.teacher} has {given} classes and the data {len(classes)}: both must be equal; "
            "train the teacher on this data first and give its folder, or name a file of weights for these classes"
        )
    return Teacher(network, prepared.size, prepared.mean, prepared.std, protocol, channels, device)


def _written(source: str) -> tuple[int, ...]:
    """When the files of a teacher were written."""
    path = Path(source.partition("@")[2] if outside.is_outside(source) else source)
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return tuple(file.stat().st_mtime_ns for file in files if file.is_file())


@lru_cache(maxsize=2)
def _loaded(source: str, classes: int, written: tuple[int, ...]) -> tuple[nn.Module, formats.Preparation]:
    """The network of a teacher and what it takes; a search trains many students under one, which never changes."""
    if outside.is_outside(source):
        return outside.trained_network(source, classes)
    network = formats.load(source)
    prepared: formats.Preparation | None = network.preparation
    if isinstance(network, Headed) or prepared is None or len(prepared.size) != 3:
        raise TrainingError(
            f"the teacher {source} is no classifier that tells which images it takes; give the folder of a training of "
            "classification that has ended"
        )
    return network, prepared
