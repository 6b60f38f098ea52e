"""Training curves of what was trained from this run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uninas_evo.files import parse_json
from uninas_evo.pages import template
from uninas_evo.pages.palette import DASHES, SERIES
from uninas_evo.report.plots import inline_svg, legend, new_figure, style
from uninas_evo.report.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_TRAININGS = 24
"""Trainings that are drawn: more curves than that cannot be told apart."""
LARGEST = 10_000_000
"""Bytes of a file of metrics that the page reads."""

Lines = Sequence[Mapping[str, Any]]


def trainings(run: Run) -> str:
    """The training loss and the validation metric, epoch by epoch, of what lies in the folder's `train`."""
    root = run.folder / "train"
    paths = sorted(path for path in root.rglob("metrics.jsonl") if not path.is_symlink())
    found = {path.parent.relative_to(root).as_posix(): lines for path in paths if (lines := read_metrics(path))}
    if not found:
        return ""
    more = f" The first {MAX_TRAININGS} of {len(found)}." if len(found) > MAX_TRAININGS else ""
    drawn = dict(list(found.items())[:MAX_TRAININGS])
    caption = f"Loss while training, and the first validation metric that all of them share.{more}"
    return "<h2>Trainings</h2>" + template.figure(inline_svg(_figure(drawn)), caption)


def read_metrics(path: Path) -> Lines:
    """The lines of a training's metrics; none where the file is damaged or larger than `LARGEST`."""
    try:
        if path.stat().st_size > LARGEST:
            return []
        lines = [parse_json(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, RecursionError):
        return []
    return lines if all(isinstance(line, dict) for line in lines) else []


def _figure(found: Mapping[str, Lines]) -> Figure:
    shared = [name for name in next(iter(found.values()))[0] if all(name in lines[0] for lines in found.values())]
    metric = next((name for name in shared if name.startswith("val_") and name != "val_loss"), "val_loss")
    figure = new_figure(10, 3.8 + 0.2 * len(found))
    for axes, name in zip(figure.subplots(1, 2), ("loss", metric), strict=True):
        for index, (title, lines) in enumerate(found.items()):
            values = [_finite(line.get(name)) for line in lines]
            color, dash = SERIES[index % len(SERIES)], DASHES[index // len(SERIES) % len(DASHES)]
            marker = "o" if len(values) == 1 else ""
            axes.plot(range(1, len(values) + 1), values, color=color, linestyle=dash, marker=marker, label=title)
        style(axes, "epoch", name)
    legend(figure.axes[0], loc="upper left", bbox_to_anchor=(0, -0.18))
    return figure


def _finite(value: object) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else math.nan  # type: ignore[arg-type]
