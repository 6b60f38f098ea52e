"""What every proxy shares: a private copy of the module, seeded weights and inputs, checked logits."""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from uninas_evo.errors import ProxyError
from uninas_evo.proxies.scorable import Scorable

NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Labeled images of data, which batches are drawn from in the place of noise.

    Attributes:
        images: normalized as for training, (M, C, H, W).
        labels: (M,), classes counted from 0.
    """

    images: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a module is scored on. Equal inputs must be used for all modules that are compared.

    Attributes:
        batch: N, images a batch (64: what the papers of VKDNW and AZ-NAS score with).
        image: the shape (C, H, W) of one image; its pixels are standard normal.
        seed: keys the images, the labels and the weights.
        device: where the copy of the module is scored.
        reinitialize: draw new weights keyed by `seed`; False scores the weights that the module has.
        calibrated_norms: set the statistics of batch norms to those of a batch of its own first, and leave them so.
        pictures: real images and labels in the place of normal pixels and uniform labels.
    """

    batch: int = 64
    image: tuple[int, int, int] = (3, 32, 32)
    seed: int = 0
    device: str = "cpu"
    reinitialize: bool = True
    calibrated_norms: bool = False
    pictures: Pictures | None = None

    def generator(self, *key: object) -> torch.Generator:
        """A CPU generator that depends on the seed and the key alone."""
        return keyed_generator(self.seed, *key)

    def images(self, *key: object) -> Tensor:
        """Images (N, C, H, W) on the device, the same numbers on every device: standard normal, or pictures."""
        if self.pictures is None:
            return self.noise(*key)
        drawn = self.pictures.images[self._picked(self.pictures, key)]
        return drawn.to(self.device, memory_format=torch.channels_last)

    def noise(self, *key: object) -> Tensor:
        """Standard normal pixels (N, C, H, W) on the device, the same numbers on every device."""
        drawn = torch.randn(self.batch, *self.image, generator=self.generator("images", *key))
        return drawn.to(self.device, memory_format=torch.channels_last)

    def labels(self, classes: int, *key: object) -> Tensor:
        """Labels (N,) on the device: uniform, or those of the pictures of the same key.

        Raises:
            ProxyError: the pictures have more classes than the network.
        """
        if self.pictures is None:
            drawn = torch.randint(classes, (self.batch,), generator=self.generator("labels", *key))
        else:
            drawn = self.pictures.labels[self._picked(self.pictures, key)]
            if int(self.pictures.labels.max()) >= classes:
                raise ProxyError(
                    f"the images have {int(self.pictures.labels.max()) + 1} classes and the network tells {classes} "
                    "apart: a loss needs as many; build it for the classes of the images"
                )
        return drawn.to(self.device)

    def _picked(self, pictures: Pictures, key: tuple[object, ...]) -> Tensor:
        """Which pictures the batch of a key has, (N,)."""
        if len(pictures.labels) < self.batch:
            raise ProxyError(
                f"a batch of {self.batch} images needs as many to draw from, got {len(pictures.labels)}; lower batch"
            )
        return torch.randperm(len(pictures.labels), generator=self.generator("images", *key))[: self.batch]


