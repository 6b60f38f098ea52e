"""COCO's average precision of boxes and masks, computed by faster-coco-eval."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from uninas_evo.training.extras import need
from uninas_evo.training.tasks.objects import Entry, ObjectSet, encoded, pixels_of

NAMES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
"""COCO's first six numbers."""


def average_precision(
    part: ObjectSet, results: Sequence[dict[str, Any]], classes: Sequence[str], *, masks: bool
) -> dict[str, float | None]:
    """`box_ap`, `box_ap50`, ... and, with masks, `mask_ap`, ...: 0 to 1, None where there is no such object.

    Args:
        part: what is there.
        results: what was found, as COCO's result files have it: `image_id` (its place in the part), `category_id` (from
            0), `bbox` (x, y, width, height), `score` and, with masks, `segmentation` (run lengths).
        classes: their names.
        masks: whether masks are measured too.
    """
    coco = need("faster_coco_eval")
    kinds = {"box": "bbox", "mask": "segm"} if masks else {"box": "bbox"}
    if not results:
        return {f"{kind}_{name}": 0.0 for kind in kinds for name in NAMES}
    scores: dict[str, float | None] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO(_truth(part, classes, masks))
        for kind, name in kinds.items():
            found = truth.loadRes([dict(result) for result in results])
            evaluation = coco.COCOeval_faster(truth, found, name)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            numbers = np.asarray(evaluation.stats[: len(NAMES)], float)
            scores |= {f"{kind}_{one}": None if n < 0 else float(n) for one, n in zip(NAMES, numbers, strict=True)}
    return scores


def _truth(part: ObjectSet, classes: Sequence[str], masks: bool) -> dict[str, Any]:
    """A part as COCO's annotation files have it, its images and classes numbered from 0."""
    images = [
        {"id": number, "height": entry.size[0], "width": entry.size[1], "file_name": entry.file}
        for number, entry in enumerate(part.entries)
    ]
    annotations: list[dict[str, Any]] = []
    for number, entry in enumerate(part.entries):
        for place in range(len(entry.labels)):
            annotations.append({"id": len(annotations) + 1, "image_id": number, **_annotation(entry, place, masks)})
    return {
        "info": {},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": label, "name": name} for label, name in enumerate(classes)],
    }


def _annotation(entry: Entry, place: int, masks: bool) -> dict[str, Any]:
    x, y, right, bottom = entry.boxes[place].tolist()
    whole = {
        "category_id": int(entry.labels[place]),
        "bbox": [x, y, right - x, bottom - y],
        "area": float(entry.areas[place]),
        "iscrowd": int(entry.ignored[place]),
    }
    if masks:
        whole["segmentation"] = encoded(pixels_of(entry.shapes[place], entry.size))
    return whole
