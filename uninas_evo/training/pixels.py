"""One image, read as it is or refused: the pixels that a viewer shows, as uint8 (H, W, C)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from uninas_evo.errors import DataError
from uninas_evo.formats import printable

Pixels = npt.NDArray[np.uint8]

MOST_CHANNELS = 16
"""More channels than this are taken for a wrong order of the axes."""
MOST_PIXELS = 89_478_485
"""Pillow's own limit against decompression bombs: a quarter of a gigabyte of RGB."""
DARKEST = 1 / 16
"""16-bit images nowhere brighter than this share of the range are 12-bit images that were not scaled."""
WHITE = (255, 255, 255, 255)
"""What transparent images are laid on, as most viewers do."""

TURNED = "turned as their EXIF orientation says"
CLEAR = "transparent, laid on white"
DEEP = "of 16 bits, scaled to 8"
DARK = "of 16 bits, using less than a sixteenth of the range"
FRAMES = "of several frames, the first is read"
REDUCED = "of a mode that is turned into RGB"

PHOTOMETRIC = 262
"""The TIFF tag that tells what a zero is."""
SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that swap height and width."""
_UNSAFE = {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG", "FITS"}
"""Formats that Pillow gives to other programs, only recognizes, or stores floats in."""
_COLORS = {"1": "L", "L": "L", "RGB": "RGB", "P": "RGB", "CMYK": "RGB", "YCbCr": "RGB", "HSV": "RGB"}
"""Modes without transparency, and what they become; each of their values keeps its 8 bits."""
_CLEAR = {"LA": "LA", "PA": "RGBA", "RGBA": "RGBA"}


@dataclass(frozen=True)
class Facts:
    """What is known of an image: height, width, channels, and what was done to it on reading (`TURNED`, ...)."""

    height: int
    width: int
    channels: int
    notes: tuple[str, ...] = ()


@cache
def formats() -> tuple[str, ...]:
    """Pillow's formats that are read."""
    Image.init()
    return tuple(sorted(set(Image.OPEN) - _UNSAFE))


@cache
def endings() -> frozenset[str]:
    """The endings of those formats, in small letters, with their dots."""
    return frozenset(ending for ending, name in Image.registered_extensions().items() if name in formats())


def is_image(path: Path) -> bool:
    """Whether a file without a known ending is an image all the same."""
    try:
        Image.open(path, formats=formats()).close()
    except Exception:  # decoders raise whatever a foreign file leads to
        return False
    return True


def decode(item: Any, name: str) -> tuple[Pixels, Facts]:
    """The pixels of a path, a PIL image, or an array (H, W) or (H, W, C) of uint8 or uint16.

    Raises:
        DataError: it is broken, too large, or of a kind whose values 8 bits cannot hold.
    """
    with _told(name):
        if isinstance(item, np.ndarray):
            pixels, notes = _of_array(item, name)
        elif isinstance(item, Image.Image):
            pixels, notes = _of_image(item, name)
        elif isinstance(item, str | Path):
            with Image.open(item, formats=formats()) as image:
                pixels, notes = _of_image(image, name)
        else:
            raise DataError(
                f"{name} is a {type(item).__name__}: give PIL images or uint8 arrays (H, W, C), such as a dataset "
                "gives without ToTensor"
            )
    height, width, channels = pixels.shape
    return pixels, Facts(height, width, channels, notes)


def examine(path: str | Path, whole: bool) -> Facts:
    """The facts of a file: from decoding it with its checksums, or else from its header.

    Raises:
        DataError: as `decode`.
    """
    name = f"image {shown(path)}"
    if whole:
        with _told(name), Image.open(path, formats=formats()) as image:
            _check_size(image, name)
            if image.format == "PNG":
                image.verify()  # checksums, which decoding leaves out
        return decode(path, name)[1]
    with _told(name), Image.open(path, formats=formats()) as image:
        _check_mode(image, name)
        turned = _orientation(image) in SIDEWAYS
        if image.mode == "P" or (turned and image.format == "TIFF"):  # the header leaves open channels or sides
            return decode(path, name)[1]
        width, height = image.size[::-1] if turned else image.size
        return Facts(height, width, 1 if image.mode in ("1", "L", "LA") or _is_deep(image) else 3, _told_early(image))


