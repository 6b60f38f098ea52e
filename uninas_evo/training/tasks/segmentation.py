"""Semantic segmentation: UperNet (Xiao et al., arXiv 1807.10221) on a network's stage maps."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from uninas_evo.errors import DataError
from uninas_evo.training.batches import Normalize, Plan, eval_plans
from uninas_evo.training.extras import need
from uninas_evo.training.pixels import shown
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.randomness import seeded
from uninas_evo.training.scores import balanced
from uninas_evo.training.tasks.backbone import Backbone, Headed
from uninas_evo.training.tasks.masks import MaskSet, is_masks, read_masks
from uninas_evo.training.tasks.parts import Parts, color
from uninas_evo.training.tasks.task import Metrics, Scores, Setting, Task

GROUP = 16
"""Channels that share a norm: with fewer, what is pooled to one position would lose its values."""


class UperNet(Headed):
    """The decoder of segmentation-models-pytorch on a backbone's maps, and a class for every pixel.

    Its batch norms become group norms: batches of segmentation are small, and so no image depends on those beside it.

    Args:
        backbone: gives the maps.
        classes: K.
        protocol: widths.
    """

    def __init__(self, backbone: Backbone, classes: int, protocol: Protocol) -> None:
        super().__init__()
        table = protocol.segmentation
        self.backbone, self.protocol = backbone, protocol
        decoder = need("segmentation_models_pytorch.decoders.upernet.decoder").UPerNetDecoder
        before = (0, 0)  # the decoder counts two finer maps, which it does not use
        self.decoder = _with_group_norms(
            decoder((*before, *backbone.channels), 1 + len(backbone.channels), decoder_channels=table.width)
        )
        self.classify = nn.Conv2d(table.width, classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) of any size to logits (N, K, H, W)."""
        height, width = images.shape[2:]
        maps = self.backbone(images)
        coarse = self.classify(self.decoder([images, images, *maps]))
        stride = self.backbone.strides[0]
        whole = functional.interpolate(coarse, scale_factor=float(stride), mode="bilinear", align_corners=False)
        return whole[:, :, :height, :width]


def _with_group_norms(module: nn.Module) -> nn.Module:
    """The same module with group norms in the place of batch norms."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, nn.GroupNorm(child.num_features // GROUP, child.num_features))
        else:
            _with_group_norms(child)
    return module


@dataclass(frozen=True)
class _ReadCrops:
    """Reads training batches: pixels uint8 (N, 3, S, S) and labels int64 (N, S, S)."""

    part: MaskSet
    protocol: Protocol

    def __call__(self, plan: Plan) -> tuple[Tensor, Tensor]:
        pairs = []
        for index in plan.indices:
            with seeded(*plan.key[:2], index):  # an image's changes are its own, in whichever process
                pairs.append(self._crop(index))
        return torch.stack([image for image, _ in pairs]), torch.stack([mask for _, mask in pairs]).long()

    def _crop(self, index: int) -> tuple[Tensor, Tensor]:
        """An image scaled, cropped, mirrored and its colors changed, as the protocol says, with its labels."""
        v2, tensors = need("torchvision.transforms.v2"), need("torchvision.tv_tensors")
        p = self.protocol
        table, side = p.segmentation, p.image_size
        image = tensors.Image(color(self.part.images[index]))
        mask = tensors.Mask(torch.from_numpy(self.part.mask(index).copy()))
        low, high = table.resize
        ratio = low + (high - low) * float(torch.rand(()))
        image, mask = v2.Resize(round(side * ratio), antialias=True)(image, mask)
        fill = {tensors.Image: [round(255 * m) for m in p.mean], tensors.Mask: table.ignore}
        steps = [v2.RandomCrop(side, pad_if_needed=True, fill=fill), v2.RandomHorizontalFlip(p.hflip)]
        if p.color_jitter:
            steps.append(v2.ColorJitter(*[p.color_jitter] * 3))
        image, mask = v2.Compose(steps)(image, mask)
        return image.as_subclass(Tensor), mask.as_subclass(Tensor)


@dataclass(frozen=True)
class _ReadWhole:
    """Reads images one by one: pixels uint8 (1, 3, H', W') at the evaluation's size, and labels (H, W)."""

    part: MaskSet
    side: int

    def __call__(self, plan: Plan) -> tuple[Tensor, Tensor]:
        (index,) = plan.indices
        image = resized(color(self.part.images[index]), self.side)
        return image[None], torch.from_numpy(self.part.mask(index).copy()).long()


def resized(image: Tensor, side: int) -> Tensor:
    """An image uint8 (3, H, W) whose shorter side is so many pixels."""
    whole: Tensor = need("torchvision.transforms.v2.functional").resize(image, [side], antialias=True)
    return whole


def labels_of(network: nn.Module, images: Tensor, size: tuple[int, int]) -> Tensor:
    """The class of every pixel (N, H, W) at a size of images (N, 3, H', W'), normalized."""
    logits = functional.interpolate(network(images).float(), size, mode="bilinear", align_corners=False)
    return logits.argmax(1)


def ious(confusion: Sequence[Sequence[int]] | Tensor) -> Tensor:
    """Intersection over union of each class (K,), NaN where it is neither there nor found.

    Args:
        confusion: (K, K) pixels of each class (rows) that were taken for each (columns).
    """
    counts = torch.as_tensor(confusion, dtype=torch.float64)
    met = counts.diagonal()
    return met / (counts.sum(0) + counts.sum(1) - met)


