"""Damaged data sets: each is read as it was or refused by one message.

The tests run a sample; the whole is run by hand, which prints the counts for docs/reliability.md:

    python tests/long/test_fuzz_data.py 2000
"""

from __future__ import annotations

import gzip
import random
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uninas_evo.errors import UninasEvoError
from uninas_evo.training.check import check, statement
from uninas_evo.training.images import Splits
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.readers import read_splits

SAMPLE = 60
PROTOCOL = Protocol(epochs=1, batch_size=2, lr=1e-3)
SUMMED = ("png", "npz", "packed npz", "idx.gz")
"""Forms with checksums: in these no change of a pixel may go unseen."""


def pictures() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (12, 8, 8, 3), dtype=np.uint8), np.arange(12) % 2


def write_files(root: Path, ending: str) -> None:
    images, labels = pictures()
    for part in ("train", "val", "test"):
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            place = root / part / "ab"[label]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(place / f"{i:02}.{ending}")


def write_table(root: Path) -> None:
    images, labels = pictures()
    rows = ["file,label,part"]
    for i, image in enumerate(images):
        Image.fromarray(image).save(root / f"{i:02}.png")
        rows.append(f"{i:02}.png,{'ab'[labels[i]]},{('train', 'train', 'val', 'test')[i // 2 % 4]}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")


def write_npz(root: Path, save: Callable[..., None], **change: np.ndarray) -> None:
    images, labels = pictures()
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    save(root / "data.npz", **(arrays | change))


def write_idx(root: Path, packed: bool) -> None:
    images, labels = pictures()
    for stem in ("train", "t10k"):
        for name, array in ((f"{stem}-images-idx3-ubyte", images[..., 0]), (f"{stem}-labels-idx1-ubyte", labels)):
            header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
            data = header + array.astype(np.uint8).tobytes()
            (root / (name + ".gz" * packed)).write_bytes(gzip.compress(data, mtime=0) if packed else data)


FORMS: dict[str, Callable[[Path], None]] = {
    "png": lambda root: write_files(root, "png"),
    "jpg": lambda root: write_files(root, "jpg"),
    "bmp": lambda root: write_files(root, "bmp"),
    "gif": lambda root: write_files(root, "gif"),
    "tiff": lambda root: write_files(root, "tiff"),
    "webp": lambda root: write_files(root, "webp"),
    "csv": write_table,
    "npz": lambda root: write_npz(root, np.savez),
    "packed npz": lambda root: write_npz(root, np.savez_compressed),
    "idx": lambda root: write_idx(root, False),
    "idx.gz": lambda root: write_idx(root, True),
}