def shown(path: str | Path) -> str:
    """A path in letters that every terminal and file can hold."""
    return printable(str(path))


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Turns whatever a damaged image makes its decoder raise into one message."""
    try:
        yield
    except DataError:
        raise
    except Image.DecompressionBombError:
        raise DataError(_too_large(name)) from None
    except Exception as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise DataError(f"{name} cannot be read: {shown(reason)}; replace or remove it") from error


def _of_image(image: Image.Image, name: str) -> tuple[Pixels, tuple[str, ...]]:
    _check_size(image, name)
    _check_mode(image, name)
    reduced = _is_reduced(image)  # loading forgets it, and looking for EXIF may load
    notes = list(_told_early(image))
    if image.format == "TIFF" and _orientation(image) in SIDEWAYS:
        image.filename = ""  # type: ignore[attr-defined] # Pillow 13 maps such files with their sides swapped
    upright = ImageOps.exif_transpose(image)
    if _is_deep(image):
        deep = np.asarray(upright)
        if getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == 0:  # zero is white, which Pillow minds of 8 bits alone
            deep = 65535 - deep
        pixels, scaled = _scaled(deep)
        if isinstance(hidden := upright.info.get("transparency"), int) and (deep == hidden).any():
            pixels[deep == hidden] = 255
            notes.append(CLEAR)
        return pixels[:, :, None], (*notes, *scaled)
    if reduced:
        notes += [DEEP, DARK] if _brightest(upright) <= DARKEST * 256 else [DEEP]
    if upright.mode in _CLEAR or "transparency" in upright.info:
        gray = upright.mode in ("L", "LA", "1")
        clear = upright.convert("RGBA")
        if clear.getchannel("A").getextrema() != (255, 255):
            notes.append(CLEAR)
        solid = Image.alpha_composite(Image.new("RGBA", clear.size, WHITE), clear)
        pixels = np.asarray(solid.convert("L" if gray else "RGB"))
    else:
        if upright.mode not in ("1", "L", "RGB", "P"):
            notes.append(REDUCED)
        pixels = np.asarray(upright.convert(_COLORS[upright.mode]))
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    if upright.mode == "P" and (pixels == pixels[:, :, :1]).all():
        pixels = pixels[:, :, :1]
    return pixels, tuple(notes)


def _told_early(image: Image.Image) -> tuple[str, ...]:
    """What a header tells of what is done on reading."""
    notes = [FRAMES] if getattr(image, "n_frames", 1) > 1 else []
    return (*notes, TURNED) if _orientation(image) in range(2, 9) else tuple(notes)


def _orientation(image: Image.Image) -> Any:
    return image.getexif().get(0x0112, 1)


def _brightest(image: Image.Image) -> int:
    """The largest value of a color, transparency aside."""
    bands = [band for band in image.split() if band is not None][: len(image.getbands()) - ("A" in image.getbands())]
    return max(int(np.asarray(band).max()) for band in bands)


def channels_last(height: int, width: int, channels: int) -> bool:
    """Whether the last axis of an array is that of the channels: 1, 3, or at most 16 and no longer than the sides."""
    return channels in (1, 3) or 1 <= channels <= min(MOST_CHANNELS, height, width)


def _of_array(array: npt.NDArray[Any], name: str) -> tuple[Pixels, tuple[str, ...]]:
    if (
        array.dtype.newbyteorder("=") not in (np.uint8, np.uint16)
        or array.ndim not in (2, 3)
        or 0 in array.shape
        or (array.ndim == 3 and not channels_last(*array.shape))
    ):
        raise DataError(
            f"{name} must be uint8 or uint16 of shape (H, W) or (H, W, C) with 1 to {MOST_CHANNELS} channels, got "
            f"{array.dtype} {array.shape}; scale it to 0..255 and put the channels last"
        )
    pixels, notes = _scaled(array) if array.dtype.itemsize == 2 else (array, ())
    return (pixels[:, :, None] if pixels.ndim == 2 else pixels), notes


def _scaled(deep: npt.NDArray[Any]) -> tuple[Pixels, tuple[str, ...]]:
    """16 bits to 8: 0..65535 to 0..255, rounded; of what Pillow reads as colors its upper 8 bits are there already."""
    pixels = ((deep.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return pixels, (DEEP, DARK) if deep.max(initial=0) < DARKEST * 65536 else (DEEP,)


def _is_deep(image: Image.Image) -> bool:
    """Whether its values are 0..65535; Pillow scales those of portable graymaps to this range."""
    return image.mode.startswith("I;16") or (image.mode, image.format) == ("I", "PPM")


def _is_reduced(image: Image.Image) -> bool:
    """Whether Pillow, on reading the file, takes the upper 8 of 16 bits of each color."""
    tiles = getattr(image, "tile", ())
    return any(
        re.search(";16[BLN]", str(one.args))
        or one.codec_name == "SGI16"
        or (one.codec_name in ("ppm", "ppm_plain") and one.args[1] > 255)
        for one in tiles
    )


def _check_size(image: Image.Image, name: str) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise DataError(_too_large(name))
    if not image.width * image.height:
        raise DataError(f"{name} has no pixels: its size is {image.width} x {image.height}; remove it")


def _too_large(name: str) -> str:
    return f"{name} has more than {MOST_PIXELS:,} pixels, which no training image needs; make it smaller or remove it"


def _check_mode(image: Image.Image, name: str) -> None:
    if not (image.mode in _COLORS or image.mode in _CLEAR or _is_deep(image)):
        raise DataError(
            f"{name} has pixels of mode {image.mode!r}, whose values 8 bits cannot hold: give gray, RGB, palette or "
            "16-bit gray images; scale it to 0..255"
        )
