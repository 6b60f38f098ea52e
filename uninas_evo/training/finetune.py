"""Fine-tuning: a network begins with the weights of one that was trained, also for other classes or images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn

from uninas_evo.errors import TrainingError
from uninas_evo.training.formats import load


def start_from(network: nn.Module, source: str | Path, say: Callable[[str], None] = lambda line: None) -> None:
    """Copies the trained weights that fit, by name and shape, into a network; the others stay as they were drawn.

    What does not fit where only classes or image size differ: the head, and position biases of attention.

    Args:
        network: changed in place.
        source: what `load` takes: the folder of a training, or its weights.
        say: is told what was taken.

    Raises:
        TrainingError: there are no such weights, or less than half of the network's fit.
    """
    trained = load(source).state_dict()
    own = network.state_dict()
    fitting = {name: one for name, one in trained.items() if name in own and own[name].shape == one.shape}
    fresh = [name for name in own if name not in fitting]
    if len(fitting) < len(own) / 2:
        raise TrainingError(
            f"the weights of {source} are of another network: at least half of the tensors must fit, and "
            f"{len(fitting)} of {len(own)} do; give the genome that was trained, or one that `convert` made of it"
        )
    network.load_state_dict(fitting, strict=False)
    say(f"starts from {source}: {len(fitting)} of {len(own)} tensors; drawn anew: {', '.join(fresh) or 'none'}")
