"""Networks whose weights hang on what a layer is, not on where it stands, so that equal functions can be compared.

Norms get a constant of 1e-12: their own, 1e-6 and 1e-5, is all that keeps a norm of a norm from being that norm, by up
to some parts in a thousand where the variance is small.
"""

from __future__ import annotations

import random
import zlib
from unittest.mock import patch

import torch
from torch import Tensor, nn

from uninas_evo.contracts import Budget
from uninas_evo.spaces.uninas import PRESETS, Genome, Skeleton, StepRule, UninasSpace, preset
from uninas_evo.spaces.uninas.network import build, layers
from uninas_evo.spaces.uninas.network.layers import ChannelNorm

SKELETONS = (
    Skeleton(16, 5, (8, 8), (32, 64), (1, 1)),
    Skeleton(8, 2, (8, 8), (32,), (2,)),
    Skeleton(16, 3, (6, 6), (12, 24, 24), (1, 1, 1)),
)

SMALL = 1e-12


def walked(seed: int) -> Genome:
    """The end of a walk of up to 100 steps from a random preset that a skeleton admits."""
    rng = random.Random(seed)
    skeleton = rng.choice(SKELETONS)
    names = list(PRESETS) if skeleton.channels[0] == 32 else ["resnet", "efficientnet"]
    start = preset(rng.choice(names), skeleton)
    space = UninasSpace(start, Budget(max_params=2 * start.params), StepRule(split=0.3))
    genome = start
    for _ in range(rng.randint(0, 100)):
        genome = space.mutate(genome, rng) or genome
    return genome


def network_of(genome: Genome) -> nn.Module:
    """Its network in double precision; layers of equal kind and shape have equal random weights."""
    network = build(genome)
    for module, keys in network.seeded:
        if isinstance(module, nn.BatchNorm2d | ChannelNorm):
            continue  # at initialization a norm scales by 1 and shifts by 0
        for name, parameter in module.named_parameters(recurse=False):
            shape = (len(parameter) // len(keys), *parameter.shape[1:])
            key = f"{type(module).__name__} {name} {shape}".encode()
            drawn = torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(key)))
            fan = max(1, drawn[0].numel()) if drawn.dim() > 1 else 16
            parameter.data.copy_(torch.cat([drawn / fan**0.5] * len(keys)))
    return network.double()


def outputs(genome: Genome, training: bool, *, scale: float = 1.0, small: float = SMALL) -> Tensor:
    """(8, K) logits of scaled images, with the batch's statistics where `training`; dropout is off.

    `small` is the constant of the norms.
    """
    network = network_of(genome).train(training)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
        if isinstance(module, nn.BatchNorm2d):
            module.eps = small
    side = genome.skeleton.image_size
    images = scale * torch.randn(8, 3, side, side, generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad(), patch.object(layers, "NORM_EPS", small):
        logits: Tensor = network(images)
    return logits


def difference(a: Genome, b: Genome, training: bool) -> float:
    """The greatest difference of the logits of two networks, relative to the greatest logit."""
    return _apart(outputs(a, training), outputs(b, training))


def instability(genome: Genome, training: bool) -> float:
    """How far a network's own logits move where its images differ in their last bits and its norms in their constant.

    Norms of what hardly varies (an average behind a softmax is constant but for rounding) blow its last bits up, one
    after the other to the size of everything else, and their constant counts there, however small it is.
    """
    changed = outputs(genome, training, scale=1 + 2**-50, small=2 * SMALL)
    return _apart(outputs(genome, training), changed)


def same(a: Genome, b: Genome, training: bool) -> bool:
    """Whether two networks compute the same to 1e-5, or to ten times of what either is instable by."""
    found = difference(a, b, training)
    return found < 1e-5 or found < 10 * max(instability(a, training), instability(b, training))


def _apart(first: Tensor, second: Tensor) -> float:
    return float((first - second).abs().max() / first.abs().max().clamp_min(1e-6))
