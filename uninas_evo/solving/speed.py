"""How fast this machine trains on this data, measured before anything is decided."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from uninas_evo.compare.baselines import scaled_preset
from uninas_evo.compare.pretrained import PretrainedSpace
from uninas_evo.contracts import Budget, Shape, Space
from uninas_evo.pool.worker import peak_memory_bytes
from uninas_evo.solving.plan import EVALUATION, Speed
from uninas_evo.spaces.load import load_space
from uninas_evo.spaces.uninas import Skeleton, UninasSpace, preset
from uninas_evo.spaces.uninas.resize import CHANNEL_STEP
from uninas_evo.threads import fixed_threads
from uninas_evo.training.fit import Fit
from uninas_evo.training.genomes import initialized
from uninas_evo.training.images import ImageSet, Splits
from uninas_evo.training.outside import PREFIX
from uninas_evo.training.process import Process
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.readers import read_splits

STEPS = 16
"""Of an epoch that is timed."""
ROUNDS = 5
"""Times that each network is timed, in turn with the others, so that busy moments strike all; the median counts."""
LARGE = 1e5
"""Parameters of the larger network that is timed: typical, and some ten times the narrowest."""


def measure(splits: Splits, protocol: Protocol, skeleton: Skeleton, device: str) -> Speed:
    """The speed, from an EfficientNet at its narrowest on the skeleton and a typical one.

    Raises:
        DataError, TrainingError: the data or the protocol is wrong.
    """
    small = preset("efficientnet", replace(skeleton, channels=(CHANNEL_STEP,) * len(skeleton.channels)))
    large = scaled_preset("efficientnet", skeleton, Budget(0, max(LARGE, 4 * small.params)))
    subjects = [(UninasSpace(one), one, protocol) for one in (small, large)]
    less, more = _image_seconds(subjects, splits, protocol, device)
    slope = (more - less) / (large.flops - small.flops)
    if slope <= 0:  # too small to tell: all of it is taken for computing
        return Speed(0.0, large.flops / more, peak_memory_bytes(device))
    return Speed(max(0.0, less - slope * small.flops), 1 / slope, peak_memory_bytes(device))


Subject = tuple[Space[Any], Any, Protocol]
"""A network: its space, its genome, and the protocol that it is trained by."""


def subject(text: str, protocol: Protocol, baseline: str | None, image: Shape, classes: int) -> Subject:
    """The network of a genome's text, or the pretrained one that a label stands for.

    Args:
        text: of a genome, or the label of a `PretrainedSpace`.
        protocol: of all trainings.
        baseline: what names the pretrained network.
        image: (C, H, W) of the images that this is trained on.
        classes: of the data.
    """
    if not text.startswith(PREFIX) or baseline is None:
        return *load_space(text), protocol
    space = PretrainedSpace(baseline, image, classes)
    return space, space.start, space.protocol(protocol)


def epoch_seconds(
    texts: Sequence[str],
    data: str,
    protocol: Mapping[str, Any],
    device: str,
    baseline: str | None,
    image: Shape,
) -> list[float]:
    """What an epoch with its validation takes each network (see `subject`), here and now."""
    settings = Protocol.model_validate(protocol)
    splits = read_splits(data, settings.val_fraction)
    images = len(splits.train) + EVALUATION * len(splits.val)
    subjects = [subject(text, settings, baseline, image, len(splits.classes)) for text in texts]
    return [images * each for each in _image_seconds(subjects, splits, settings, device)]


def _image_seconds(subjects: Sequence[Subject], splits: Splits, protocol: Protocol, device: str) -> list[float]:
    """The seconds that training on one image takes each network."""
    few = replace(
        splits, train=_some(splits.train, STEPS * protocol.batch_size), val=_some(splits.val, protocol.batch_size)
    )
    short = {"epochs": ROUNDS, "warmup_epochs": 0}
    place = Process(torch.device(device))
    with fixed_threads(protocol.threads):
        fits = [
            Fit(
                initialized(space, genome, 0), few, own.replace(**short), space.image_of(genome), 0, place, checked=True
            )
            for space, genome, own in subjects
        ]
        rounds = [[1 / fit.epoch(number)["images_per_s"] for fit in fits] for number in range(ROUNDS)]
    return [statistics.median(own) for own in zip(*rounds, strict=True)]


def _some(images: ImageSet, count: int) -> ImageSet:
    order = np.random.default_rng(0).permutation(len(images))
    return images.subset(np.sort(order[:count]))
