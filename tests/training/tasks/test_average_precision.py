"""Average precision is COCO's: that of pycocotools, to six digits."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uninas_evo.training.tasks.average_precision import NAMES, average_precision
from uninas_evo.training.tasks.objects import Entry, ObjectSet, encoded

CLASSES = ("a", "b", "c")
SIZE = (120, 160)


def box_mask(box: np.ndarray) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    x, y, right, bottom = box.round().astype(int)
    mask[y:bottom, x:right] = 1
    return mask


def runs(mask: np.ndarray) -> np.ndarray:
    flat = np.concatenate([[0], mask.ravel(order="F"), [1 - mask.ravel(order="F")[-1]]])
    return np.diff(np.concatenate([[0], np.flatnonzero(np.diff(flat)), [mask.size]]))


def case(seed: int, objects: int, crowds: bool) -> tuple[ObjectSet, list[dict[str, Any]]]:
    """Images with overlapping objects, some without any, and what a bad detector finds in them."""
    rng = np.random.default_rng(seed)
    entries, results = [], []
    for number in range(12):
        count = 0 if number % 4 == 3 else int(rng.integers(1, objects))
        low = rng.uniform(0, 70, (count, 2)).round(1)
        boxes = np.concatenate([low, low + rng.uniform(4, 48, (count, 2)).round(1)], 1)
        labels = rng.integers(0, 3, count)
        ignored = (rng.random(count) < 0.2) & crowds
        masks = [box_mask(box) for box in boxes]
        areas = np.array([float(mask.sum()) for mask in masks])
        entries.append(Entry(f"{number}.png", SIZE, boxes, labels, ignored, areas, tuple(map(runs, masks))))
        found = [*boxes, *rng.uniform(0, 60, (3, 4))]
        for box in found:
            moved = np.sort((box + rng.normal(0, 4, 4)).clip(0, 118).reshape(2, 2), axis=0).ravel()
            results.append({
                "image_id": number, "category_id": int(rng.integers(3) if rng.random() < 0.3 else 1),
                "bbox": [*moved[:2], *(moved[2:] - moved[:2])], "score": round(float(rng.random()), 2),
                "segmentation": encoded(box_mask(moved)),
            })  # fmt: skip
    return ObjectSet(tuple(entries)), results


def theirs(part: ObjectSet, results: list[dict[str, Any]], kind: str, folder: Path) -> list[float]:
    """The six numbers of pycocotools, from files of its own reading."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations = [
        {
            "id": 1000 * number + place + 1, "image_id": number, "category_id": int(entry.labels[place]),
            "bbox": [*entry.boxes[place][:2], *(entry.boxes[place][2:] - entry.boxes[place][:2])],
            "area": float(entry.areas[place]), "iscrowd": int(entry.ignored[place]),
            "segmentation": {"size": list(SIZE), "counts": entry.shapes[place].tolist()},
        }
        for number, entry in enumerate(part.entries) for place in range(len(entry.labels))
    ]  # fmt: skip
    images = [{"id": i, "height": SIZE[0], "width": SIZE[1], "file_name": e.file} for i, e in enumerate(part.entries)]
    categories = [{"id": i, "name": name} for i, name in enumerate(CLASSES)]
    truth_file, found_file = folder / "truth.json", folder / "found.json"
    truth_file.write_text(
        json.dumps({"info": {}, "images": images, "annotations": annotations, "categories": categories})
    )
    found_file.write_text(json.dumps(results))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(truth_file))
        evaluation = COCOeval(truth, truth.loadRes(str(found_file)), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(n) for n in evaluation.stats[:6]]


@pytest.mark.parametrize(("seed", "objects", "crowds"), [(0, 5, False), (1, 5, True), (2, 60, False), (3, 140, True)])
def test_equals_pycocotools(seed: int, objects: int, crowds: bool, tmp_path: Path) -> None:
    """Boxes and masks, with crowds, images without objects, and more overlapping ones than are kept."""
    part, results = case(seed, objects, crowds)
    ours = average_precision(part, results, CLASSES, masks=True)
    for kind, name in (("box", "bbox"), ("mask", "segm")):
        expected = theirs(part, results, name, tmp_path)
        found = [ours[f"{kind}_{one}"] for one in NAMES]
        assert [-1 if value is None else value for value in found] == pytest.approx(expected, abs=1e-6)
    assert 0 < (ours["box_ap"] or 0) < 1


def test_nothing_found_is_zero() -> None:
    """No result is an average precision of 0."""
    part, _ = case(0, 5, False)
    assert average_precision(part, [], CLASSES, masks=False) == dict.fromkeys((f"box_{name}" for name in NAMES), 0.0)
