"""Proxies that look at activations: zen, naswot, az and the linear regions and kernel of te."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from uninas_evo.errors import ProxyError
from uninas_evo.proxies._module import (
    Inputs,
    calibrate,
    check_logits,
    features_of,
    finite,
    last_map,
    needs_images,
    prepare,
    redraw,
)


def zen(module: nn.Module, inputs: Inputs | None = None, *, step: float = 0.01) -> float:
    """Log of E‖f(x) − f(x + 0.01 ε)‖₁ + Σ over batch norms of log √mean(σ²); larger is better.

    f is the last feature map before pooling, σ² a batch norm's variances over the batch x, weights are standard normal.
    Source: Lin et al., "Zen-NAS", ICCV 2021, with its step.
    Deviations: one draw of the weights. The published code reads the running variances, which come near the batch's
    only after its many repeats; after one forward pass they are mostly their initial 1.
    `inputs.reinitialize=False` keeps the module's own weights.
    """
    inputs = inputs or Inputs()
    net = prepare(module, inputs, training=True)
    if inputs.reinitialize:
        redraw(net, inputs.seed, lambda weight, generator: torch.randn(weight.shape, generator=generator))
        if inputs.calibrated_norms:
            calibrate(net, inputs.images("calibration"))
    images = inputs.images()
    with torch.no_grad():
        with _variances(net) as variances:
            before = last_map(net, images)
        after = last_map(net, images + step * inputs.noise("step"))
    change = float((before - after).double().abs().flatten(1).sum(1).mean())
    if change == 0:
        raise ProxyError(
            "zen is log 0: the features do not depend on the image; connect the network, or score it with another proxy"
        )
    return finite(math.log(change) + sum(0.5 * math.log(v) for v in variances if v > 0), "zen")


@contextmanager
def _variances(net: nn.Module) -> Iterator[list[float]]:
    """The mean over channels of the variance over the batch, of what each batch norm is given inside."""
    found: list[float] = []

    def keep(_norm: nn.Module, args: tuple[Any, ...]) -> None:
        values = args[0].detach().double()
        found.append(float(values.transpose(0, 1).flatten(1).var(1, unbiased=False).mean()))

    with ExitStack() as hooks:
        for norm in net.modules():
            if isinstance(norm, nn.modules.batchnorm._BatchNorm):
                hooks.callback(norm.register_forward_pre_hook(keep).remove)
        yield found


def naswot(module: nn.Module, inputs: Inputs | None = None) -> float:
    """Log of |det K|, K counting the units that agree in sign between two images; larger is better.

    Source: Mellor et al., "Neural Architecture Search without Training", ICML 2021.
    Deviations: random images instead of data; the sign code is read at every ReLU, GELU, SiLU and their kin,
    whether a module or a function calls them.
    """
    inputs = inputs or Inputs()
    needs_images(inputs, 2, "naswot")
    net = prepare(module, inputs, training=True)
    kernel = torch.zeros(inputs.batch, inputs.batch, dtype=torch.float64, device=inputs.device)
    for code in sign_codes(net, inputs.images(), "naswot"):
        kernel += (code @ code.T + (1 - code) @ (1 - code.T)).double()
    sign, logdet = torch.linalg.slogdet(kernel.cpu())
    if sign == 0:
        raise ProxyError(
            "naswot is log 0: two images have the same activation pattern; the network is constant, or has too few "
            "activations for the batch: use a smaller batch or another proxy"
        )
    return finite(float(logdet), "naswot")


def te_regions(module: nn.Module, inputs: Inputs | None = None) -> float:
    """Linear regions passed on the way from one image to another in N points, at initialization; larger is better.

    Each unit that changes its sign between neighboring points is a border that is crossed.
    Source: Chen et al., "Neural Architecture Search on ImageNet in Four GPU Hours" (TE-NAS), ICLR 2021; counted along
    a line as by Hanin & Rolnick, "Complexity of Linear Regions in Deep Networks", ICML 2019. TE-NAS counts the
    distinct patterns of 3,000 tiny images in a stand-in with one channel; in a network of full width each image has a
    pattern of its own, so that such a count says nothing. See `naswot` for which activations are read.
    """
    inputs = inputs or Inputs()
    needs_images(inputs, 2, "te_regions")
    images = inputs.images()
    way = torch.linspace(0, 1, inputs.batch, device=images.device)[:, None, None, None]
    codes = sign_codes(prepare(module, inputs), torch.lerp(images[:1], images[-1:], way), "te_regions")
    return 1 + sum(float((code[1:] != code[:-1]).sum()) for code in codes)


def te_ntk(module: nn.Module, inputs: Inputs | None = None) -> float:
    """Condition number λ_max / λ_min of the neural tangent kernel of the summed logits; smaller is better.

    Source: Chen et al. (TE-NAS), ICLR 2021. Deviations: random images instead of data; a singular kernel gives 1e5,
    as there an undefined one does. It costs N backward passes.
    """
    inputs = inputs or Inputs()
    needs_images(inputs, 2, "te_ntk")
    net = prepare(module, inputs, training=True)
    weights = [p for name, p in net.named_parameters() if p.requires_grad and "weight" in name]
    outputs = check_logits(net(inputs.images()), inputs.batch).sum(1)
    if not outputs.requires_grad:
        return _SINGULAR
    rows = [
        torch.cat([g.flatten() for g in torch.autograd.grad(o, weights, retain_graph=True, materialize_grads=True)])
        for o in outputs
    ]
    jacobian = torch.stack(rows).double()
    v = torch.linalg.eigvalsh((jacobian @ jacobian.T).cpu())
    return finite(float(v[-1] / v[0]), "te_ntk") if v[0] > 0 else _SINGULAR


_SINGULAR = 1e5


class AzScores(NamedTuple):
    """The parts of AZ-NAS that need a forward and a backward pass; complexity is `flops`."""

    expressivity: float
    progressivity: float
    trainability: float


def az(module: nn.Module, inputs: Inputs | None = None) -> AzScores:
    """Expressivity, progressivity and trainability, each larger is better; rank-aggregate them with `flops`.

    Expressivity sums over blocks the entropy of the eigenvalues of the features' covariance; progressivity is the
    smallest increase from block to block; trainability is the mean of 2 − s − 1/s, s the largest singular value of
    a block's gradient map, found with random signs.
    Source: Lee & Ham, "AZ-NAS", CVPR 2024. Deviations: a block whose gradient is the identity or 0 gets −1e6 instead
    of −∞, so that the parts stay finite; blocks are found in the module's containers.
    """
    inputs = inputs or Inputs()
    net = prepare(module, inputs, training=True)
    maps: list[Tensor] = []

    def keep(_layer: nn.Module, _args: object, output: Any) -> Any:
        if not isinstance(output, Tensor) or output.dim() not in (3, 4):
            return output
        maps.append(output)
        return output

    with ExitStack() as hooks:
        for block in features_of(net):
            hooks.callback(block.register_forward_hook(keep).remove)
        check_logits(net(inputs.images().requires_grad_()), inputs.batch)
    if len(maps) < 2:
        raise ProxyError(
            f"az compares the features of successive blocks: at least two are needed, found {len(maps)}; put the "
            "blocks into an nn.Sequential or nn.ModuleList"
        )
    entropies = [_channel_entropy(features.detach()) for features in maps]
    steps = [after - before for before, after in itertools.pairwise(entropies)]
    generator = inputs.generator("signs")
    gains = [_gain(a, b, generator) for a, b in itertools.pairwise(maps)]
    parts = (sum(entropies), min(steps), sum(gains) / len(gains))
    return AzScores(*(finite(part, "az") for part in parts))


def _channels_last(features: Tensor) -> Tensor:
    """(N, C, H, W) or (N, positions, C) as (N · positions, C)."""
    return (features.movedim(1, -1) if features.dim() == 4 else features).flatten(0, -2)


def _channel_entropy(features: Tensor) -> float:
    """Entropy of the normalized eigenvalues of the channels' covariance; 0 for constant features."""
    rows = _channels_last(features).double()
    rows = rows - rows.mean(0)
    v = torch.linalg.eigvalsh((rows.T @ rows / len(rows)).cpu()).clamp_min(0)
    p = v / v.sum().clamp_min(1e-300)
    return -float((p * (p + 1e-8).log()).sum())


