"""Taps: exact per-sample derivatives for chosen parameter entries, at the price of activation gradients.

A tap knows how one entry of a parameter moves its layer's output. The entry (o, i, u, v) of a convolution's weight
adds the input channel i, shifted by (u, v), to the output channel o; the weight of a norm adds the normalized channel;
a bias adds one. The derivative of u·logits by the entry is the inner product of that tangent and the gradient of
u·logits by the layer's output, so one backward pass over activations serves all entries, layers and samples at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from uninas_evo.errors import ProxyError

Pull = Callable[[Tensor], Tensor]
"""Takes the gradient with respect to a layer's output, returns (N, E): the derivative for each chosen entry."""
Tap = Callable[[Any, Tensor, str, Tensor], Pull]
"""Takes a layer, its input, the parameter's name in the layer and flat indices (E,), and returns the pull."""

TAPS: dict[type[nn.Module], Tap] = {}
"""The taps by layer type; a layer of your own has one as its method `tap(inputs, name, index)`, or by `@tap(Layer)`."""


def tap(*layers: type[nn.Module]) -> Callable[[Tap], Tap]:
    """Registers a tap for layer types, and for subclasses that give the same output."""

    def register(function: Tap) -> Tap:
        TAPS.update(dict.fromkeys(layers, function))
        return function

    return register


@dataclass(frozen=True, slots=True)
class Entries:
    """The chosen entries of one parameter.

    Attributes:
        name: the parameter's name in the module.
        parameter: the parameter.
        index: flat indices (E,) into it.
    """

    name: str
    parameter: nn.Parameter
    index: Tensor


def choose_entries(module: nn.Module, count: int) -> list[Entries]:
    """`count` entries of every trainable parameter, evenly spaced over the flat tensor; 1 takes the first.

    Smaller tensors repeat theirs. Even spacing is the authors' choice, and makes the first entry the published one.
    """
    return [
        Entries(name, p, torch.linspace(0, p.numel() - 1, count, dtype=torch.float64).long().to(p.device))
        for name, p in module.named_parameters()
        if p.requires_grad
    ]


