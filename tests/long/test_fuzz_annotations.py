"""Damaged annotation files and masks: each is read as it was or refused by one message.

The tests run a sample; the whole is run by hand, which prints the counts for docs/reliability.md:

    python tests/long/test_fuzz_annotations.py 300
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from uninas_evo.errors import UninasEvoError
from uninas_evo.training.protocol import load_protocol
from uninas_evo.training.tasks import task_class
from uninas_evo.training.tasks.objects import encoded

SAMPLE = 60
SIZE = (20, 30)
FORMS = ("coco", "voc", "masks")
TASKS = {"coco": "detection", "voc": "detection", "masks": "segmentation"}


def write_coco(root: Path) -> None:
    """Four images a part, with polygons, run lengths in both forms, a crowd and an image without objects."""
    (root / "images").mkdir()
    mask = np.zeros(SIZE, np.uint8)
    mask[2:12, 5:15] = 1
    shapes: list[Any] = [
        [[4, 5, 14, 5, 14, 13, 4, 13]], encoded(mask), {"size": list(SIZE), "counts": [300, 40, 260]}
    ]  # fmt: skip
    for i in range(4):
        Image.fromarray(np.full((*SIZE, 3), 50 * i, np.uint8)).save(root / "images" / f"{i}.png")
    annotations = [
        {"id": n, "image_id": n // 2, "category_id": 1 + n % 2, "bbox": [4, 2, 11, 11], "iscrowd": int(n == 2),
         "area": 80.5, "segmentation": shapes[n % 3]}
        for n in range(6)
    ]  # fmt: skip
    images = [{"id": i, "file_name": f"{i}.png", "height": SIZE[0], "width": SIZE[1]} for i in range(4)]
    content = {
        "images": images, "annotations": annotations,
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }  # fmt: skip
    for part in ("train", "val"):
        (root / f"instances_{part}.json").write_text(json.dumps(content))


def write_voc(root: Path) -> None:
    """Two images a part with two objects each."""
    for place in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / place).mkdir(parents=True)
    boxes = "".join(
        f"<object><name>{name}</name><difficult>{hard}</difficult><bndbox><xmin>{x}</xmin><ymin>2</ymin>"
        f"<xmax>{x + 9}</xmax><ymax>12</ymax></bndbox></object>"
        for name, hard, x in (("dog", 0, 1), ("cat", 1, 15))
    )
    text = f"<annotation><size><width>30</width><height>20</height></size>{boxes}</annotation>"
    for i, part in enumerate(("train", "train", "val", "val", "test", "test")):
        Image.fromarray(np.full((*SIZE, 3), 40 * i, np.uint8)).save(root / "JPEGImages" / f"00{i}.jpg")
        (root / "Annotations" / f"00{i}.xml").write_text(text)
        with (root / "ImageSets" / "Main" / f"{part}.txt").open("a") as file:
            file.write(f"00{i}\n")


def write_masks(root: Path) -> None:
    """Three images a part, each with all labels."""
    rng = np.random.default_rng(0)
    for part in ("train", "val", "test"):
        for kind in ("images", "annotations"):
            (root / kind / part).mkdir(parents=True)
        for i in range(3):
            Image.fromarray(rng.integers(0, 255, (*SIZE, 3), dtype=np.uint8)).save(root / "images" / part / f"{i}.png")
            labels = np.resize(np.repeat(np.arange(3, dtype=np.uint8), 7), SIZE)
            Image.fromarray(labels).save(root / "annotations" / part / f"{i}.png")


WRITERS: dict[str, Callable[[Path], None]] = {"coco": write_coco, "voc": write_voc, "masks": write_masks}


def damage_bytes(content: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, a part cut out, or the end cut off."""
    data = bytearray(content)
    match rng.randrange(3):
        case 0:
            for _ in range(rng.randint(1, 4)):
                data[rng.randrange(len(data))] = rng.randrange(256)
        case 1:
            start = rng.randrange(len(data))
            del data[start : start + rng.randint(1, 40)]
        case _:
            del data[rng.randrange(len(data)) :]
    return bytes(data)


WRONG: tuple[Any, ...] = (None, -1, 0, 1e300, float("nan"), 2**70, "x", "", [], {}, True, [1, 2], [[None]], 31, 0.5)


def damage_table(content: Any, rng: random.Random) -> None:
    """A field removed, or its value replaced by one out of range or of another kind, anywhere in a JSON tree."""
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
            places.append((node, key))
            walk(node[key])

    walk(content)
    node, key = rng.choice(places)
    if rng.random() < 0.3:
        del node[key]
    else:
        node[key] = rng.choice(WRONG)


def counts(data: Any, form: str) -> tuple[int, ...]:
    """How much of everything was read: images, objects or pixels, classes."""
    parts = data.parts.values()
    if form == "masks":
        return (*map(len, parts), *(int(part.counts.sum()) for part in parts), len(data.classes))
    objects = [sum(len(entry.labels) for entry in part.entries) for part in parts]
    return (*map(len, parts), *objects, *(part.with_masks for part in parts), len(data.classes))


def read(root: Path, form: str) -> Any:
    task = TASKS[form]
    return task_class(task).read(root, load_protocol(f"{task}-small").replace(val_fraction=0.3))


def outcome(form: str, number: int) -> str:
    """`refused`, `same` counts, `told` (other counts, which the notes say) or `silent`; else it raises."""
    rng = random.Random(f"{form}/{number}")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        WRITERS[form](root)
        before = counts(read(root, form), form)
        suffix = {"coco": ".json", "voc": ".xml", "masks": ".png"}[form]
        file = rng.choice(sorted(p for p in root.rglob(f"*{suffix}") if form != "masks" or "annotations" in p.parts))
        if form == "coco" and rng.random() < 0.6:
            content = json.loads(file.read_text())
            damage_table(content, rng)
            file.write_text(json.dumps(content))
        else:
            file.write_bytes(damage_bytes(file.read_bytes(), rng))
        try:
            data = read(root, form)
        except UninasEvoError as error:
            if "\n" in str(error) or len(str(error)) > 2000:
                raise RuntimeError("no one message") from error
            return "refused"
    after, notes = counts(data, form), " ".join(data.notes)
    if after == before:
        return "same"
    return "told" if all(str(n) in notes for n, old in zip(after, before, strict=True) if n != old) else "silent"


@pytest.mark.parametrize("number", range(SAMPLE))
def test_damaged_annotations_are_refused_or_told(number: int) -> None:
    """No damage ends in another error than the library's, nor changes how much is there without a word."""
    form = FORMS[number % len(FORMS)]
    result = outcome(form, number)
    assert result in (("refused", "same") if form == "masks" else ("refused", "same", "told"))


def main(count: int) -> None:
    """Prints how each form fared, and every error that is none of the library's."""
    results: dict[str, Counter[str]] = {form: Counter() for form in FORMS}
    for number in range(count):
        form = FORMS[number % len(FORMS)]
        try:
            result = outcome(form, number)
        except Exception as error:
            result = "raw"
            print(number, form, repr(error)[:200])
        results[form][result] += 1
    for form, found in results.items():
        print(f"{form:6}", dict(sorted(found.items())))
    print("all", dict(sum(results.values(), Counter())))


if __name__ == "__main__":
    main(int(sys.argv[1]))
