"""A proxy from outside: how far the outputs of a network at its initialization differ between images."""

from __future__ import annotations

import torch
from torch import nn

from uninas_evo.proxies import Inputs, Proxy


def spread(module: nn.Module, inputs: Inputs, *, power: float = 1.0) -> float:
    """Standard deviation of the outputs over the images, raised to a power."""
    with torch.no_grad():
        outputs = module.eval()(inputs.images())
    return float(outputs.std(0).mean()) ** power


SPREAD = Proxy(spread, "maximize")
