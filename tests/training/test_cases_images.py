"""Images that other tools get wrong: each is read as a viewer shows it, or refused by name."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uninas_evo.errors import DataError
from uninas_evo.spaces.uninas import Skeleton, preset
from uninas_evo.training.check import check, statement
from uninas_evo.training.genomes import train_genome
from uninas_evo.training.images import ImageSet, Splits, from_datasets, make_splits
from uninas_evo.training.pixels import decode, examine
from uninas_evo.training.protocol import Protocol, load_protocol
from uninas_evo.training.readers import read_splits
from uninas_evo.training.transforms import eval_transform, train_transform

RAMP = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
PROTOCOL = Protocol(epochs=2, batch_size=2, lr=1e-3)


def folder(root: Path, count: int = 5, parts: tuple[str, ...] = ("train", "val", "test")) -> Path:
    """Two classes of gray squares."""
    for part in parts:
        for label, name in enumerate(("cat", "dog")):
            (root / part / name).mkdir(parents=True)
            for i in range(count):
                Image.new("L", (16, 16), 100 * label + i).save(root / part / name / f"{i}.png")
    return root


def of_file(image: Image.Image, path: Path, **options: object) -> np.ndarray:
    image.save(path, **options)
    return ImageSet([str(path)], np.zeros(1, np.int64)).read(0)


@pytest.mark.parametrize("ending", ["png", "tiff", "pgm"])
def test_sixteen_bits_keep_their_ramp(tmp_path: Path, ending: str) -> None:
    """A ramp over 16 bits comes back as 0, 1, 2, ..., 255, from a file as from an array."""
    assert of_file(Image.fromarray(RAMP), tmp_path / f"a.{ending}").ravel().tolist() == list(range(256))
    assert ImageSet([RAMP], np.zeros(1, np.int64)).read(0).ravel().tolist() == list(range(256))


def test_dark_sixteen_bits_are_refused(tmp_path: Path) -> None:
    """12-bit pixels in 16-bit files would come down to 16 grays: the check says so."""
    folder(tmp_path)
    for path in tmp_path.rglob("*.png"):
        Image.fromarray(RAMP // 17).save(path)
    with pytest.raises(DataError, match=r"use less than a sixteenth of 0\.\.65535"):
        check(read_splits(tmp_path, 0.2), 2)


@pytest.mark.parametrize(
    "array", [np.linspace(0, 1, 256, dtype=np.float32), np.linspace(0, 60000, 256, dtype=np.int32)]
)
def test_deeper_pixels_are_refused_in_the_check(tmp_path: Path, array: np.ndarray) -> None:
    """TIFF files of floats or 32-bit integers are refused with file and mode before the first epoch."""
    folder(tmp_path)
    Image.fromarray(array.reshape(16, 16)).save(tmp_path / "train" / "cat" / "odd.tiff")
    with pytest.raises(DataError, match=r"odd\.tiff has pixels of mode '[FI]', whose values 8 bits cannot hold"):
        check(read_splits(tmp_path, 0.2), 2)


@pytest.mark.parametrize(
    "item",
    [
        np.zeros((8, 8), np.float32),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((3, 8, 8), np.uint8),
        np.zeros((0, 8), np.uint8),
        np.zeros((8, 8), bool),
        np.zeros(64, np.uint8),
    ],
)
def test_wrong_items_of_datasets_are_refused_in_the_check(item: np.ndarray) -> None:
    """Arrays that are no uint8 images are refused before the first epoch."""
    data = [(item, i % 2) for i in range(8)]
    with pytest.raises(DataError, match=r"image number \d must be uint8 or uint16 of shape"):
        check(from_datasets(data, data), 2)


def test_tensors_and_tables_are_refused_in_the_check() -> None:
    """Items changed by ToTensor, or that are tables, get one message."""
    import torch

    data = [(torch.zeros(3, 8, 8), i % 2) for i in range(8)]
    with pytest.raises(DataError, match=r"is a Tensor: give PIL images or uint8 arrays .* without ToTensor"):
        check(from_datasets(data, data), 2)
    tables = [{"image": 0, "label": 0, "more": 1}] * 4
    with pytest.raises(DataError, match=r"is no pair \(image, label\)"):
        from_datasets(tables, tables)


def test_images_stand_as_viewers_show_them(tmp_path: Path) -> None:
    """An EXIF orientation turns the pixels; what is transparent is laid on white, alike for all modes."""
    upper = np.zeros((16, 16), np.uint8)
    upper[:8] = 255
    exif = Image.Exif()
    exif[0x0112] = 3
    turned = of_file(Image.fromarray(upper), tmp_path / "a.jpg", exif=exif.tobytes(), quality=95)
    assert turned[:6].max() < 30
    assert turned[10:].min() > 225
    for mode in ("RGBA", "LA", "PA"):
        clear = (
            of_file(Image.new("RGBA", (8, 8), (255, 0, 0, 0)).convert(mode), tmp_path / f"{mode}.tiff")
            if (mode != "PA")
            else ImageSet(
                [Image.new("RGBA", (8, 8), (255, 0, 0, 0)).convert("P").convert("PA")], np.zeros(1, int)
            ).read(0)
        )
        assert clear.shape[2] == (1 if mode == "LA" else 3)
        if mode != "PA":
            assert (clear == 255).all()
    half = Image.new("RGB", (8, 8), (255, 0, 0))
    half.putpixel((0, 0), (0, 255, 0))
    keyed = of_file(half, tmp_path / "keyed.png", transparency=(255, 0, 0))
    assert keyed[1, 1].tolist() == [255, 255, 255]
    assert keyed[0, 0].tolist() == [0, 255, 0]


@pytest.mark.parametrize(("mode", "channels"), [("1", 1), ("L", 1), ("P", 3), ("RGB", 3), ("CMYK", 3)])
def test_modes_of_eight_bits_are_read(tmp_path: Path, mode: str, channels: int) -> None:
    """One-bit, gray, palette, color and print modes are read; gray stays gray, white stays white."""
    image = Image.new("RGB", (8, 8), (255, 255, 255))
    if mode == "P":
        image.putpixel((0, 0), (255, 0, 0))
    pixels = of_file(image.convert(mode), tmp_path / "a.tiff")
    assert pixels.shape == (8, 8, channels)
    assert (pixels[4, 4] == 255).all()


def test_bombs_are_refused_by_name(tmp_path: Path) -> None:
    """A PNG of 200 million pixels is told by its name and the limit."""
    folder(tmp_path)
    Image.new("1", (20_000, 10_000)).save(tmp_path / "train" / "dog" / "big.png")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DataError, match=r"big\.png has more than 89,478,485 pixels"):
            check(read_splits(tmp_path, 0.2), 2)


def stripes(width: int, count: int = 120) -> ImageSet:
    """Noise 16 pixels high, brighter in the left fifth for class 1."""
    rng = np.random.default_rng(width)
    images = rng.integers(60, 140, (count, 16, width), dtype=np.uint8)
    labels = np.arange(count) % 2
    images[labels == 1, :, : width // 5] += 80
    return ImageSet(images, labels)


@pytest.mark.parametrize("width", [16, 32, 64])
@pytest.mark.parametrize("mode", ["squash", "border"])
def test_no_side_is_lost(width: int, mode: str) -> None:
    """Whatever the proportion, both transforms keep what is seen at the left edge."""
    images = stripes(width)
    for make in (train_transform, eval_transform):
        transform = make(PROTOCOL.replace(crop_mode=mode, scale=(0.9, 1.0), ratio=(0.95, 1.05)), (3, 16, 16))
        left = np.asarray([transform(images.read(i)).max(axis=(0, 1))[:3].mean() for i in range(40)], dtype=float)
        assert left[1::2].min() > left[::2].max() + 15, (make, width)


def test_cutting_is_told(tmp_path: Path) -> None:
    """The statement says what becomes of images in another proportion, and how much is cut away."""
    part = stripes(64, 20)
    splits = make_splits(part, part, part, (), 0.1)
    told = {mode: statement(splits, (3, 16, 16), PROTOCOL.replace(crop_mode=mode)) for mode in ("squash", "center")}
    assert any("squeezed to 16 x 16, nothing is cut away" in line for line in told["squash"])
    assert any("60 of 60 images" in line and "75% of their area is cut away" in line for line in told["center"])


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 16])
@pytest.mark.parametrize("size", [(8, 8), (28, 20), (9, 40)])
def test_any_channels_and_sides(channels: int, size: tuple[int, int]) -> None:
    """1 to 16 channels and H != W pass both transforms; where nothing is resized, evaluation changes no pixel."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (*size, channels), dtype=np.uint8)
    whole = eval_transform(PROTOCOL, (channels, *size))(pixels)
    assert np.array_equal(whole, pixels.transpose(2, 0, 1))
    for mode in ("squash", "border", "center"):
        settings = PROTOCOL.replace(crop_mode=mode, scale=(0.5, 1.0), ratio=(0.5, 2.0), hflip=0.5)
        assert train_transform(settings, (channels, 12, 8))(pixels).shape == (channels, 12, 8)
        assert eval_transform(settings, (channels, 12, 8))(pixels).shape == (channels, 12, 8)


