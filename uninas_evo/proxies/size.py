"""The size of a module as a proxy: parameters and FLOPs; the baselines that every proxy must beat."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from uninas_evo.proxies._module import Inputs, count_layers, prepare


def params(module: nn.Module, inputs: Inputs | None = None) -> float:
    """Parameters of the module, a count; larger is better in most comparisons."""
    return float(sum(parameter.numel() for parameter in module.parameters()))


def flops(module: nn.Module, inputs: Inputs | None = None) -> float:
    """FLOPs of one image: multiplications and additions of convolutions, matrix products and attention.

    Counted in a forward pass by torch's counter, which leaves norms, activations and pooling out: for bare modules.
    Where a genome is known (in a search, in `uninas-evo score`) the objective `flops` is its space's exact formula.
    """
    inputs = inputs or Inputs()
    net = prepare(module, inputs)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        net(torch.zeros(1, *inputs.image, device=inputs.device))
    return float(counter.get_total_flops())


def layers(module: nn.Module, inputs: Inputs | None = None) -> float:
    """Convolutions and linear layers with trainable weights, a count."""
    return float(count_layers(module))