def _gain(before: Tensor, after: Tensor, generator: torch.Generator) -> float:
    """2 − s − 1/s of the linear map that turns a gradient after a block into the one before it."""
    signs = (torch.randint(2, after.shape, generator=generator) * 2 - 1).to(after)
    if not after.requires_grad:
        return _NO_GRADIENT
    (gradient,) = torch.autograd.grad(after, before, signs, retain_graph=True, materialize_grads=True)
    if gradient.shape == signs.shape and torch.equal(gradient, signs):
        return _NO_GRADIENT
    if gradient.dim() == 4 and gradient.shape[2:] != signs.shape[2:]:
        gradient = F.pixel_unshuffle(gradient, gradient.shape[2] // signs.shape[2])
    inner, outer = _channels_last(gradient), _channels_last(signs)
    s = float(torch.linalg.matrix_norm((inner.T @ outer / len(outer)).double().cpu(), 2))
    return 2 - s - 1 / (s + 1e-6)


_NO_GRADIENT = -1e6  # just below 2 − 1/1e-6, what a vanishing gradient gets


_SPLITTING = {
    getattr(home, name + end)
    for home in (F, torch, Tensor)
    for name in (
        "relu",
        "relu6",
        "leaky_relu",
        "prelu",
        "rrelu",
        "elu",
        "celu",
        "selu",
        "gelu",
        "silu",
        "mish",
        "hardswish",
    )
    for end in ("", "_")
    if hasattr(home, name + end)
}
"""The functions that split their input at 0, in every spelling; torch's modules call these too."""
_CLAMPS = {torch.clamp, torch.clamp_, torch.clamp_min, torch.clamp_min_, torch.clip, torch.clip_} | {
    Tensor.clamp, Tensor.clamp_, Tensor.clamp_min, Tensor.clamp_min_, Tensor.clip, Tensor.clip_
}  # fmt: skip
"""These are a ReLU where their least value is 0."""


See = Callable[[Tensor, Callable[[], Tensor]], Tensor]
"""Is given an activation's input and what runs it, and returns the output."""


class _Activations(TorchFunctionMode):
    """Shows every activation to `see`, in the order of the calls, whether a module or a function calls it."""

    def __init__(self, see: See) -> None:
        self.see = see

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        least = kwargs.get("min", args[1] if len(args) > 1 else None)
        if func in _SPLITTING or (func in _CLAMPS and isinstance(least, int | float) and least == 0):
            return self.see(args[0] if args else kwargs["input"], lambda: func(*args, **kwargs))
        return func(*args, **kwargs)


def watch(net: nn.Module, images: Tensor, proxy: str, see: See) -> None:
    """Runs a network on images (N, C, H, W) without gradients; `see` is shown every activation that splits at 0.

    Raises:
        ProxyError: the module has none.
    """
    met = []

    def counted(values: Tensor, run: Callable[[], Tensor]) -> Tensor:
        met.append(len(values) == len(images))
        return see(values, run) if met[-1] else run()

    with torch.no_grad(), _Activations(counted):
        check_logits(net(images), len(images))
    if not any(met):
        raise ProxyError(
            f"{proxy} reads activations that split at 0 (ReLU, GELU, SiLU and their kin), and "
            f"{type(net).__name__} calls none: use one of them, or another proxy"
        )


def sign_codes(net: nn.Module, images: Tensor, proxy: str) -> list[Tensor]:
    """For each activation its units' signs (N, U) as 0 and 1, the same however the network is written.

    Raises:
        ProxyError: the module has no activation that splits at 0.
    """
    codes: list[Tensor] = []

    def see(values: Tensor, run: Callable[[], Tensor]) -> Tensor:
        codes.append((values.detach().flatten(1) > 0).float())
        return run()

    watch(net, images, proxy, see)
    return codes
