"""The networks of the mobile spaces, built layer by layer from their plans."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uninas_evo.spaces.mobile.plan import Activation, Block, Plan

_ACTIVATIONS: dict[Activation, type[nn.Module]] = {"relu": nn.ReLU, "relu6": nn.ReLU6, "h_swish": nn.Hardswish}


class MobileNetwork(nn.Module):
    """Stem, inverted bottlenecks, head, pooling, classifier."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        last = plan.blocks[-1].outputs
        self.stem = Normed(3, plan.stem, 3, plan.epsilon, plan.activation, stride=2)
        self.blocks = nn.ModuleList(BlockModule(block, plan.epsilon) for block in plan.blocks)
        self.head = Normed(last, plan.head, 1, plan.epsilon, plan.activation)
        self.hidden = hidden_layer(plan)
        self.classifier = nn.Linear(plan.hidden or plan.head, plan.classes)

    def forward_features(self, x: Tensor) -> list[Tensor]:
        """The (N, C, H, W) maps at the end of each size of images (N, 3, H, W)."""
        x = self.stem(x)
        maps: list[Tensor] = []
        for block in self.blocks:
            y = block(x)
            if y.shape[2:] != x.shape[2:]:
                maps.append(x)
            x = y
        return [*maps, x]

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, K) of images (N, 3, H, W)."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return classify(self, x)


def classify(network: nn.Module, x: Tensor) -> Tensor:
    """Logits (N, K) of the last block's output, by the head, hidden layer and classifier of a network."""
    x = network.head(x).mean(dim=(2, 3), keepdim=True)  # type: ignore[operator]
    return torch.as_tensor(network.classifier(network.hidden(x).flatten(1)))  # type: ignore[operator]


class BlockModule(nn.Module):
    """An inverted bottleneck.

    Attributes:
        block: what it was built from.
    """

    def __init__(self, block: Block, epsilon: float) -> None:
        super().__init__()
        self.block, act = block, block.activation
        self.expand: nn.Module = nn.Identity()
        if block.middle != block.inputs:
            self.expand = Normed(block.inputs, block.middle, 1, epsilon, act)
        self.depthwise = Normed(
            block.middle, block.middle, block.kernel, epsilon, act, stride=block.stride, groups=block.middle
        )
        self.squeeze: nn.Module = SqueezeExcite(block.middle, block.squeeze) if block.squeeze else nn.Identity()
        self.project = Normed(block.middle, block.outputs, 1, epsilon)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        y: Tensor = self.project(self.squeeze(self.depthwise(self.expand(x))))
        return x + y if self.block.shortcut else y


class SqueezeExcite(nn.Module):
    """Scales each channel by a function of all channels' means."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        means = x.mean(dim=(2, 3), keepdim=True)
        return x * nn.functional.hardsigmoid(self.expand(torch.relu(self.reduce(means))))


def hidden_layer(plan: Plan) -> nn.Module:
    """The 1x1 layer behind the pooling, without norm or bias, where the plan has one."""
    if not plan.hidden:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(plan.head, plan.hidden, 1, bias=False), _ACTIVATIONS[plan.activation]())


class Normed(nn.Module):
    """A convolution without bias, its norm, and an activation where one is named."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        epsilon: float,
        activation: Activation | None = None,
        *,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=epsilon)
        self.act = _ACTIVATIONS[activation]() if activation else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        return torch.as_tensor(self.act(self.norm(self.conv(x))))
