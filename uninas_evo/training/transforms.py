"""From the pixels of an image to those of a network: timm's transforms, for any number of channels and any sides."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from uninas_evo.errors import DataError, TrainingError
from uninas_evo.training.check import Shape
from uninas_evo.training.extras import need
from uninas_evo.training.pixels import Pixels
from uninas_evo.training.protocol import Protocol

EVALUATED = ("interpolation", "crop_mode", "crop_pct", "mean", "std")
"""Settings of a protocol that a transform for evaluation depends on."""
TRAINED = ("scale", "ratio", "pad", "cutout", "hflip", "color_jitter", "augmentation")
"""Those that a transform for training depends on beside them."""


@dataclass(frozen=True)
class Transform:
    """Pixels (H', W', C') -> pixels (C, H, W) for a network; normalized later, on the device.

    Gray images of networks with one channel go through timm's transforms as RGB with three equal channels, and come
    back gray; other numbers of channels than 1 and 3 go through them as tensors.

    Attributes:
        shape: (C, H, W).
        steps: timm's, from a PIL image or a tensor to uint8 (C, H, W).
        border: what images are padded with to the proportion of H and W, a value a channel; empty: they are not.
        key: equal for transforms that do the same.
    """

    shape: Shape
    steps: Callable[[Any], Any]
    border: tuple[int, ...] = ()
    key: Hashable = None

    def __call__(self, pixels: Pixels) -> Pixels:
        """The image as the network takes it."""
        channels = self.shape[0]
        if pixels.shape[2] != channels and (pixels.shape[2], channels) != (1, 3):
            raise DataError(
                f"an image has {pixels.shape[2]} channels and the network takes {channels}: they must be equal; "
                "convert the images"
            )
        if self.border:
            pixels = _padded(pixels, self.shape, self.border)
        if channels not in (1, 3):
            return np.asarray(self.steps(need("torch").from_numpy(pixels.transpose(2, 0, 1).copy())))
        image = Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).convert("RGB")
        return np.asarray(self.steps(image))[:channels]


def train_transform(protocol: Protocol, shape: Shape) -> Transform:
    """The training transform of timm; unless `crop_mode` is center, its crops have the image's proportions.

    Raises:
        TrainingError: the protocol asks for changes of color and the images have other than 1 or 3 channels.
    """
    if shape[0] not in (1, 3) and (protocol.augmentation or protocol.color_jitter):
        raise TrainingError(
            f"auto_augment, augment and color_jitter are for images of 1 or 3 channels, these have {shape[0]}; switch "
            "them off"
        )
    steps = need("timm.data").create_transform(
        input_size=shape,
        is_training=True,
        scale=protocol.scale,
        ratio=protocol.ratio,
        hflip=protocol.hflip,
        color_jitter=protocol.color_jitter or None,
        auto_augment=protocol.augmentation or None,
        interpolation=protocol.interpolation,
        mean=_color(protocol.mean, shape[0]),
        std=_color(protocol.std, shape[0]),
        use_prefetcher=True,
    )
    fill = tuple(round(255 * value) for value in _color(protocol.mean, shape[0]))
    steps.transforms[0] = (
        _PaddedCrop(shape[1:], protocol.pad, protocol.interpolation, fill)
        if protocol.pad
        else _Crop(shape[1:], protocol.scale, protocol.ratio, protocol.interpolation, protocol.crop_mode != "center")
    )
    if protocol.cutout:
        steps.transforms.append(_Cutout(protocol.cutout, per_channel(protocol.mean, shape[0])))
    return Transform(shape, steps, _border(protocol, shape), _key(protocol, shape, (*EVALUATED, *TRAINED)))


def eval_transform(protocol: Protocol, shape: Shape) -> Transform:
    """The evaluation transform of timm: resize and, by `crop_mode` and `crop_pct`, crop."""
    steps = need("timm.data").create_transform(
        input_size=shape,
        interpolation="bicubic" if protocol.interpolation == "random" else protocol.interpolation,
        crop_pct=protocol.crop_pct,
        crop_mode="center" if protocol.crop_mode == "center" else "squash",
        use_prefetcher=True,
    )
    return Transform(shape, steps, _border(protocol, shape), _key(protocol, shape, EVALUATED))


def _key(protocol: Protocol, shape: Shape, names: Sequence[str]) -> Hashable:
    return (shape, *((name, getattr(protocol, name)) for name in names))


def per_channel(values: Sequence[float], channels: int) -> tuple[float, ...]:
    """A protocol's mean or deviation for each channel; gray images take the average.

    Raises:
        TrainingError: the values are neither equal nor as many as the channels.
    """
    if len(values) == channels:
        return tuple(values)
    if channels == 1 or len(set(values)) == 1:
        return (sum(values) / len(values),) * channels
    raise TrainingError(
        f"mean and std have {len(values)} values for {channels} channels: give one a channel, or one for all"
    )


def _color(values: Sequence[float], channels: int) -> tuple[float, ...]:
    """The three values of RGB for timm; a gray one three times."""
    found = per_channel(values, channels)
    return found if len(found) == 3 else found[:1] * 3


def _border(protocol: Protocol, shape: Shape) -> tuple[int, ...]:
    if protocol.crop_mode != "border":
        return ()
    return tuple(round(255 * value) for value in per_channel(protocol.mean, shape[0]))


def _padded(pixels: Pixels, shape: Shape, border: tuple[int, ...]) -> Pixels:
    """The image in the middle of the smallest canvas of the proportion H : W."""
    height, width, channels = pixels.shape
    full = (max(height, round(width * shape[1] / shape[2])), max(width, round(height * shape[2] / shape[1])))
    if full == (height, width):
        return pixels
    fill = border if channels == len(border) else border[:1]
    canvas = np.empty((*full, channels), np.uint8)
    canvas[:] = fill
    top, left = (full[0] - height) // 2, (full[1] - width) // 2
    canvas[top : top + height, left : left + width] = pixels
    return canvas


@dataclass(frozen=True)
class _Crop:
    """timm's random resized crop; `relative`: its proportions are the image's own times `ratio`.

    Relative proportions cut no side of a long image more than the other; for square images both are timm's numbers.
    """

    size: tuple[int, int]
    scale: tuple[float, float]
    ratio: tuple[float, float]
    interpolation: str
    relative: bool

    def __call__(self, image: Any) -> Any:
        functional = need("torchvision.transforms.functional")
        width, height = functional.get_image_size(image)
        own = width / height if self.relative else 1.0
        ratio = tuple(own * proportion for proportion in self.ratio)
        crop = need("timm.data.transforms").RandomResizedCropAndInterpolation(
            self.size, self.scale, ratio, self.interpolation
        )
        top, left, h, w = crop.get_params(image, self.scale, ratio)
        ways = crop.interpolation
        way = random.choice(ways) if isinstance(ways, tuple | list) else ways
        box = min(top, height - 1), min(left, width - 1), max(h, 1), max(w, 1)  # thin images round to 0
        return functional.resized_crop(image, *box, self.size, way)


@dataclass(frozen=True)
class _PaddedCrop:
    """The image at the network's size, padded, and a crop of that size at random: what CIFAR is trained with."""

    size: tuple[int, int]
    pad: int
    interpolation: str
    fill: tuple[int, ...]

    def __call__(self, image: Any) -> Any:
        functional = need("torchvision.transforms.functional")
        ways = need("timm.data.transforms")
        way = ways.str_to_interp_mode("bilinear" if self.interpolation == "random" else self.interpolation)
        fill = self.fill if isinstance(image, Image.Image) else self.fill[0]  # tensors are padded with one value
        padded = functional.pad(functional.resize(image, self.size, way), [self.pad], fill)
        return functional.crop(padded, random.randint(0, 2 * self.pad), random.randint(0, 2 * self.pad), *self.size)


@dataclass(frozen=True)
class _Cutout:
    """Fills a square around a random pixel, cut at the borders (DeVries & Taylor, arXiv 1708.04552)."""

    side: int
    mean: tuple[float, ...]

    def __call__(self, pixels: Any) -> Any:
        """Pixels (C, H, W), changed in a copy."""
        pixels = np.asarray(pixels).copy()
        _, height, width = pixels.shape
        top, left = random.randrange(height) - self.side // 2, random.randrange(width) - self.side // 2
        fill = np.resize([round(255 * value) for value in self.mean], len(pixels))
        box = np.s_[:, max(top, 0) : max(top + self.side, 0), max(left, 0) : max(left + self.side, 0)]
        pixels[box] = fill[:, None, None]
        return pixels