class TappedForward:
    """One forward pass of a module whose chosen entries are tapped; `rows` then asks for derivatives.

    Args:
        module: a copy of a module in eval mode, whose samples do not influence one another.
        images: (N, C, H, W).
        entries: what to differentiate by.

    Raises:
        ProxyError: an entry's layer has no tap, was not called, or mixes the samples of the batch.
    """

    logits: Tensor
    """The module's output (N, K)."""

    def __init__(self, module: nn.Module, images: Tensor, entries: Sequence[Entries]) -> None:
        self._columns = {id(chosen.parameter): column for column, chosen in enumerate(entries)}
        self._entries = entries
        self._shape = (len(images), len(entries), len(entries[0].index))
        self._root = torch.zeros((), device=images.device, dtype=images.dtype, requires_grad=True)
        # The rows of the running backward pass. A list, so that hooks hold it and not self: the graph holds the
        # hooks, and a cycle through it would never be freed.
        self._into: list[Tensor] = []
        self._met: set[int] = set()
        bare = _bare_parameters(module, entries)
        _unfuse(module)
        with torch.enable_grad(), _frozen(module), ExitStack() as hooks:
            for layer in module.modules():
                tapped = [n for n, p in layer._parameters.items() if p is not None and id(p) in self._columns]
                if _find_tap(layer) is not None and tapped:
                    hooks.callback(layer.register_forward_hook(self._hook(tapped)).remove)
            copies = {e.name: self._copy(e) for e in entries if e.name in bare}
            self.logits = functional_call(module, copies, (images,)) if copies else module(images)
        self._check_all_met()
        if copies:
            self._check_copies(module, images)

    def rows(self, cotangent: Tensor) -> Tensor:
        """The derivatives (N, T, E) of Σ_k cotangent[n, k] · logits[n, k] by each entry, for each sample n.

        T counts parameters, E entries of each; entries that the logits do not depend on have derivative 0.
        """
        self._into[:] = [self.logits.new_zeros(self._shape)]
        if self.logits.requires_grad:
            torch.autograd.grad(self.logits, self._root, cotangent, retain_graph=True, allow_unused=True)
        return self._into[0]

    def _hook(self, names: Sequence[str]) -> Callable[[nn.Module, tuple[Any, ...], Any], Tensor]:
        def hook(layer: nn.Module, args: tuple[Any, ...], output: Any) -> Tensor:
            if len(args) != 1 or not isinstance(args[0], Tensor) or not isinstance(output, Tensor):
                raise ProxyError(
                    f"{type(layer).__name__} was called with other arguments than one tensor: its tap cannot "
                    'follow that; score with mode="definition"'
                )
            find, images = _find_tap(layer), args[0].detach()
            assert find is not None
            _check_subclass(layer, images, output)
            pulls = []
            for name in names:
                column = self._columns[id(layer._parameters[name])]
                pulls.append((column, find(layer, images, name, self._entries[column].index)))
                self._met.add(column)
            return self._watch(output, pulls)

        return hook

    def _watch(self, output: Tensor, pulls: Sequence[tuple[int, Pull]]) -> Tensor:
        """The output, tied to the root of the graph, with the pulls run on its gradient."""
        if not output.requires_grad:
            output = output + self._root

        into = self._into

        def collect(gradient: Tensor) -> None:
            for column, pull in pulls:
                into[0][:, column] += pull(gradient)

        output.register_hook(collect)  # type: ignore[no-untyped-call]
        return output

    def _copy(self, chosen: Entries) -> Tensor:
        """A copy of a bare parameter (1, ...) for each sample, (N, ...), so that its gradient is per sample."""
        copies = chosen.parameter.detach().expand(self._shape[0], *chosen.parameter.shape[1:])
        column = self._columns[id(chosen.parameter)]
        self._met.add(column)
        return self._watch(copies, [(column, lambda gradient: gradient.flatten(1)[:, chosen.index])])

    def _check_all_met(self) -> None:
        for column, chosen in enumerate(self._entries):
            if column not in self._met:
                raise ProxyError(
                    f"the layer of parameter {chosen.name!r} was not called in the forward pass, so its tap saw "
                    "nothing: freeze the parameter with requires_grad_(False) if the network does not use it, or "
                    'score with mode="definition"'
                )

    def _check_copies(self, module: nn.Module, images: Tensor) -> None:
        """A parameter that is copied for each sample must be broadcast over the batch: tried on one sample."""
        with torch.no_grad():
            same = torch.allclose(self.logits, module(images), rtol=1e-3, atol=1e-4)
        only_first = torch.zeros_like(self.logits)
        only_first[0] = 1
        if not same or self.rows(only_first)[1:].any():
            raise ProxyError(
                "a parameter of a layer without a tap is not broadcast over the batch, so it cannot be copied for "
                'each sample: register a tap for its layer (uninas_evo.proxies.tap) or score with mode="definition"'
            )


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """No parameter asks for a gradient inside: only activations do."""
    trainable = [p for p in module.parameters() if p.requires_grad]
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)


def _unfuse(module: nn.Module) -> None:
    """Makes layers with a fused kernel call the layers inside them, so that hooks see these."""
    for layer in module.modules():
        if callable(getattr(layer, "unfuse", None)):
            layer.unfuse()  # type: ignore[operator]


def _find_tap(layer: nn.Module) -> Tap | None:
    own = getattr(type(layer), "tap", None)
    return own or next((TAPS[kind] for kind in type(layer).__mro__ if kind in TAPS), None)


def _bare_parameters(module: nn.Module, entries: Sequence[Entries]) -> set[str]:
    """The names of parameters that are copied for each sample: class tokens, position embeddings.

    Raises:
        ProxyError: a parameter's layer has no tap, and the parameter does not have the shape (1, A, B, ...).
    """
    names = {id(chosen.parameter): chosen.name for chosen in entries}
    bare = set()
    for layer in module.modules():
        if _find_tap(layer) is not None:
            continue
        for parameter in layer._parameters.values():
            if parameter is None or id(parameter) not in names:
                continue
            name = names[id(parameter)]
            if parameter.dim() < 3 or len(parameter) != 1:
                raise ProxyError(
                    f"{type(layer).__name__} has no tap, so parameter {name!r} of shape {tuple(parameter.shape)} "
                    "would be skipped: every trainable parameter must be scored; register a tap "
                    '(uninas_evo.proxies.tap), freeze the parameter, or score with mode="definition"'
                )
            bare.add(name)
    return bare


