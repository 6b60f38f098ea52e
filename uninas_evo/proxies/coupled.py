"""Proxies that multiply what activations show by what gradients do: intrain and l_swag."""

from __future__ import annotations

import math
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from uninas_evo.errors import ProxyError
from uninas_evo.proxies._module import Inputs, finite, needs_images, prepare
from uninas_evo.proxies.activations import sign_codes
from uninas_evo.proxies.gradients import gradients_of, layers_of, loss_of, weights_of
from uninas_evo.proxies.patterns import count_patterns

_SMALL = 1e-10
"""The paper's constant, which keeps divisions finite."""


def intrain(module: nn.Module, inputs: Inputs | None = None) -> float:
    """γ (1 + o) / log(L + 1), γ what the L layers' outputs can span, o how even the gradients are; larger is better.

    γ sums over layers the logarithm of the participation ratio (Σλ)² / Σλ² of the eigenvalues λ of the channels'
    covariance. o sums over parameters the deviation of a gradient's entries over their greatest, at most 1.
    Source: Zhou et al., "InTrain: Intrinsic Trainability for Zero-Cost Neural Architecture Search", CVPR 2026,
    arXiv 2606.18676, as its formulas stand in a published summary. Deviations: the layers are convolutions and linear
    layers with trainable weights; images of the size that is scored instead of 64 px.
    """
    inputs = inputs or Inputs()
    needs_images(inputs, 2, "intrain")
    net = prepare(module, inputs, training=True)
    ratios: list[float] = []

    def keep(_layer: nn.Module, _args: object, output: Tensor) -> None:
        ratios.append(participation_ratio(output.detach()))

    with ExitStack() as hooks:
        for layer in layers_of(net):
            hooks.callback(layer.register_forward_hook(keep).remove)
        loss = loss_of(net, inputs)
    if not ratios:
        raise ProxyError(
            f"intrain reads the outputs of convolutions and linear layers, and {type(net).__name__} has none that can "
            "be trained; unfreeze them, or use another proxy"
        )
    gradients = gradients_of(loss, [p for p in net.parameters() if p.requires_grad])
    health = sum(_evenness(gradient) for gradient in gradients)
    return finite(sum(map(math.log, ratios)) * (1 + health) / math.log(len(ratios) + 1), "intrain")


def participation_ratio(features: Tensor) -> float:
    """(Σλ)² / Σλ² of the eigenvalues λ of the channels' covariance, of (N, C, H, W), (N, positions, C) or (N, C).

    It lies between 1 and C; features that never vary count as C equal small eigenvalues, as in the paper.
    """
    rows = (features.movedim(1, -1) if features.dim() == 4 else features).flatten(0, -2).double()
    rows = rows - rows.mean(0)
    covariance = rows.T @ rows / len(rows) + _SMALL * torch.eye(rows.shape[1], dtype=rows.dtype, device=rows.device)
    return float(covariance.trace() ** 2 / covariance.square().sum())


def _evenness(gradient: Tensor) -> float:
    """The deviation of a gradient's entries over the greatest, at most 1."""
    values = gradient.double()
    return min(1.0, float(values.std(unbiased=False) / (values.abs().max() + _SMALL)))


def l_swag(
    module: nn.Module, inputs: Inputs | None = None, *, first: float = 0.0, last: float = 1.0, batches: int = 2
) -> float:
    """Σ over layers of log Σ over weights of 1 / std |g|, times the sign patterns of the units; larger is better.

    The deviation is over batches, the patterns over the images of one (see `swap`). Both look at the layers, and the
    activations, from the share `first` to the share `last` of the depth.
    Source: Casarin et al., "L-SWAG: Layer-Sample Wise Activation with Gradients Information for Zero-Shot NAS on
    Vision Transformers", CVPR 2025. It chooses the layers by a benchmark's own statistics; here all are taken unless
    told otherwise. Deviations: random images and labels instead of data; weights whose gradient never varies are left
    out, as in `zico`.
    """
    inputs = inputs or Inputs()
    needs_images(inputs, 2, "l_swag")
    if not 0 <= first < last <= 1 or batches < 2:
        raise ProxyError(
            f"l_swag needs shares 0 <= first < last <= 1 and at least two batches, got first={first}, last={last}, "
            f"batches={batches}; the defaults take all layers and two"
        )
    net = prepare(module, inputs, training=True)
    weights = _between(weights_of(net), first, last)
    samples = [gradients_of(loss_of(net, inputs, batch), weights) for batch in range(batches)]
    trainability = 0.0
    for gradients in zip(*samples, strict=True):
        spread = torch.stack(gradients).abs().double().std(0, unbiased=False)
        trainability += math.log(float((1 / spread[spread > 0]).sum())) if bool((spread > 0).any()) else 0.0
    codes = _between(sign_codes(net, inputs.images(), "l_swag"), first, last)
    return finite(trainability * count_patterns(codes), "l_swag")


def _between(layers: list[Tensor], first: float, last: float) -> list[Tensor]:
    """Those from one share of the depth to another, at least one."""
    start = min(round(first * len(layers)), len(layers) - 1)
    return layers[start : max(start + 1, round(last * len(layers)))]
