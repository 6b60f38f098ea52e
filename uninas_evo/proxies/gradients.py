"""Proxies of gradients: of a loss (grad_norm, snip, grasp, fisher, zico) or of the logits (synflow, jacov).

Batch norms use the statistics of the batch and dropout is off, as in the codes of the papers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from uninas_evo.errors import ProxyError
from uninas_evo.proxies._module import (
    Inputs,
    check_logits,
    features_of,
    finite,
    is_norm,
    needs_images,
    prepare,
)


def grad_norm(module: nn.Module, inputs: Inputs | None = None) -> float:
    """Σ over convolutions and linear layers of ‖∂L/∂w‖₂, w a layer's weight; larger is better.

    Source: Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021, summed as in their code.
    Deviations: random images and labels instead of data; Kaiming weights, as in AZ-NAS's comparison.
    """
    inputs = inputs or Inputs()
    net = prepare(module, inputs, training=True)
    gradients = gradients_of(loss_of(net, inputs), weights_of(net))
    return finite(sum(float(g.double().norm()) for g in gradients), "grad_norm")


def snip(module: nn.Module, inputs: Inputs | None = None) -> float:
    """Σ |w · ∂L/∂w| over the weights of convolutions and linear layers; larger is better.

    Source: Lee et al., "SNIP", ICLR 2019, as a proxy by Abdelfattah et al., ICLR 2021.
    Deviations: random images and labels instead of data; Kaiming weights.
    """
    inputs = inputs or Inputs()
    net = prepare(module, inputs, training=True)
    weights = weights_of(net)
    gradients = gradients_of(loss_of(net, inputs), weights)
    return finite(_saliency(weights, gradients, Tensor.abs), "snip")


def grasp(module: nn.Module, inputs: Inputs | None = None) -> float:
    """−Σ w · (H g), H and g the loss's Hessian and gradient by the weights; larger is better.

    Source: Wang et al., "GraSP", ICLR 2020, as a proxy by Abdelfattah et al., ICLR 2021.
    Deviations: random images and labels instead of data, one batch for g and H; Kaiming weights.
    """
    inputs = inputs or Inputs()
    net = prepare(module, inputs, training=True)
    weights = weights_of(net)
    with sdpa_kernel(SDPBackend.MATH):  # fused kernels of attention have no second derivative
        loss = loss_of(net, inputs)
    gradients = torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True, materialize_grads=True)
    product = sum(((g.detach() * g).sum() for g in gradients), torch.zeros((), device=inputs.device))
    hessian_gradient = gradients_of(product, weights)
    return finite(-_saliency(weights, hessian_gradient, lambda x: x), "grasp")


def fisher(module: nn.Module, inputs: Inputs | None = None) -> float:
    """Σ over channels of ½ E[(Σ_positions a · ∂L/∂a)²], a a layer's output; larger is better.

    Summed over convolutions and linear layers, each channel counted once for each of its weights.
    Source: Theis et al., 2018, and Turner et al., "BlockSwap", ICLR 2020, as a proxy by Abdelfattah et al., ICLR 2021.
    Deviations: random images and labels instead of data; Kaiming weights.
    """
    inputs = inputs or Inputs()
    net = prepare(module, inputs, training=True)
    outputs: list[tuple[Tensor, nn.Module]] = []

    def keep(layer: nn.Module, _args: object, output: Tensor) -> None:
        outputs.append((output, layer))

    with ExitStack() as hooks:
        for layer in layers_of(net):
            hooks.callback(layer.register_forward_hook(keep).remove)
        loss = loss_of(net, inputs)
    gradients = gradients_of(loss, [output for output, _ in outputs])
    total = 0.0
    for (output, layer), gradient in zip(outputs, gradients, strict=True):
        product = (output.detach() * gradient).double()
        channels = product.flatten(2).sum(2) if isinstance(layer, nn.Conv2d) else _positions_last(product)
        weights_per_channel = layer.weight[0].numel()  # type: ignore[index]
        total += float(channels.square().mean(0).sum()) / 2 * weights_per_channel
    return finite(total, "fisher")


def zico(module: nn.Module, inputs: Inputs | None = None, *, batches: int = 2) -> float:
    """Σ over layers of log Σ over weights of mean |g| / std g, over batches; larger is better.

    Source: Li et al., "ZiCo: Zero-shot NAS via Inverse Coefficient of Variation on Gradients", ICLR 2023,
    with its two batches; weights whose gradient does not vary are left out, as there.
    Deviations: random images and labels instead of data.
    """
    inputs = inputs or Inputs()
    if batches < 2:
        raise ProxyError(f"zico compares gradients between batches: batches must be at least 2, got {batches}")
    net = prepare(module, inputs, training=True)
    weights = weights_of(net)
    samples = [gradients_of(loss_of(net, inputs, batch), weights) for batch in range(batches)]
    total = 0.0
    for gradients in zip(*samples, strict=True):
        stacked = torch.stack(gradients).double()
        spread = stacked.std(0, unbiased=False)
        ratio = float((stacked.abs().mean(0) / spread)[spread > 0].sum())
        total += math.log(ratio) if ratio > 0 else 0.0
    return finite(total, "zico")


def synflow(module: nn.Module, inputs: Inputs | None = None) -> float:
    """Log of Σ |w · ∂R/∂w|, R the sum of the outputs for an image of ones with absolute weights; larger is better.

    Source: Tanaka et al., "SynFlow", NeurIPS 2020, as a proxy by Abdelfattah et al., ICLR 2021; norms are bypassed
    as there. Deviations: the logarithm, which keeps the ranking, and after each block the activations are divided by
    their mean, whose logarithm is added back: exact where the network is homogeneous, and it cannot overflow.
    """
    inputs = inputs or Inputs()
    net = prepare(module, inputs).double()
    weights = weights_of(net)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.abs_()
    scales: list[float] = []

    def rescale(_layer: nn.Module, _args: object, output: Tensor) -> Tensor:
        scale = float(output.detach().abs().mean())
        if not 0 < scale < math.inf:
            return output
        scales.append(math.log(scale))
        return output / scale

    def bypass(_layer: nn.Module, args: tuple[Any, ...], _output: object) -> Tensor:
        bypassed: Tensor = args[0]
        return bypassed

    with ExitStack() as hooks:
        for layer in net.modules():
            if is_norm(layer):
                hooks.callback(layer.register_forward_hook(bypass).remove)
        for block in features_of(net):
            hooks.callback(block.register_forward_hook(rescale).remove)
        output = net(torch.ones(1, *inputs.image, dtype=torch.float64, device=inputs.device))
    total = _saliency(weights, gradients_of(output.sum(), weights), Tensor.abs)
    if total <= 0:
        raise ProxyError(
            "synflow is 0: no path leads from the image to the logits, so its logarithm does not exist; "
            "connect the network"
        )
    return finite(math.log(total) + sum(scales), "synflow")


def jacov(module: nn.Module, inputs: Inputs | None = None) -> float:
    """−Σ (log(v + k) + 1/(v + k)), v the eigenvalues of the correlation of input gradients; larger is better.

    The gradients of the summed logits by each image are correlated between images; k = 1e-5.
    Source: Mellor et al., "Neural Architecture Search without Training", ICML 2021, first version.
    Deviations: random images instead of data; Kaiming weights.
    """
    inputs = inputs or Inputs()
    needs_images(inputs, 2, "jacov")
    net = prepare(module, inputs, training=True)
    images = inputs.images().requires_grad_()
    logits = check_logits(net(images), inputs.batch)
    (gradient,) = gradients_of(logits.sum(), [images])
    rows = gradient.flatten(1).double()
    rows = rows - rows.mean(1, keepdim=True)
    norms = rows.norm(dim=1, keepdim=True)
    if not (norms > 0).all():
        raise ProxyError(
            "jacov needs logits that depend on the image, got a gradient of 0: connect the network, or score it with "
            "another proxy"
        )
    rows = rows / norms
    v = torch.linalg.eigvalsh((rows @ rows.T).cpu()).clamp_min(0) + 1e-5
    return finite(-float((v.log() + 1 / v).sum()), "jacov")


def layers_of(net: nn.Module) -> list[nn.Module]:
    """The convolutions and linear layers with trainable weights."""
    return [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.Linear) and layer.weight.requires_grad]


def weights_of(net: nn.Module) -> list[Tensor]:
    """The trainable weights of convolutions and linear layers.

    Raises:
        ProxyError: there are none.
    """
    weights = [layer.weight for layer in layers_of(net) if isinstance(layer.weight, Tensor)]
    if not weights:
        raise ProxyError(
            f"{type(net).__name__} has no trainable convolution or linear layer: this proxy scores their weights; "
            "use vkdnw, or unfreeze them"
        )
    return weights


def loss_of(net: nn.Module, inputs: Inputs, batch: int = 0) -> Tensor:
    """Cross-entropy of random images and labels; `batch` numbers the draw."""
    logits = check_logits(net(inputs.images(batch)), inputs.batch)
    return F.cross_entropy(logits, inputs.labels(logits.shape[1], batch))


def gradients_of(value: Tensor, by: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Gradients, zeros where the value does not depend on a tensor."""
    if not value.requires_grad:
        return tuple(torch.zeros_like(tensor) for tensor in by)
    return torch.autograd.grad(value, by, allow_unused=True, materialize_grads=True)


def _saliency(weights: Sequence[Tensor], gradients: Sequence[Tensor], of: Callable[[Tensor], Tensor]) -> float:
    """Σ of(w · g) in float64."""
    products = (w.detach().double() * g.double() for w, g in zip(weights, gradients, strict=True))
    return sum(float(of(product).sum()) for product in products)


def _positions_last(product: Tensor) -> Tensor:
    """(N, ..., C) summed to (N, C)."""
    return product.flatten(1, -2).sum(1) if product.dim() > 2 else product