def _check_subclass(layer: nn.Module, images: Tensor, output: Tensor) -> None:
    """A subclass with a `forward` of its own (a norm fused with its activation) must do what its base does."""
    base: Any = next(kind for kind in type(layer).__mro__ if kind in TAPS or "tap" in vars(kind))
    if type(layer).forward is base.forward:
        return
    with torch.no_grad():
        expected = base.forward(layer, images)
    if expected.shape != output.shape or not torch.allclose(expected, output, rtol=1e-3, atol=1e-5):
        raise ProxyError(
            f"{type(layer).__name__} computes something else than its base {base.__name__}, whose tap it would "
            f'take: register a tap for it (uninas_evo.proxies.tap) or score with mode="definition"'
        )


def _sum(product: Tensor) -> Tensor:
    """(N, E, ...) summed to (N, E)."""
    return product.flatten(2).sum(2) if product.dim() > 2 else product


@tap(nn.Conv2d)
def _conv2d(layer: nn.Conv2d, images: Tensor, name: str, index: Tensor) -> Pull:
    if name == "bias":
        return lambda gradient: _sum(gradient[:, index])
    out, source, u, v = torch.unravel_index(index, layer.weight.shape)
    groups_out, groups_in = layer.out_channels // layer.groups, layer.in_channels // layer.groups
    source = out // groups_out * groups_in + source
    padded = _pad(layer, images)
    height, width = (
        (size - dilation * (kernel - 1) - 1) // stride + 1
        for size, dilation, kernel, stride in zip(
            padded.shape[2:], layer.dilation, layer.kernel_size, layer.stride, strict=True
        )
    )
    rows = (u * layer.dilation[0])[:, None] + torch.arange(height, device=index.device) * layer.stride[0]
    columns = (v * layer.dilation[1])[:, None] + torch.arange(width, device=index.device) * layer.stride[1]
    tangent = padded[:, source[:, None, None], rows[:, :, None], columns[:, None, :]]  # (N, E, H, W)
    return lambda gradient: _sum(gradient[:, out] * tangent)


def _pad(layer: nn.Conv2d, images: Tensor) -> Tensor:
    if layer.padding == "valid":
        return images
    if layer.padding == "same":
        totals = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        (top, left), (bottom, right) = (
            [total // 2 for total in totals],
            [total - total // 2 for total in totals],
        )
    else:
        top, left = (int(side) for side in layer.padding)
        bottom, right = top, left
    if not any((left, right, top, bottom)):
        return images
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    return F.pad(images, (left, right, top, bottom), mode=mode)


@tap(nn.Linear)
def _linear(layer: nn.Linear, inputs: Tensor, name: str, index: Tensor) -> Pull:
    if name == "bias":
        return lambda gradient: _sum(gradient[..., index].movedim(-1, 1))
    out, source = torch.unravel_index(index, layer.weight.shape)
    tangent = inputs[..., source]
    return lambda gradient: _sum((gradient[..., out] * tangent).movedim(-1, 1))


def affine_pull(normalized: Tensor, name: str, index: Tensor) -> Pull:
    """The pull of `weight` or `bias` in y = normalized · weight + bias, channels in dimension 1."""
    if name == "bias":
        return lambda gradient: _sum(gradient[:, index])
    tangent = normalized[:, index]
    return lambda gradient: _sum(gradient[:, index] * tangent)


@tap(nn.BatchNorm2d)
def _batch_norm(layer: nn.BatchNorm2d, images: Tensor, name: str, index: Tensor) -> Pull:
    normalized = F.batch_norm(images, layer.running_mean, layer.running_var, eps=layer.eps)
    return affine_pull(normalized, name, index)


@tap(nn.GroupNorm)
def _group_norm(layer: nn.GroupNorm, images: Tensor, name: str, index: Tensor) -> Pull:
    return affine_pull(F.group_norm(images, layer.num_groups, eps=layer.eps), name, index)


@tap(nn.LayerNorm)
def _layer_norm(layer: nn.LayerNorm, inputs: Tensor, name: str, index: Tensor) -> Pull:
    shape = tuple(layer.normalized_shape)
    positions = inputs.dim() - len(shape)
    pull = affine_pull(F.layer_norm(inputs, shape, eps=layer.eps).flatten(positions).movedim(-1, 1), name, index)
    return lambda gradient: pull(gradient.flatten(positions).movedim(-1, 1))