def test_gray_images_stay_gray() -> None:
    """With color changes on, a gray image of a network of one channel has one; for three it is repeated."""
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 1), dtype=np.uint8)
    settings = PROTOCOL.replace(auto_augment="rand-m9-n2", mean=(0.485, 0.456, 0.406))
    assert train_transform(settings, (1, 16, 16))(pixels).shape == (1, 16, 16)
    three = eval_transform(settings, (3, 16, 16))(pixels)
    assert (three == three[:1]).all()
    part = ImageSet(np.zeros((8, 16, 16, 3), np.uint8), np.arange(8) % 2)
    with pytest.raises(DataError, match="24 images have 3 channels and the network takes 1"):
        check(Splits(part, part, part, ("a", "b")), 2, channels=1)


def png(depth: int, color: int, rows: np.ndarray, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG file of samples as they are."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = struct.pack(">IIBBBBB", rows.shape[1], rows.shape[0], depth, color, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    parts = [(b"IHDR", head), *more, (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def in_colors(ramp: np.ndarray, form: str) -> bytes:
    """A gray ramp as a file of 16 bits in each of several colors."""
    colors = np.repeat(ramp.astype(">u2")[:, :, None], 3, 2)
    opaque = np.full((*ramp.shape, 1), 65535, ">u2")
    match form:
        case "rgb.png":
            return png(16, 2, colors)
        case "rgba.png":
            return png(16, 6, np.concatenate([colors, opaque], 2).astype(">u2"))
        case "la.png":
            return png(16, 4, np.concatenate([colors[:, :, :1], opaque], 2).astype(">u2"))
    return b"P6 16 16 65535\n" + colors.tobytes()


@pytest.mark.parametrize("form", ["rgb.png", "rgba.png", "la.png", "rgb.ppm"])
@pytest.mark.parametrize("few", [False, True])
def test_sixteen_bits_in_several_colors(tmp_path: Path, form: str, few: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """They keep their ramp and are told, and dark ones are refused, also among too many files to decode them all."""
    folder(tmp_path)
    for path in list(tmp_path.rglob("*.png")):
        path.unlink()
        path.with_suffix(f".{form}").write_bytes(in_colors(RAMP, form))
    if few:
        monkeypatch.setattr("uninas_evo.training.check.DECODED", 2)
    splits = read_splits(tmp_path, 0.2)
    assert splits.train.read(0)[:, :, 0].ravel().tolist() == list(range(256))
    check(splits, 2)
    assert any("of 16 bits, scaled to 8" in line for line in statement(splits, (3, 16, 16), PROTOCOL))
    for path in tmp_path.rglob(f"*.{form}"):
        path.write_bytes(in_colors(RAMP // 17, form))
    with pytest.raises(DataError, match=r"use less than a sixteenth of 0\.\.65535"):
        check(read_splits(tmp_path, 0.2), 2)


@pytest.mark.parametrize("mode", ["L", "I;16", "RGB"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_turned_tiff_files(tmp_path: Path, mode: str, orientation: int, compression: str | None) -> None:
    """Each orientation, packed or not, opened by path or by the user, and told alike by the header alone."""
    flat = (np.arange(16 * 24).reshape(16, 24) * 3 % 251).astype(np.uint8)
    stored = {"L": flat, "I;16": flat.astype(np.uint16) * 257, "RGB": np.stack([flat, flat // 2, flat // 3], 2)}[mode]
    turn = [lambda a: a, np.fliplr, lambda a: a[::-1, ::-1], np.flipud, lambda a: np.swapaxes(a, 0, 1)]
    turn += [lambda a: np.rot90(a, -1), lambda a: np.swapaxes(a[::-1, ::-1], 0, 1), lambda a: np.rot90(a, 1)]
    right = turn[orientation - 1](stored // 257 if mode == "I;16" else stored)
    right = right[:, :, None] if right.ndim == 2 else right
    path = tmp_path / "a.tif"
    Image.fromarray(stored).save(path, tiffinfo={0x0112: orientation}, compression=compression)
    for item in (path, Image.open(path)):
        pixels, facts = decode(item, "a.tif")
        assert np.array_equal(pixels, right)
        assert (facts.height, facts.width) == right.shape[:2]
    early = examine(path, whole=False)
    assert (early.height, early.width, early.channels) == right.shape


def test_headers_tell_what_decoding_does(tmp_path: Path) -> None:
    """Palettes that are gray, transparent or colored: the same channels by both ways."""
    for name, colors in {"gray": [0, 0, 0, 9, 9, 9], "colored": [0, 0, 0, 9, 0, 0]}.items():
        image = Image.fromarray(np.eye(4, dtype=np.uint8))
        image.putpalette(colors)
        for clear in (None, 0):
            path = tmp_path / f"{name}{clear}.png"
            image.save(path, **({} if clear is None else {"transparency": clear}))
            assert examine(path, whole=False) == decode(path, "x")[1]


def test_a_transparent_gray_of_sixteen_bits_is_laid_on_white(tmp_path: Path) -> None:
    """As one of 8 bits."""
    for depth, ramp, first in ((16, RAMP.astype(">u2"), 257), (8, np.arange(256, dtype=np.uint8).reshape(16, 16), 1)):
        path = tmp_path / f"{depth}.png"
        path.write_bytes(png(depth, 0, ramp, (b"tRNS", first.to_bytes(2, "big"))))
        pixels, facts = decode(path, "x")
        assert pixels[0, :3, 0].tolist() == [0, 255, 2]
        assert "transparent, laid on white" in facts.notes


def test_a_negative_of_sixteen_bits_is_shown_as_it_is_meant(tmp_path: Path) -> None:
    """TIFF files may say that zero is white."""
    for ramp in (RAMP, np.arange(256, dtype=np.uint8).reshape(16, 16)):
        path = tmp_path / "a.tif"
        Image.fromarray(ramp).save(path)
        data = path.read_bytes()
        black, white = struct.pack("<HHII", 262, 3, 1, 1), struct.pack("<HHII", 262, 3, 1, 0)
        assert black in data
        path.write_bytes(data.replace(black, white))
        assert decode(path, "x")[0].ravel().tolist() == list(range(255, -1, -1))


def test_arrays_of_other_byte_orders_are_the_same_images() -> None:
    """A network's or an instrument's order of bytes changes no value."""
    assert np.array_equal(decode(RAMP.astype(">u2"), "x")[0], decode(RAMP, "x")[0])


@pytest.mark.parametrize("width", [16, 32, 64])
def test_what_stands_at_the_side_is_learned(tmp_path: Path, width: int) -> None:
    """Classes that the left fifth of wide images tells apart are learned: images are squeezed, not cut."""
    rng = np.random.default_rng(0)
    labels = np.arange(240) % 2
    images = rng.integers(60, 120, (240, 16, width), dtype=np.uint8)
    images[labels == 1, :, : width // 5] += 100
    np.savez(tmp_path / "d.npz", x_train=images[:160], y_train=labels[:160], x_test=images[160:], y_test=labels[160:])
    genome = preset("resnet", Skeleton(image_size=16, classes=2, stem=(4, 4), channels=(8,), depths=(1,)))
    protocol = load_protocol("small").replace(epochs=5, batch_size=16, hflip=0.0)
    found = train_genome(genome, read_splits(tmp_path / "d.npz", 0.1), protocol, tmp_path / "t")
    assert found.test_accuracy > 0.95
