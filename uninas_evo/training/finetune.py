"""Fine-tuning: a network begins with the weights of one that was trained, also for other classes, images or tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isqrt
from pathlib import Path

import torch
from torch import Tensor, nn

from uninas_evo.errors import TrainingError
from uninas_evo.spaces.uninas.network.layers import interpolated
from uninas_evo.training.formats import load
from uninas_evo.training.tasks.backbone import Headed

TABLE = ".table"
"""How the names of position bias tables end."""


def start_from(network: nn.Module, source: str | Path, say: Callable[[str], None] = lambda line: None) -> None:
    """Copies the trained weights that fit, by name and shape, into a network; the others stay as they were drawn.

    Bias tables of attention of another image size are interpolated. Of a detector or a segmentation network it is the
    backbone's weights that are taken.

    Args:
        network: the backbone, changed in place.
        source: what `load` takes: the folder of a training, or its weights.
        say: is told what was taken, interpolated, drawn anew and left.

    Raises:
        TrainingError: there are no such weights, or less than half of the network's fit.
    """
    trained = load(source)
    theirs = (trained.backbone.network if isinstance(trained, Headed) else trained).state_dict()
    own = network.state_dict()
    tables = {
        name: _resized(one, own[name].shape)
        for name, one in theirs.items()
        if name.endswith(TABLE) and name in own and own[name].shape != one.shape and len(own[name]) == len(one)
    }
    fitting = {name: one for name, one in theirs.items() if name in own and own[name].shape == one.shape} | tables
    fresh = [name for name in own if name not in fitting]
    left = [name for name in theirs if name not in fitting]
    if len(fitting) < len(own) / 2:
        raise TrainingError(
            f"the weights of {source} are of another network: at least half of the tensors must fit, and "
            f"{len(fitting)} of {len(own)} do; give the genome that was trained, or one that `convert` made of it"
        )
    network.load_state_dict(fitting, strict=False)
    say(
        f"starts from {source}: {len(fitting)} of {len(own)} tensors, of which {_told(tables)} are interpolated; "
        f"drawn anew: {_told(fresh)}; left: {_told(left)}"
    )


def _resized(table: Tensor, shape: torch.Size) -> Tensor:
    """A bias table (copies, (2n − 1)²) for another grid, bicubic as Swin's."""
    side, other = isqrt(table.shape[1]), isqrt(shape[1])
    return interpolated(torch.unflatten(table, 1, (side, side)), (other, other)).flatten(1)


def _told(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