class Segmentation(Task):
    """Cross-entropy of every pixel; metrics are the mean over the classes of their intersection over union, and more.

    Args:
        data: images and masks.
        setting: how it is trained.
    """

    metric, shown = "miou", "mean IoU"

    def __init__(self, data: Parts[MaskSet], setting: Setting) -> None:
        protocol, device = setting.protocol, setting.process.device
        self.data, self.setting = data, setting
        self.classes, self.count = data.classes, len(data.train)
        self.chance = math.log(max(len(self.classes), 2))
        self.normalize = Normalize(protocol.mean, protocol.std, device, protocol.channels_last)
        self.weights = torch.ones(len(self.classes), device=device)
        if protocol.class_weights == "balanced":
            found = balanced(data.train.pixels[: len(self.classes)])
            self.weights = torch.tensor(found, dtype=torch.float32, device=device)

    @classmethod
    def read(cls, path: str | Path, protocol: Protocol) -> Parts[MaskSet]:
        """A folder of images and masks."""
        path = Path(path)
        if not is_masks(path):
            raise DataError(
                f"there is no data for segmentation at {shown(repr(str(path)))}: give a folder with images/ and "
                "annotations/ (or masks/), which hold train/ and val/ each, as ADE20K does"
            )
        return read_masks(path, protocol)

    @classmethod
    def network(cls, backbone: nn.Module, data: Parts[MaskSet], protocol: Protocol, seed: int) -> UperNet:
        """UperNet on a network's maps."""
        return cls.assembled(backbone, len(data.classes), protocol, seed)

    @classmethod
    def assembled(cls, backbone: nn.Module, classes: int, protocol: Protocol, seed: int) -> UperNet:
        """UperNet of so many classes."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return UperNet(Backbone(backbone, protocol.frozen_norms), classes, protocol)

    def check(self, network: nn.Module) -> None:
        """Masks and images were checked on reading; a class without pixels to learn is refused."""
        pixels = self.data.train.pixels[: len(self.classes)]
        if empty := [self.classes[i] for i in np.flatnonzero(pixels == 0)[:10]]:
            raise DataError(
                f"these classes have no training pixels: {', '.join(empty)}; add some or remove the classes"
            )

    def statement(self) -> list[str]:
        """What the data is and what is done to it, a line each."""
        p = self.setting.protocol
        counts = ", ".join(f"{len(part):,} {name}" for name, part in self.data.parts.items())
        low, high = p.segmentation.resize
        return [
            f"data: {counts} images with masks, {len(self.classes)} classes",
            *self.data.notes,
            f"training takes crops of {p.image_size} x {p.image_size} from images whose shorter side is "
            f"{round(low * p.image_size)} to {round(high * p.image_size)}; evaluation takes whole images whose shorter "
            f"side is {p.image_size}, and measures at their own size",
        ]

    def identity(self) -> dict[str, Any]:
        """The classes and the masks of every part."""
        checks = [zlib.crc32(np.asarray(part.checks, np.int64).tobytes()) for part in self.data.parts.values()]
        return {"classes": list(self.classes), "masks_crc32": checks}

    def training(self, plans: list[Plan]) -> Iterator[Any]:
        """Crops and their labels."""
        return self.setting.batches(_ReadCrops(self.data.train, self.setting.protocol), plans)

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        """The mean cross-entropy over the pixels of the whole batch, of all processes, that are not ignored."""
        pixels, labels = batch
        ignore = self.setting.protocol.segmentation.ignore
        logits = model(self.normalize(pixels)).float()
        total = functional.cross_entropy(logits, labels, self.weights, ignore_index=ignore, reduction="sum")
        known = labels[labels != ignore]
        weight = self.setting.process.sum(self.weights[known].sum())
        return total * self.setting.process.world / weight.clamp(min=1)

    @torch.inference_mode()
    def _measure(self, network: nn.Module, part: MaskSet) -> dict[str, float]:
        network.eval()
        setting, classes = self.setting, len(self.classes)
        process, p = setting.process, setting.protocol
        confusion = torch.zeros(classes, classes, dtype=torch.int64, device=process.device)
        count = need("torchmetrics.functional.classification").multiclass_confusion_matrix
        plans = eval_plans(len(part), process.rank, process.world, batch_size=1)
        for pixels, labels in setting.batches(_ReadWhole(part, p.image_size), plans):
            with process.precision(p):
                found = labels_of(network, self.normalize(pixels), labels.shape)
            confusion += count(found, labels[None], classes, ignore_index=p.segmentation.ignore)
        confusion = process.sum(confusion).cpu().double()
        of_classes = ious(confusion)
        return {
            "miou": float(of_classes[~of_classes.isnan()].mean()) if confusion.any() else 0.0,
            "pixel_accuracy": float(confusion.diagonal().sum() / confusion.sum().clamp(min=1)),
        }

    def validate(self, network: nn.Module) -> Metrics:
        """`val_miou` and `val_pixel_accuracy`."""
        return {f"val_{name}": value for name, value in self._measure(network, self.data.val).items()}

    def test(self, network: nn.Module) -> Scores:
        """`miou`, over the classes that are there or found, and `pixel_accuracy`."""
        return dict(self._measure(network, self.data.test))
