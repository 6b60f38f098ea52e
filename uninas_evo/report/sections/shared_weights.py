"""How shared weights and a policy over them were trained: curves, and alarms that say what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from uninas_evo.files import parse_json
from uninas_evo.pages import template
from uninas_evo.pages.palette import DASHES, SERIES
from uninas_evo.report.plots import inline_svg, legend, new_figure, style
from uninas_evo.report.run import Run, space_of
from uninas_evo.report.sections.trainings import read_metrics
from uninas_evo.stats.ranks import kendall

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from uninas_evo.contracts.array import FloatArray

PANELS = {
    "loss": ("loss", "policy_loss"),
    "nats": ("entropy", "least_entropy"),
    "accuracy": ("mixture_accuracy", "path_accuracy"),
    "skips": ("skips",),
    "reward": ("reward",),
    "dominant eigenvalue": ("eigenvalue",),
}
"""What each panel shows of the lines of `steps.jsonl`, where they have it."""
MANY_SKIPS = 3
"""Skips of a derived normal cell that are too many; DARTS+ stops at 2, P-DARTS allows 2."""
UNDECIDED = 0.95
"""Share of its first entropy above which a policy has learned next to nothing."""
GAP = 0.2
"""Accuracy that a mixture may have beyond the derived path's, at the same weights."""
GROWTH = 1.3
"""Of the dominant eigenvalue, from which on RobustDARTS stops."""
MIN_PAIRS = 3
"""Networks that a rank correlation is told of."""

Lines = Sequence[Mapping[str, Any]]


def shared_weights(run: Run) -> str:
    """Losses, entropy, skips, the gap between mixture and path; nothing where no weights were shared."""
    lines = read_metrics(run.folder / "supernet" / "steps.jsonl")
    if not lines:
        return ""
    told = "".join(f'<p class="alarm"><strong>{escape(text)}</strong></p>' for text in alarms(lines))
    caption = "What the steps of the training recorded. Mixture and path have the same weights and the same images."
    ranks = ranking(run)
    note = f'<p class="note">{escape(ranks)}</p>' if ranks else ""
    figure = template.figure(inline_svg(_figure(lines)), caption)
    return "<h2>Shared weights</h2>" + told + figure + note + distribution(run)


def alarms(lines: Lines) -> list[str]:
    """Signs of collapse in the last lines, each with what to do about it."""
    found, last = [], _last(lines, "skips")
    if last >= MANY_SKIPS and last > _first(lines, "skips"):
        found.append(
            f"Collapse: the derived cell skips {last:.0f} times, up from {_first(lines, 'skips'):.0f}. Stop earlier "
            "(stop_skips = 2), limit them (max_skips = 2), or use a stronger weight_decay, PC-DARTS or gdas."
        )
    share = _last(lines, "entropy") / _first(lines, "entropy") if _first(lines, "entropy") else math.nan
    if share > UNDECIDED:
        found.append(
            f"Undecided: the entropy of the policy is {share:.0%} of its first value, so that what is derived is "
            "hardly more than chance. Take more steps or a higher policy_lr."
        )
    gap = _last(lines, "mixture_accuracy") - _last(lines, "path_accuracy")
    if gap > GAP:
        found.append(
            f"Gap: the mixture's accuracy is {gap:.2f} above that of the path derived from it. Use gdas or unas, or an "
            "entropy_penalty."
        )
    growth = _last(lines, "eigenvalue") / _first(lines, "eigenvalue") if _first(lines, "eigenvalue") > 0 else math.nan
    if growth > GROWTH:
        found.append(
            f"Sharp: the dominant eigenvalue grew by {growth:.1f}, before which RobustDARTS stops at {GROWTH}. Stop "
            "earlier, or use a stronger weight_decay."
        )
    return found


def ranking(run: Run) -> str:
    """How the objective `supernet` ranks the run's networks that were trained alone; empty where there are too few."""
    names = [objective.name for objective in run.record.objectives]
    if "supernet" not in names:
        return ""
    scores = dict(zip(run.record.ids, run.record.values[:, names.index("supernet")].tolist(), strict=True))
    alone: dict[str, list[float]] = {}
    for path in sorted((run.folder / "train").rglob("metrics.jsonl")):
        known = next((name for name in path.parts if name in scores), None)
        lines = [] if known is None or path.is_symlink() else read_metrics(path)
        if known is not None and lines and math.isfinite(value := _number(lines[-1].get("val_accuracy"))):
            alone.setdefault(known, []).append(value)
    if len(alone) < MIN_PAIRS:
        return ""
    shared, trained = (np.array(v) for v in ([scores[i] for i in alone], [np.mean(v) for v in alone.values()]))
    error = math.sqrt(2 * (2 * len(alone) + 5) / (9 * len(alone) * (len(alone) - 1)))
    value = kendall(shared, trained)
    return (
        f"Kendall's tau between accuracy with shared weights and that of {len(alone)} networks trained alone: "
        f"{value:.2f} ± {error:.2f}."
    )


def distribution(run: Run) -> str:
    """The policy at the end as a table: the options of each slot with their probabilities, the most probable first."""
    try:
        logits = parse_json((run.folder / "supernet" / "logits.json").read_text(encoding="utf-8"))
        chances = {str(name): _softmax(values) for name, values in logits.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return ""
    found = space_of(run.record.genomes[0], None) if run.record.genomes else None
    options = {slot.name: slot.options for slot in getattr(found[0], "decisions", ())} if found else {}
    rows = []
    for name, p in chances.items():
        named = options.get(name, ())
        words = named if len(named) == len(p) else tuple(f"option {index}" for index in range(len(p)))
        order = np.argsort(-p, kind="stable")
        rows.append([name, ", ".join(f"{words[index]} {p[index]:.0%}" for index in order)])
    table = template.table(["slot", "options and their probabilities"], rows)
    return f"<details><summary>What the policy ended with, {len(rows)} slots</summary>{table}</details>"


def _softmax(logits: object) -> FloatArray:
    values = np.asarray(logits, dtype=float)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ValueError("logits are a list of numbers")
    weights = np.exp(values - values.max())
    return np.asarray(weights / weights.sum())


def _figure(lines: Lines) -> Figure:
    panels = {
        title: shown for title, names in PANELS.items() if (shown := [n for n in names if any(n in x for x in lines)])
    }
    figure = new_figure(10, 2.9 * math.ceil(len(panels) / 2))
    grid = np.atleast_1d(figure.subplots(math.ceil(len(panels) / 2), min(2, len(panels)))).flatten()
    for axes, (title, names) in zip(grid, panels.items(), strict=False):
        for index, name in enumerate(names):
            known = [(_number(line.get("step")), _number(line[name])) for line in lines if name in line]
            marker = "o" if len(known) == 1 else ""
            axes.plot(
                *zip(*known, strict=True), color=SERIES[index], linestyle=DASHES[index], marker=marker, label=name
            )
        style(axes, "step", title)
        legend(axes)
    for axes in grid[len(panels) :]:
        axes.remove()
    return figure


def _number(value: object) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else math.nan  # type: ignore[arg-type]


def _first(lines: Lines, name: str) -> float:
    return next((_number(line[name]) for line in lines if name in line), math.nan)


def _last(lines: Lines, name: str) -> float:
    return _first(lines[::-1], name)