def flip(data: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.choice((1, 1, 2, 8))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def cut(data: bytearray, rng: random.Random) -> bytearray:
    return data[: rng.randrange(len(data))]


def blank(data: bytearray, rng: random.Random) -> bytearray:
    start = rng.randrange(len(data))
    length = rng.randrange(1, 40)
    return data[:start] + bytes([rng.choice((0, 255))]) * length + data[start + length :]


def insert(data: bytearray, rng: random.Random) -> bytearray:
    start = rng.randrange(len(data))
    return data[:start] + rng.randbytes(rng.randrange(1, 20)) + data[start:]


def header(data: bytearray, rng: random.Random) -> bytearray:
    """A byte among the first hundred, where sizes and types are announced."""
    data[rng.randrange(min(100, len(data)))] = rng.randrange(256)
    return data


DAMAGES = (flip, flip, cut, blank, insert, header)


def odd_labels(rng: random.Random) -> np.ndarray:
    """Labels that are not 0 and 1 in twelve whole numbers."""
    labels = np.arange(12) % 2
    kinds: list[Callable[[], np.ndarray]] = [
        lambda: labels + rng.choice((0.5, 1e-9, 1e300, np.nan, np.inf)),
        lambda: labels + rng.choice((1, -1, 2, 10**9, 2**62)),
        lambda: np.where(np.arange(12) == rng.randrange(12), rng.choice((-1, 7, 4294967295, 2**63 - 1)), labels),
        lambda: np.where(np.arange(12) == rng.randrange(12), np.nan, labels),
        lambda: labels[: rng.randrange(12)],
        lambda: np.eye(2)[labels],
        lambda: labels.astype(rng.choice(("U3", "S3", "M8[D]", "m8[s]", "c16"))),
        lambda: np.repeat(labels, rng.randrange(2, 5)),
        lambda: np.zeros((12, rng.randrange(2, 5), 1), int),
        lambda: np.full(12, rng.choice((5, 2**64 - 1)), np.uint64),
    ]
    return rng.choice(kinds)()


def damaged(root: Path, form: str, number: int) -> Path:
    """A data set of a form, damaged as the number says; returns what `read_splits` takes."""
    rng = random.Random(number)
    FORMS[form](root)
    if form == "npz" and rng.random() < 0.5:
        write_npz(root, np.savez, **{rng.choice(("y_train", "y_test")): odd_labels(rng)})
    else:
        files = sorted(path for path in root.rglob("*") if path.is_file())
        chosen = next(p for p in files if p.suffix == ".csv") if form == "csv" and number % 2 else rng.choice(files)
        if rng.random() < 0.05:
            chosen.write_bytes(b"") if rng.random() < 0.5 else chosen.unlink()
        else:
            chosen.write_bytes(bytes(rng.choice(DAMAGES)(bytearray(chosen.read_bytes()), rng)))
    return root / "data.npz" if "npz" in form else root


def content(splits: Splits) -> dict[bytes, int]:
    """How often each image with its label stands in any part."""
    return Counter(
        bytes([int(part.labels[i])]) + part.read(i).tobytes()
        for part in splits.parts.values()
        for i in range(len(part))
    )


def outcome(form: str, number: int) -> str:
    """`refused`, `as it was`, `fewer` (images left out, which the statement counts) or `changed`; else it raises."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = Path(folder, "whole")
        whole.mkdir()
        FORMS[form](whole)
        right = content(read_splits(whole / "data.npz" if "npz" in form else whole, 0.2))
        root = Path(folder, "root")
        root.mkdir()
        path = damaged(root, form, number)
        try:
            splits = read_splits(path, 0.2)
            check(splits, 2)
            "\n".join(statement(splits, (3, 8, 8), PROTOCOL)).encode()
            found = content(splits)
        except UninasEvoError as error:
            if "\n" in str(error).encode().decode():
                raise RuntimeError("more than one line") from error
            return "refused"
        finally:
            shutil.rmtree(root)
    if found == right:
        return "as it was"
    return "fewer" if found <= right else "changed"


@pytest.mark.parametrize("number", range(SAMPLE))
def test_damaged_data_is_refused_or_read_as_it_was(number: int) -> None:
    """No damage ends in another error than the library's, nor changes a pixel of a form that has checksums."""
    form = list(FORMS)[number % len(FORMS)]
    result = outcome(form, number)
    assert result != "changed" or form not in SUMMED
    assert result != "fewer" or form not in ("npz", "packed npz", "idx", "idx.gz")


def main(count: int) -> None:
    """Prints how each form fared, and every error that is none of the library's."""
    results: dict[str, Counter[str]] = {form: Counter() for form in FORMS}
    slowest = 0.0
    for number in range(count):
        form = list(FORMS)[number % len(FORMS)]
        start = time.process_time()
        try:
            result = outcome(form, number)
        except Exception as error:
            result = "raw"
            print(number, form, repr(error)[:200])
        slowest = max(slowest, time.process_time() - start)
        if result == "changed" and form in SUMMED:
            print(number, form, "changed")
        results[form][result] += 1
    for form, counts in results.items():
        print(f"{form:10}", dict(sorted(counts.items())))
    print("all", dict(sum(results.values(), Counter())), f"slowest {slowest:.2f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]))
