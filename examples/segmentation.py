"""A network of ours under a UperNet-style head (Xiao et al., arXiv 1807.10221): a class for every pixel.

Run it: python examples/segmentation.py [trained/3f0c/seed-0]
Without a folder it takes a small untrained network. It fits one synthetic image for a few steps, to show all parts
at work; with data of your own, replace `batch` by a loader of images (N, 3, H, W) and labels (N, H, W).
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

import uninas_evo
from uninas_evo.spaces.uninas.network import Network


def conv(before: int, after: int, kernel: int) -> nn.Sequential:
    """Convolution, group norm (batches of segmentation are small), ReLU."""
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False), nn.GroupNorm(8, after), nn.ReLU()
    )


def upsample(x: Tensor, like: Tensor) -> Tensor:
    """A map at the size of another one."""
    return functional.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)


class UperNet(nn.Module):
    """Pyramid pooling on the last map, a feature pyramid over all, and their fusion at stride 4.

    Args:
        network: gives the maps.
        classes: number of labels.
        width: channels of the head.
        bins: sides of the pooled grids.
    """

    def __init__(self, network: Network, classes: int, width: int = 64, bins: tuple[int, ...] = (1, 2, 3, 6)) -> None:
        super().__init__()
        channels = network.genome.skeleton.channels
        self.network = network
        self.bins = bins
        self.pooled = nn.ModuleList(conv(channels[-1], width, 1) for _ in bins)
        self.top = conv(channels[-1] + len(bins) * width, width, 3)
        self.laterals = nn.ModuleList(conv(c, width, 1) for c in channels[:-1])
        self.smooth = nn.ModuleList(conv(width, width, 3) for _ in channels[:-1])
        self.fuse = conv(len(channels) * width, width, 3)
        self.classify = nn.Conv2d(width, classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) of any size to logits (N, classes, H, W)."""
        *maps, last = self.network.forward_features(images)
        contexts = [
            upsample(part(functional.adaptive_avg_pool2d(last, side)), last)
            for side, part in zip(self.bins, self.pooled, strict=True)
        ]
        pyramid = [self.top(torch.cat([last, *contexts], 1))]
        for x, lateral in zip(reversed(maps), reversed(self.laterals), strict=True):
            side = lateral(x)
            pyramid.append(side + upsample(pyramid[-1], side))
        finest = pyramid[-1]
        smoothed = [pyramid[0], *(s(p) for s, p in zip(self.smooth, pyramid[1:], strict=True))]
        fused = self.fuse(torch.cat([upsample(p, finest) for p in smoothed], 1))
        return upsample(self.classify(fused), images)


def batch(height: int, width: int) -> tuple[Tensor, Tensor]:
    """One image whose right half is bright, and the label of every pixel."""
    image, labels = torch.zeros(1, 3, height, width), torch.zeros(1, height, width, dtype=torch.long)
    image[..., width // 2 :] = 1
    labels[..., width // 2 :] = 1
    return image, labels


def main(folder: str | None = None, height: int = 64, width: int = 96, steps: int = 10) -> list[float]:
    """Fits one image and returns the loss of every step."""
    if folder:
        network = uninas_evo.load(Path(folder))
    else:
        skeleton = uninas_evo.Skeleton(64, 10, stem=(16, 16), channels=(32, 32, 64, 64), depths=(1, 1, 1, 1))
        network = uninas_evo.build(uninas_evo.preset("coatnet", skeleton))
    model = UperNet(network, classes=2).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    images, labels = batch(height, width)
    losses = []
    for _ in range(steps):
        loss = functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


if __name__ == "__main__":
    print(" ".join(f"{loss:.3f}" for loss in main(*sys.argv[1:2])))
