"""The networks of the macro space."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, scaled_dot_product_attention

from uninas_evo.spaces.stages.plan import HEADS, STEMS, Layer, Plan

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "conv": nn.ReLU,
    "bottleneck": nn.ReLU,
    "inverted": nn.ReLU6,
    "transformer": nn.GELU,
}


class StagesNetwork(nn.Module):
    """Stem, layers, head, mean, classifier; images of another size than the plan's are resized."""

    def __init__(self, plan: Plan, channels: int, classes: int) -> None:
        super().__init__()
        self.image = plan.image
        self.stem = _stem(plan, channels)
        self.layers = nn.ModuleList(_layer(one) for one in plan.layers)
        self.head = _head(plan)
        self.classifier = nn.Linear(plan.last, classes)

    def forward_features(self, x: Tensor) -> list[Tensor]:
        """The (N, C, H, W) maps at the end of each size of images (N, C, H, W)."""
        x = self.stem(self._resized(x))
        maps: list[Tensor] = []
        for layer in self.layers:
            y = layer(x)
            if y.shape[2:] != x.shape[2:]:
                maps.append(x)
            x = y
        return [*maps, x]

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, K) of images (N, C, H, W)."""
        x = self.stem(self._resized(x))
        for layer in self.layers:
            x = layer(x)
        return torch.as_tensor(self.classifier(self.head(x).mean(dim=(2, 3))))

    def _resized(self, x: Tensor) -> Tensor:
        size = (self.image, self.image)
        return x if x.shape[2:] == size else interpolate(x, size, mode="bilinear", antialias=True)


class ChannelNorm(nn.Module):
    """A layer norm over the channels of each pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return torch.as_tensor(self.norm(x.movedim(1, -1)).movedim(-1, 1))


class Patches(nn.Module):
    """Non-overlapping patches with learned positions."""

    def __init__(self, channels: int, width: int, patch: int, side: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(channels, width, patch, patch)
        self.positions = nn.Parameter(torch.zeros(width, side, side))
        nn.init.trunc_normal_(self.positions, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, width, H / patch, W / patch)."""
        return torch.as_tensor(self.embed(x) + self.positions)


class Squeeze(nn.Module):
    """Scales each channel by a function of all channels' means."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        means = x.mean(dim=(2, 3), keepdim=True)
        return x * torch.sigmoid(self.expand(torch.relu(self.reduce(means))))


class ConvolutionLayer(nn.Module):
    """A plain, bottleneck or inverted layer, with what its shortcut adds; an inverted one ends linearly."""

    def __init__(self, one: Layer) -> None:
        super().__init__()
        self.chain = nn.Sequential(*_chain(one))
        self.shortcut = _shortcut(one)
        self.last = nn.Identity() if one.kind == "inverted" else nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        y = self.chain(x)
        return torch.as_tensor(self.last(y if self.shortcut is None else y + self.shortcut(x)))


class Transformer(nn.Module):
    """An embedding where shapes differ, then attention and a perceptron, each behind a norm and added."""

    def __init__(self, one: Layer) -> None:
        super().__init__()
        width, self.heads = one.outputs, one.heads
        kernel = 3 if one.stride == 2 else 1
        self.enter = (
            nn.Identity() if one.keeps_shape else nn.Sequential(*_normed(one.inputs, width, kernel, one.stride))
        )
        self.before_attention, self.before_perceptron = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries_keys_values, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        hidden = one.expansion * width
        self.perceptron = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        x = self.enter(x)
        images, width, height, breadth = x.shape
        tokens = x.flatten(2).transpose(1, 2)
        three = self.queries_keys_values(self.before_attention(tokens))
        three = three.view(images, -1, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        attended = scaled_dot_product_attention(*three.unbind()).transpose(1, 2).reshape(tokens.shape)
        tokens = tokens + self.project(attended)
        tokens = tokens + self.perceptron(self.before_perceptron(tokens))
        return torch.as_tensor(tokens.transpose(1, 2).reshape(images, width, height, breadth))


def _layer(one: Layer) -> nn.Module:
    return Transformer(one) if one.kind == "transformer" else ConvolutionLayer(one)


def _stem(plan: Plan, channels: int) -> nn.Module:
    width, activation = plan.stem_width, _ACTIVATIONS[plan.layers[0].kind]
    if plan.stem.startswith("patch"):
        return Patches(channels, width, STEMS[plan.stem], plan.side)
    if plan.stem == "conv7_pool":
        return nn.Sequential(*_normed(channels, width, 7, 2), activation(), nn.MaxPool2d(3, 2, padding=1))
    return nn.Sequential(*_normed(channels, width, 3, STEMS[plan.stem]), activation())


def _head(plan: Plan) -> nn.Module:
    last = plan.layers[-1]
    if plan.head == "norm":
        return ChannelNorm(last.outputs)
    if HEADS[plan.head]:
        return nn.Sequential(*_normed(last.outputs, HEADS[plan.head], 1), _ACTIVATIONS[last.kind]())
    return nn.Identity()


def _chain(one: Layer) -> list[nn.Module]:
    inner, activation = one.inner, _ACTIVATIONS[one.kind]
    squeeze = [Squeeze(inner if one.kind == "inverted" else one.outputs, one.squeezed)] if one.squeezed else []
    spatial = one.kernel, one.stride
    match one.kind:
        case "conv":
            first = [*_normed(one.inputs, inner, *spatial), activation()]
            return [*first, *_normed(inner, one.outputs, one.kernel), *squeeze]
        case "bottleneck":
            first = [*_normed(one.inputs, inner, 1), activation(), *_normed(inner, inner, *spatial), activation()]
            return [*first, *_normed(inner, one.outputs, 1), *squeeze]
        case _:
            first = [*_normed(one.inputs, inner, 1), activation()] if one.expansion > 1 else []
            depthwise = [*_normed(inner, inner, *spatial, groups=inner), activation()]
            return [*first, *depthwise, *squeeze, *_normed(inner, one.outputs, 1)]


def _shortcut(one: Layer) -> nn.Module | None:
    if one.keeps_shape:
        return nn.Identity()
    if one.shortcut == "identity":
        return None
    if one.shortcut == "conv":
        return nn.Sequential(*_normed(one.inputs, one.outputs, 1, one.stride))
    pool = [nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False)] if one.stride == 2 else []
    return nn.Sequential(*pool, *(_normed(one.inputs, one.outputs, 1) if one.inputs != one.outputs else []))


def _normed(inputs: int, outputs: int, kernel: int, stride: int = 1, *, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs)]
