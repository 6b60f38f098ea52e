"""Scenes of garments: a small real task of detection and segmentation, from Fashion-MNIST alone.

Each scene holds 1 to 6 garments of any class, scaled, mirrored and placed at random, later ones over earlier ones, on a
texture of smooth noise. What is seen of a garment is its mask; one that would leave less than a quarter of another to
be seen is not placed. Test scenes hold garments of the test part alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from uninas_evo.errors import DataError
from uninas_evo.files import write_atomically
from uninas_evo.training.pixels import shown
from uninas_evo.training.readers import read_splits
from uninas_evo.training.tasks.masks import NAMES
from uninas_evo.training.tasks.objects import encoded

Array = npt.NDArray[np.uint8]

CLASSES = (
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"
)  # fmt: skip
"""Fashion-MNIST's, in the order of its labels."""
BACKGROUND = "background"
"""Class 0 of the masks."""
COUNTS = {"train": 2000, "test": 500}
SIZE = (96, 128)
"""Height and width of a scene: a garment of a third of its height needs no more, and maps are not square."""
MOST_GARMENTS = 6
SIDES = (28, 64)
"""Sides that a garment of 28 pixels is scaled to: from its own on, so that none is blurred to nothing."""
SEEN = 0.25
"""Least share of a garment that must be seen."""
INK = 24
"""Gray from which on a pixel belongs to a garment: below it lies the noise around the pictures' edges."""


@dataclass(frozen=True)
class Garment:
    """One garment in a scene.

    Attributes:
        label: its class.
        whole: its pixels before others were laid over it.
        mask: (H, W), those that are seen.
    """

    label: int
    whole: int
    mask: npt.NDArray[np.bool_]


def scene(
    pictures: Array, labels: npt.NDArray[np.int64], rng: np.random.Generator
) -> tuple[Array, tuple[Garment, ...]]:
    """A scene (H, W) in gray and its garments, from pictures (T, 28, 28) and their labels (T,)."""
    pixels = texture(rng)
    garments: list[Garment] = []
    for _ in range(int(rng.integers(1, MOST_GARMENTS + 1))):
        chosen = int(rng.integers(len(pictures)))
        _place(pixels, garments, pictures[chosen], int(labels[chosen]), rng)
    return np.clip(pixels, 0, 255).round().astype(np.uint8), tuple(garments)


def texture(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Smooth noise (H, W) of a random grain, brightness and contrast, with a little rough noise on it."""
    height, width = SIZE
    grain = int(rng.choice([4, 8, 16]))
    rough = rng.random((height // grain + 2, width // grain + 2)) * 255
    smooth = Image.fromarray(rough.astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    contrast, base = rng.uniform(0.1, 0.5), rng.uniform(0, 100)
    return base + contrast * np.asarray(smooth, float) + rng.normal(0, 4, SIZE)


def _place(
    pixels: npt.NDArray[np.float64], garments: list[Garment], picture: Array, label: int, rng: np.random.Generator
) -> None:
    """Puts a garment over what is there, unless that would hide too much of an earlier one."""
    side = int(rng.integers(SIDES[0], SIDES[1] + 1))
    image = Image.fromarray(picture)
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    small = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))
    top, left = int(rng.integers(0, SIZE[0] - side + 1)), int(rng.integers(0, SIZE[1] - side + 1))
    mask = np.zeros(SIZE, np.bool_)
    mask[top : top + side, left : left + side] = small >= INK
    if not mask.any():
        return
    left_over = [Garment(one.label, one.whole, one.mask & ~mask) for one in garments]
    if any(one.mask.sum() < SEEN * one.whole for one in left_over):
        return
    garments[:] = [*left_over, Garment(label, int(mask.sum()), mask)]
    window = pixels[top : top + side, left : left + side]
    window[small >= INK] = small[small >= INK]


def write_scenes(
    source: str | Path, out: Path, seed: int = 0, counts: Mapping[str, int] = COUNTS, say: Callable[[str], None] = print
) -> None:
    """Writes scenes of a data set's garments: COCO's files and ADE20K's masks, side by side.

    `images/{train,test}/*.png`, `instances_{train,test}.json`, `annotations/{train,test}/*.png` (0 the background) and
    `classes.txt`. Equal sources, seeds and counts give equal files.

    Args:
        source: Fashion-MNIST's folder of IDX files, or any data of pictures 28 x 28 in gray with ten classes.
        out: the folder; must be new or empty.
        seed: of all scenes; the parts have streams of their own.
        counts: scenes of each part.
        say: is told what was written.

    Raises:
        DataError: the source is of another kind, or the folder has content.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{shown(out)} has content already: scenes need a folder of their own; give another --out")
    splits = read_splits(source, 0.1)
    own = {"train": splits.train, "test": splits.test}
    for part in own.values():
        if not isinstance(part.images, np.ndarray) or part.images.shape[1:] != (28, 28):
            raise DataError(
                f"scenes are made of gray pictures of 28 x 28 pixels, such as Fashion-MNIST's IDX files, got "
                f"{shown(source)}; install it with: apt-get install dataset-fashion-mnist"
            )
    if len(splits.classes) != len(CLASSES):
        raise DataError(f"scenes are made of {len(CLASSES)} classes, got {len(splits.classes)}; give Fashion-MNIST")
    for stream, (name, part) in enumerate(own.items()):
        _write_part(part.images, part.labels, out, name, counts[name], np.random.default_rng((seed, stream)))
        say(f"{counts[name]:,} scenes in {out / 'images' / name}")
    write_atomically(out / NAMES, lambda file: file.write("\n".join((BACKGROUND, *CLASSES, "")).encode()), DataError)


def _write_part(
    pictures: Array, labels: npt.NDArray[np.int64], out: Path, name: str, count: int, rng: np.random.Generator
) -> None:
    images, annotations = list[dict[str, Any]](), list[dict[str, Any]]()
    places = [out / kind / name for kind in ("images", "annotations")]
    for place in places:
        place.mkdir(parents=True)
    for number in range(count):
        pixels, garments = scene(pictures, labels, rng)
        classes = np.zeros(SIZE, np.uint8)
        file = f"{number:05}.png"
        images.append({"id": number + 1, "file_name": file, "height": SIZE[0], "width": SIZE[1]})
        for garment in garments:
            classes[garment.mask] = garment.label + 1
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number + 1, "iscrowd": 0, **annotation(garment)}
            )
        for place, array in zip(places, (pixels, classes), strict=True):
            Image.fromarray(array).save(place / file)
    content = {
        "info": {"description": "scenes of Fashion-MNIST garments"},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": label + 1, "name": one} for label, one in enumerate(CLASSES)],
    }
    text = json.dumps(content, separators=(",", ":"))
    write_atomically(out / f"instances_{name}.json", lambda file: file.write(text.encode()), DataError)


def annotation(garment: Garment) -> dict[str, Any]:
    """A garment as COCO's files have it."""
    rows, columns = (np.flatnonzero(garment.mask.any(axis)) for axis in (1, 0))
    low, high = (int(columns[0]), int(rows[0])), (int(columns[-1]) + 1, int(rows[-1]) + 1)
    return {
        "category_id": garment.label + 1,
        "bbox": [*low, high[0] - low[0], high[1] - low[1]],
        "area": int(garment.mask.sum()),
        "segmentation": encoded(garment.mask.astype(np.uint8)),
    }
