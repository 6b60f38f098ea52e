"""The stage maps of any network that has them, for heads of every kind."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from uninas_evo.errors import TrainingError
from uninas_evo.training.protocol import Protocol

STRIDES = (4, 8, 16, 32)
"""Strides of the maps that heads take."""
MULTIPLE = 32
"""Images are padded to multiples of it, so that every map has whole positions."""
PROBES = (64, 128)
"""Sides of the two images that tell the strides: of maps that follow the image, both tell the same."""


class Backbone(nn.Module):
    """A network as the giver of its maps at strides 4 to 32, the last one at each stride, those that it has.

    Parameters that no map depends on, those of the classifier's head, do not learn.

    Args:
        network: one with `forward_features`.
        frozen_norms: batch norms keep their statistics in training.

    Attributes:
        channels: of each map.
        strides: of each map, ascending.

    Raises:
        TrainingError: it has fewer than two such maps, they do not follow the image's size, or it takes other than
            color images.
    """

    def __init__(self, network: nn.Module, frozen_norms: bool = False) -> None:
        super().__init__()
        self.network = network
        self.frozen_norms = frozen_norms
        if not callable(getattr(network, "forward_features", None)):
            raise TrainingError(
                f"{type(network).__name__} gives no stage maps: detection and segmentation need a network with "
                "forward_features; use a space whose networks have it, such as uninas or uninet"
            )
        channels = next((m.in_channels for m in network.modules() if isinstance(m, nn.Conv2d)), 3)
        if channels != 3:
            raise TrainingError(
                f"the network takes images of {channels} channels: detection and segmentation read "
                "red, green and blue; use a network of 3"
            )
        network.eval()
        small, large = (_strides(network, side) for side in PROBES)
        chosen = {stride: place for place, stride in enumerate(large) if stride in STRIDES}
        if small != large or len(chosen) < 2:
            raise TrainingError(
                f"the maps of {type(network).__name__} have the strides {_told(small)} on an image of {PROBES[0]} px "
                f"and {_told(large)} on one of {PROBES[1]} px: detection and segmentation need the same on both, two "
                "or more of 4, 8, 16 and 32; use a network that halves the resolution as often"
            )
        self.strides = tuple(sorted(chosen))
        self._places = [chosen[stride] for stride in self.strides]
        self.channels = tuple(self._freeze_what_maps_do_not_need())

    def _freeze_what_maps_do_not_need(self) -> list[int]:
        """Parameters without a gradient stop learning; returns the channels of the maps."""
        maps = self(torch.zeros(1, 3, PROBES[0], PROBES[0], device=next(self.parameters()).device))
        learning = [p for p in self.parameters() if p.requires_grad]
        total = torch.stack([one.sum() for one in maps]).sum()
        gradients = torch.autograd.grad(total, learning, allow_unused=True)
        for parameter, gradient in zip(learning, gradients, strict=True):
            parameter.requires_grad_(gradient is not None)
        return [one.shape[1] for one in maps]

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W), padded to multiples of 32 on the right and below, to maps (N, C, H / stride, W / stride)."""
        height, width = images.shape[2:]
        padded = nn.functional.pad(images, (0, -width % MULTIPLE, 0, -height % MULTIPLE))
        maps: list[Tensor] = self.network.forward_features(padded)  # type: ignore[operator]
        return [maps[place] for place in self._places]

    def train(self, mode: bool = True) -> Backbone:
        """Training or evaluation mode, batch norms in evaluation always where they are frozen."""
        super().train(mode)
        if self.frozen_norms:
            for module in self.network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def set_drop_path(self, rate: float) -> None:
        """Sets stochastic depth where the network has it."""
        setter: Any = getattr(self.network, "set_drop_path", None)
        if callable(setter):
            setter(rate)


def _strides(network: nn.Module, side: int) -> list[int]:
    """The strides of all maps of a square image."""
    with torch.no_grad():
        device = next(network.parameters()).device
        maps: list[Tensor] = network.forward_features(torch.zeros(1, 3, side, side, device=device))  # type: ignore[operator]
    return [side // one.shape[3] for one in maps]


def _told(strides: list[int]) -> str:
    return ", ".join(map(str, strides)) or "none"


class Headed(nn.Module):
    """A backbone under a task's head.

    Attributes:
        backbone: gives the maps.
        protocol: what the head was made by.
        genome: what its network was built from, where that knows.
    """

    backbone: Backbone
    protocol: Protocol

    @property
    def genome(self) -> Any:
        """The genome of the backbone's network.

        Raises:
            AttributeError: it has none.
        """
        return self.backbone.network.genome

    def set_drop_path(self, rate: float) -> None:
        """Sets stochastic depth of the backbone."""
        self.backbone.set_drop_path(rate)
