"""How fast this machine trains on this data, measured before anything is decided."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from uninas_evo.compare.baselines import scaled_preset
from uninas_evo.contracts import Budget, Space
from uninas_evo.pool.worker import peak_memory_bytes
from uninas_evo.solving.plan import EVALUATION, MOST_EPOCHS, Speed
from uninas_evo.spaces.uninas import Genome, Skeleton, preset
from uninas_evo.spaces.uninas.network import build
from uninas_evo.spaces.uninas.resize import CHANNEL_STEP
from uninas_evo.threads import fixed_threads
from uninas_evo.training.fit import Fit
from uninas_evo.training.images import ImageSet, Splits
from uninas_evo.training.process import Process
from uninas_evo.training.protocol import Protocol

STEPS = 16
"""Of an epoch that is timed; the fastest of three counts, the first also loads libraries."""
KEPT = 0.85
"""Share of a training's time that its epochs are planned to fill: speed changes on a machine that others use."""
LARGE = 1e5
"""Parameters of the larger network that is timed: typical, and some ten times the narrowest."""


def measure(splits: Splits, protocol: Protocol, skeleton: Skeleton, device: str) -> Speed:
    """The speed, from an EfficientNet at its narrowest on the skeleton and a typical one.

    Raises:
        DataError, TrainingError: the data or the protocol is wrong.
    """
    small = preset("efficientnet", replace(skeleton, channels=(CHANNEL_STEP,) * len(skeleton.channels)))
    large = scaled_preset("efficientnet", skeleton, Budget(0, max(LARGE, 4 * small.params)))
    seconds = [1 / _images_per_s(one, splits, protocol, device)[0] for one in (small, large)]
    slope = (seconds[1] - seconds[0]) / (large.flops - small.flops)
    if slope <= 0:  # too small to tell: all of it is taken for computing
        return Speed(0.0, large.flops / seconds[1], peak_memory_bytes(device))
    return Speed(max(0.0, seconds[0] - slope * small.flops), 1 / slope, peak_memory_bytes(device))


def affordable_epochs(
    space: Space[Any], genome: Any, splits: Splits, protocol: Protocol, seconds: float, device: str
) -> int:
    """How many epochs with their validation a training has time for, at the speed of here and now."""
    with fixed_threads(protocol.threads):
        rate, took = _images_per_s(genome, splits, protocol, device)
    epoch_s = (len(splits.train) + EVALUATION * len(splits.val)) / rate
    return int(min(max(KEPT * (seconds - took) / epoch_s, 1), MOST_EPOCHS))


def _images_per_s(genome: Genome, splits: Splits, protocol: Protocol, device: str) -> tuple[float, float]:
    """Images trained a second, and the seconds that finding it out took."""
    few = replace(
        splits, train=_some(splits.train, STEPS * protocol.batch_size), val=_some(splits.val, protocol.batch_size)
    )
    settings = protocol.replace(epochs=3, warmup_epochs=0)
    fit = Fit(build(genome), few, settings, genome.skeleton.image, 0, Process(torch.device(device)), checked=True)
    epochs = [fit.epoch(number) for number in range(settings.epochs)]
    return max(one["images_per_s"] for one in epochs), sum(one["seconds"] for one in epochs)


def _some(images: ImageSet, count: int) -> ImageSet:
    order = np.random.default_rng(0).permutation(len(images))
    return images.subset(np.sort(order[:count]))
