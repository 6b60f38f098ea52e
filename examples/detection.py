"""A network of ours under torchvision's Mask R-CNN: stage maps of strides 4 to 32 into a feature pyramid.

Run it: python examples/detection.py [trained/3f0c/seed-0]
Without a folder it takes a small untrained network. It fits one synthetic image for a few steps, to show all parts
at work; with data of your own, replace `batch` by a loader of (images, targets) as torchvision's models take them.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

import uninas_evo
from uninas_evo.spaces.uninas.network import Network


class Pyramid(nn.Module):
    """The maps of every stage at one width, named "0", "1", ... and "pool", as torchvision's detectors want them."""

    def __init__(self, network: Network, width: int) -> None:
        super().__init__()
        self.network = network
        self.fpn = FeaturePyramidNetwork(list(network.genome.skeleton.channels), width, LastLevelMaxPool())
        self.out_channels = width

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """(N, 3, H, W) of any size, to a map (N, width, H/stride, W/stride) for each stage and one more."""
        maps = self.network.forward_features(images)
        named = OrderedDict((str(level), m) for level, m in enumerate(maps))
        pyramid: OrderedDict[str, Tensor] = self.fpn(named)
        return pyramid


def detector(network: Network, classes: int, size: int, width: int = 256) -> MaskRCNN:
    """Mask R-CNN on a network; `classes` counts the background, images are scaled to `size` pixels."""
    levels = len(network.genome.skeleton.channels)
    anchors = AnchorGenerator(tuple((32 * 2**k,) for k in range(levels + 1)), ((0.5, 1.0, 2.0),) * (levels + 1))
    names = [str(level) for level in range(levels)]
    return MaskRCNN(
        Pyramid(network, width),
        classes,
        min_size=size,
        max_size=2 * size,
        rpn_anchor_generator=anchors,
        box_roi_pool=MultiScaleRoIAlign(names, 7, 2),
        mask_roi_pool=MultiScaleRoIAlign(names, 14, 2),
    )


def batch(size: int) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """One image with one bright square, and its box, label and mask."""
    image, mask = torch.zeros(3, size, size), torch.zeros(1, size, size, dtype=torch.uint8)
    low, high = size // 4, size // 2
    image[:, low:high, low:high] = 1
    mask[:, low:high, low:high] = 1
    box = torch.tensor([[low, low, high, high]], dtype=torch.float32)
    return [image], [{"boxes": box, "labels": torch.tensor([1]), "masks": mask}]


def main(folder: str | None = None, size: int = 128, steps: int = 5, width: int = 64) -> list[float]:
    """Fits one image and returns the loss of every step."""
    if folder:
        network = uninas_evo.load(Path(folder))
    else:
        skeleton = uninas_evo.Skeleton(64, 10, stem=(16, 16), channels=(32, 32, 64, 64), depths=(1, 1, 1, 1))
        network = uninas_evo.build(uninas_evo.preset("coatnet", skeleton))
    model = detector(network, classes=2, size=size, width=width)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(steps):
        loss = sum(model.train()(*batch(size)).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


if __name__ == "__main__":
    print(" ".join(f"{loss:.3f}" for loss in main(*sys.argv[1:2])))
