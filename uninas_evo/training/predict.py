"""What a trained network finds in images, drawn on them: boxes, masks and names."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw

from uninas_evo.errors import DataError, TrainingError
from uninas_evo.files import write_atomically
from uninas_evo.training.batches import Normalize
from uninas_evo.training.folders import images_at
from uninas_evo.training.formats import load
from uninas_evo.training.pixels import shown
from uninas_evo.training.tasks.backbone import Headed
from uninas_evo.training.tasks.parts import color
from uninas_evo.training.tasks.segmentation import labels_of, resized

Pixels = npt.NDArray[np.uint8]
Rgb = tuple[int, int, int]

COVER = 0.45
"""How much of a pixel its mask's color takes: the picture stays visible below it."""
LINE = 14
"""Height of a line of names in pixels."""


def predict(
    source: str | Path, images: str | Path, out: Path, *, score: float = 0.5, device: str = "cpu"
) -> Iterator[Path]:
    """Draws what a network finds in images; yields the files as they are written.

    Args:
        source: the folder of a detection or segmentation that has ended, or its weights.
        images: an image, or a folder of images.
        out: the folder of the drawings, a PNG each under the image's name.
        score: least score of an object that is drawn.
        device: where the network runs.

    Raises:
        TrainingError: the folder is of a classification, or holds no weights.
        DataError: there are no images, or one cannot be read.
    """
    network = load(source)
    if not isinstance(network, Headed):
        raise TrainingError(
            f"{source} is of a classification, whose images have no parts to be drawn; give the folder of a detection "
            "or segmentation"
        )
    files = _files(Path(images))
    network.to(device)
    out.mkdir(parents=True, exist_ok=True)
    names: Sequence[str] = network.preparation.classes  # type: ignore[union-attr, assignment]
    for file, name in files:
        pixels = color(file).to(device)
        draw = _objects if network.protocol.task == "detection" else _classes
        with torch.inference_mode():
            drawn = draw(network, pixels, names, score)
        path = (out / name).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda stream, image=drawn: image.save(stream, "PNG"), DataError)  # type: ignore[misc]
        yield path


def _files(images: Path) -> list[tuple[str, str]]:
    """The images and their names in the folder of drawings, which differ."""
    found = images_at(images)
    if images.is_file():
        return [(str(images), images.name)]
    names = [str(Path(file).relative_to(images)) for file in found]
    stems = {str(Path(name).with_suffix("")) for name in names}
    if len(stems) < len(names):
        raise DataError(f"two images in {shown(images)} differ in their endings alone; rename one")
    return list(zip(found, names, strict=True))


def colors(count: int) -> list[Rgb]:
    """So many colors that are told apart, by steps of the golden ratio around the circle of hues."""
    found = (colorsys.hsv_to_rgb(0.618034 * place % 1, 0.85, 1.0) for place in range(count))
    return [(round(255 * r), round(255 * g), round(255 * b)) for r, g, b in found]


def _objects(network: Any, pixels: torch.Tensor, names: Sequence[str], score: float) -> Image.Image:
    """Boxes, masks, names and scores of the objects that are found."""
    (found,) = network([pixels.float() / 255])
    kept = (found["scores"] >= score).nonzero().flatten().tolist()
    array = _array(pixels)
    palette = colors(len(names))
    tints = [palette[int(found["labels"][i]) - 1] for i in kept]
    if "masks" in found:
        for place, tint in zip(kept, tints, strict=True):
            _cover(array, (found["masks"][place, 0] > 0.5).cpu().numpy(), tint)
    image = Image.fromarray(array)
    pencil = ImageDraw.Draw(image)
    for place, tint in zip(kept, tints, strict=True):
        left, top, right, bottom = found["boxes"][place].tolist()
        pencil.rectangle((left, top, right, bottom), outline=tint)
        told = f"{names[int(found['labels'][place]) - 1]} {float(found['scores'][place]):.2f}"
        corner = (left + 1, max(top - LINE, 0))
        pencil.rectangle(pencil.textbbox(corner, told), fill=(0, 0, 0))
        pencil.text(corner, told, fill=tint)
    return image


def _classes(network: Any, pixels: torch.Tensor, names: Sequence[str], _score: float) -> Image.Image:
    """The class of every pixel as its color, and below the image the names of those that are there."""
    protocol = network.protocol
    normalize = Normalize(protocol.mean, protocol.std, pixels.device, protocol.channels_last)
    images = normalize(resized(pixels, protocol.image_size)[None])
    labels = labels_of(network, images, (pixels.shape[1], pixels.shape[2]))[0].cpu().numpy()
    array, palette = _array(pixels), colors(len(names))
    present = np.unique(labels).tolist()
    for label in present:
        _cover(array, labels == label, palette[label])
    height, width = labels.shape
    image = Image.new("RGB", (width, height + LINE * len(present)))
    image.paste(Image.fromarray(array))
    pencil = ImageDraw.Draw(image)
    for line, label in enumerate(present):
        pencil.text((2, height + LINE * line), f"{names[label]} {(labels == label).mean():.0%}", fill=palette[label])
    return image


def _array(pixels: torch.Tensor) -> Pixels:
    """An image (3, H, W) as (H, W, 3)."""
    array: Pixels = pixels.cpu().numpy().transpose(1, 2, 0).copy()
    return array


def _cover(array: Pixels, mask: npt.NDArray[np.bool_], tint: Rgb) -> None:
    """Lays a color over the pixels of a mask, in place."""
    array[mask] = ((1 - COVER) * array[mask] + COVER * np.asarray(tint)).round().astype(np.uint8)