def keyed_generator(*key: object) -> torch.Generator:
    """A CPU generator seeded by a stable hash of the key."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def prepare(module: nn.Module, inputs: Inputs, *, training: bool = False) -> nn.Module:
    """A copy of the module to score, on the device, so that the module itself is never touched.

    Args:
        module: what is to be scored; parameters without `requires_grad` stay frozen.
        inputs: seed and device.
        training: batch norms use the statistics of their batch, unless they are calibrated; dropout and drop path
            stay off in any case.

    Raises:
        ProxyError: the module cannot be copied, or has no trainable parameter.
    """
    genome = getattr(module, "genome", None)
    try:
        net = copy.deepcopy(module, {id(genome): genome})  # immutable, and slower to copy than the weights
    except RuntimeError as error:
        raise ProxyError(
            f"{type(module).__name__} cannot be copied, and a proxy scores a copy: {error}; "
            "detach the tensors that the module keeps as attributes"
        ) from error
    try:
        net.to(inputs.device)
    except (RuntimeError, AssertionError) as error:  # what torch raises for devices that are not there
        reason = str(error).splitlines()[0]
        raise ProxyError(f"nothing can be scored on {inputs.device!r} ({reason}); use cpu, cuda or cuda:1") from None
    net.to(memory_format=torch.channels_last).eval()  # 1.4 times faster on a CPU
    if not any(parameter.requires_grad for parameter in net.parameters()):
        raise ProxyError(
            f"{type(module).__name__} has no trainable parameter: a proxy needs at least one; "
            "set requires_grad on those that are to be scored"
        )
    if inputs.reinitialize:
        initialize(net, inputs.seed)
    if inputs.calibrated_norms:
        calibrate(net, inputs.images("calibration"))
    elif training:
        for norm in batch_norms(net):
            norm.train()
    return net


def batch_norms(net: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """All batch norms of a module."""
    return [layer for layer in net.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]


def calibrate(net: nn.Module, images: Tensor) -> None:
    """Sets the statistics of every batch norm to those of one batch (N, C, H, W), in place."""
    norms = batch_norms(net)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    with torch.no_grad():
        net(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval()
        norm.momentum = momentum


def initialize(net: nn.Module, seed: int) -> None:
    """Draws a module's weights anew, in place, keyed by the seed and each parameter's name.

    A `Scorable` network knows how, and may have `initialize_for_scoring(seed)` where training begins elsewhere. In any
    other module convolutions and linear layers get Kaiming normal weights (fan in, ReLU: what the proxies' papers use)
    and zero biases, norms become the identity with fresh statistics, and parameters of other layers keep their values.
    """
    if callable(getattr(net, "initialize_for_scoring", None)):
        net.initialize_for_scoring(seed)  # type: ignore[operator]
        return
    if isinstance(net, Scorable):
        net.reinitialize(seed)
        return

    def kaiming(weight: Tensor, generator: torch.Generator) -> Tensor:
        return torch.randn(weight.shape, generator=generator) * math.sqrt(2 / weight[0].numel())

    redraw(net, seed, kaiming)


def redraw(net: nn.Module, seed: int, draw: Callable[[Tensor, torch.Generator], Tensor]) -> None:
    """Sets the weights of convolutions and linear layers to `draw(weight, generator)` and resets the norms."""
    with torch.no_grad():
        for name, layer in net.named_modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.weight.copy_(draw(layer.weight, keyed_generator(seed, name)))
                if layer.bias is not None:
                    layer.bias.zero_()
            elif isinstance(layer, NORMS):
                if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                    layer.reset_running_stats()
                if layer.weight is not None:
                    layer.weight.fill_(1)
                if layer.bias is not None:
                    layer.bias.zero_()


def check_logits(logits: object, images: int) -> Tensor:
    """The logits (N, K) of a classifier, checked.

    Raises:
        ProxyError: the output is not a tensor (N, K) with K of at least 2, or holds NaN or infinity.
    """
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != images or logits.shape[1] < 2:
        raise ProxyError(
            f"a proxy scores classifiers: the output must be logits of shape (N, K) with N={images} and K of at "
            f"least 2, got {shape}; give the module a head with two or more classes"
        )
    if not torch.isfinite(logits).all():
        raise ProxyError(
            "the module's logits hold NaN or infinity at initialization: a score must be finite; "
            "normalize the branch whose activations explode"
        )
    return logits


def finite(value: float, proxy: str) -> float:
    """The value, if it is a number.

    Raises:
        ProxyError: the value is NaN or infinite.
    """
    if not math.isfinite(value):
        raise ProxyError(
            f"{proxy} gave {value}: a score must be finite; the network is disconnected, or its "
            "activations or gradients overflow: score it with another proxy, or another seed"
        )
    return value


def needs_images(inputs: Inputs, least: int, proxy: str) -> None:
    """Refuses a batch that a proxy knows nothing of.

    Raises:
        ProxyError: there are fewer images than it compares.
    """
    if inputs.batch < least:
        raise ProxyError(
            f"{proxy} compares images with one another: it needs at least {least} in a batch, got {inputs.batch}; "
            "raise batch"
        )


def is_norm(layer: nn.Module) -> bool:
    """Whether a layer normalizes its input."""
    return isinstance(layer, NORMS) or getattr(layer, "normalizes", False) is True


def features_of(net: nn.Module) -> list[nn.Module]:
    """The blocks that a network's features pass one after the other: the items of its containers.

    Containers (nn.Sequential, nn.ModuleList) of compound modules are opened; a container of single layers is a
    block if it holds a convolution or linear layer (a stem), and any other module with children is a block.
    """
    blocks: list[nn.Module] = []
    for child in net.children():
        if not any(True for _ in child.children()):
            continue
        if not isinstance(child, nn.Sequential | nn.ModuleList):
            blocks.append(child)
        elif any(any(True for _ in item.children()) for item in child):
            blocks += features_of(child)
        elif any(isinstance(item, nn.Conv2d | nn.Linear) for item in child):
            blocks.append(child)
    return blocks


def last_map(net: nn.Module, images: Tensor) -> Tensor:
    """The features before pooling: the input of the first pooling to one value a channel, or of the head.

    Taken from `forward_features` where the module has it, as UniNAS networks and timm's models do; else the input of
    the last linear layer.
    """
    if callable(getattr(net, "forward_features", None)):
        features = net.forward_features(images)  # type: ignore[operator]
        last: Tensor = features[-1] if isinstance(features, list | tuple) else features
        return last
    kept: list[Tensor] = []
    linear = [layer for layer in net.modules() if isinstance(layer, nn.Linear)]
    if not linear:
        raise ProxyError(
            f"{type(net).__name__} has neither forward_features nor a linear head: zen reads the features before it; "
            "give the module a method forward_features(images)"
        )
    handle = linear[-1].register_forward_pre_hook(lambda _layer, args: kept.append(args[0]))
    net(images)
    handle.remove()
    return kept[-1]


def count_layers(module: nn.Module) -> int:
    """Convolutions and linear layers with trainable weights."""
    kinds = (nn.modules.conv._ConvNd, nn.Linear)
    return sum(isinstance(layer, kinds) and layer.weight.requires_grad for layer in module.modules())
