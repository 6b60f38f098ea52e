"""Drawings: thin functions from numbers to matplotlib figures, without pyplot and without global state.

A figure comes back unsaved; `save` writes it as PNG and SVG, `inline_svg` gives markup for a page, in which
the ink takes the page's text color. Colors are those of `pages.palette`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uninas_evo.contracts import Goal, Objective
from uninas_evo.errors import RunFileError
from uninas_evo.files import write_atomically, write_text
from uninas_evo.mistakes import nearest
from uninas_evo.pages.palette import DASHES, INK, SERIES, SKY
from uninas_evo.stats.fronts import FloatArray
from uninas_evo.stats.tests import Curve, best_so_far

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EVALUATIONS = "distinct evaluations"
MANY = 500
"""Beyond this number dots are drawn as pixels, lines beyond four times of it, so that pages of long runs stay small."""
MANY_IN_FILES = 5000
"""The same for files, which are taken apart in editors and printed."""
WIDE = 8
"""Inches beyond which a figure scrolls on a phone: letters in a narrower picture could not be read."""

HYPERVOLUME = Objective("hypervolume", "maximize", unit="share of the box")


def label(objective: Objective) -> str:
    """An objective's name with its unit, where the name does not end with it, as `latency_ms` does."""
    named = not objective.unit or objective.name.endswith(f"_{objective.unit}")
    return objective.name if named else f"{objective.name} ({objective.unit})"


def new_figure(width: float = 6.4, height: float = 4.2) -> Figure:
    """An empty figure (inches) with a canvas of its own."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def style(axes: Axes, x: str | Objective, y: str | Objective, title: str = "") -> None:
    """Names the axes with their units, in one ink; costs get SI prefixes."""
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axes.set(xlabel=_axis(x), ylabel=_axis(y))
    axes.set_title(title, color=INK, fontsize=11)
    for axis, name in ((axes.xaxis, x), (axes.yaxis, y)):
        axis.label.set_color(INK)
        if isinstance(name, Objective) and name.is_cost:
            axis.set_major_formatter(EngFormatter(sep=" "))
        elif name == EVALUATIONS:
            axis.set_major_locator(MaxNLocator(integer=True))
    axes.set_facecolor("none")  # the page's own background, light or dark
    axes.tick_params(colors=INK)
    axes.grid(color=INK, alpha=0.12, linewidth=0.6)
    axes.set_axisbelow(True)
    for name, spine in axes.spines.items():
        spine.set(color=INK, alpha=0.5, visible=name in ("left", "bottom"))


def _axis(named: str | Objective) -> str:
    return named if isinstance(named, str) else label(named)


def legend(axes: Axes, **options: Any) -> None:
    """A legend without frame, in ink; at "best" in the corner with the fewest dots, where these are many."""
    if options.get("loc") == "best":
        options["loc"] = _place(axes)
    axes.legend(frameon=False, labelcolor=INK, fontsize=9, **options)


def _place(axes: Axes) -> str:
    """Matplotlib's own search for the best place looks at every dot thirty times for each file that is written."""
    clouds = [np.asarray(cloud.get_offsets(), float) for cloud in axes.collections]
    dots = np.vstack([np.empty((0, 2)), *(cloud for cloud in clouds if cloud.ndim == 2 and cloud.shape[1] == 2)])
    if len(dots) <= MANY:
        return "best"
    axes.autoscale_view()
    x, y = (axes.transData + axes.transAxes.inverted()).transform(dots).T
    corners = {
        f"{side} {edge}": np.sum((y > 0.7 if side == "upper" else y < 0.3) & (x > 0.6 if edge == "right" else x < 0.4))
        for side in ("upper", "lower")
        for edge in ("right", "left")
    }
    return min(corners, key=lambda corner: corners[corner])


def progress_figure(
    values: FloatArray, objective: Objective, title: str = "", errors: FloatArray | None = None
) -> Figure:
    """Every evaluation of one run (T,) as a dot, and the best so far as a line, in the band of its errors (T,)."""
    figure = new_figure()
    axes = figure.add_subplot()
    count = np.arange(1, len(values) + 1)
    axes.scatter(count, values, s=9, color=SKY, linewidths=0, label="evaluated", gid="dots")
    best = best_so_far(values, objective.goal)
    axes.step(count, best, where="post", color=SERIES[0], linewidth=1.8, label="best so far")
    if errors is not None and np.isfinite(errors).any():
        # Only where the best changes: a band with a corner at each of many evaluations makes the page large.
        held = np.flatnonzero((values == best) & (best != np.append(np.nan, best[:-1])))
        ends, margin = np.append(held + 1, len(values)), errors[np.append(held, held[-1:])]
        middle = values[np.append(held, held[-1:])]
        axes.fill_between(
            ends, middle - margin, middle + margin, step="post", color=SERIES[0], alpha=0.25, linewidth=0,
            label="± standard error",
        )  # fmt: skip
    style(axes, EVALUATIONS, objective, title)
    legend(axes, loc="best")
    return figure


def curves_figure(
    curves: Mapping[str, Curve],
    quantity: str | Objective,
    title: str = "",
    optimum: float | None = None,
    goal: Goal = "maximize",
    only: Collection[str] = (),
) -> Figure:
    """Anytime curves of several strategies: medians with bands of 90 % over seeds, the best named first.

    The axis starts where the medians are after a twentieth of the budget, so that the end can be read. Where `only`
    some are drawn they keep the colors that they have among all.
    """
    figure = new_figure(7.4)
    axes = figure.add_subplot()
    for index, (name, curve) in enumerate(curves.items()):
        if only and name not in only:
            continue
        color, dash = SERIES[index % len(SERIES)], DASHES[index // len(SERIES) % len(DASHES)]
        count = np.arange(1, len(curve.median) + 1)
        axes.fill_between(count, curve.low, curve.high, step="post", color=color, alpha=0.07, linewidth=0)
        for edge in (curve.low, curve.high):  # thin edges: bands that overlap can still be told apart
            axes.step(count, edge, where="post", color=color, alpha=0.6, linewidth=0.5)
        axes.step(count, curve.median, where="post", color=color, linestyle=dash, linewidth=1.8, label=name)
    if optimum is not None:
        axes.axhline(optimum, color=INK, linestyle=":", linewidth=1, label="optimum")
    style(axes, EVALUATIONS, quantity, title)
    curves = {name: curve for name, curve in curves.items() if not only or name in only}
    _zoom(axes, curves, optimum)
    names, finals = list(curves), np.array([curve.median[-1] for curve in curves.values()])
    order = np.argsort(-finals if goal == "maximize" else finals, kind="stable")
    handles = {line.get_label(): line for line in axes.get_lines()}
    ordered = [handles[names[index]] for index in order]
    ordered = [handles["optimum"], *ordered] if optimum is not None else ordered
    figure.legend(handles=ordered, loc="outside right center", frameon=False, labelcolor=INK, fontsize=9)
    return figure


def _zoom(axes: Axes, curves: Mapping[str, Curve], optimum: float | None) -> None:
    """Cuts the axis at the worst median after a twentieth of the evaluations."""
    medians = np.concatenate([curve.median[len(curve.median) // 20 :] for curve in curves.values()])
    bands = np.concatenate([np.append(curve.low[-1:], curve.high[-1:]) for curve in curves.values()])
    known = np.concatenate([medians, bands, [] if optimum is None else [optimum]])
    known = known[np.isfinite(known)]
    if len(known) == 0:
        return
    low, high = known.min(), known.max()
    margin = 0.06 * (high - low) or 0.5
    axes.set_ylim(low - margin, high + margin)


def small(figure: Figure, many: int = MANY) -> Figure:
    """The same figure with clouds of more than `many` dots, and long lines, as pixels."""
    figure.set_dpi(144)
    for axes in figure.axes:
        for cloud in axes.collections:
            points = max([len(np.asarray(cloud.get_offsets())), *(len(path) for path in cloud.get_paths())])
            cloud.set_rasterized(points > many)
        for line in axes.lines:
            line.set_rasterized(len(line.get_path()) > 4 * many)
    return figure


def save(figure: Figure, stem: Path, width: float | None = None) -> tuple[Path, Path]:
    """Writes `stem`.png (150 dpi), `stem`.svg and `stem`.pdf, the same bytes for the same figure.

    Args:
        figure: what is written.
        stem: the files without their endings.
        width: inches, such as the 3.3 of a paper's column: the height follows, letters keep their size, and titles,
            which a caption replaces there, are left out. None leaves the figure as it is.

    Returns:
        The paths of the PNG and the SVG.
    """
    import matplotlib

    if width is not None:
        figure.set_size_inches(width, width * figure.get_figheight() / figure.get_figwidth())
        for axes in figure.axes:
            axes.set_title("")
    small(figure, MANY_IN_FILES)
    png, svg = stem.with_suffix(".png"), stem.with_suffix(".svg")
    write_atomically(
        png, lambda file: figure.savefig(file, format="png", dpi=150, facecolor="white", metadata={"Software": None})
    )
    layout = figure.get_layout_engine()
    figure.set_layout_engine("none")  # all three files have one layout, which is found once
    write_text(svg, _svg(figure, facecolor="white"))
    dates = {"CreationDate": None, "Creator": None}
    with matplotlib.rc_context({"pdf.fonttype": 42}):  # letters that LaTeX and editors can read
        write_atomically(
            stem.with_suffix(".pdf"),
            lambda file: figure.savefig(file, format="pdf", facecolor="white", metadata=dates),
        )
    figure.set_layout_engine(layout)
    return png, svg


def styled(style: str | None) -> AbstractContextManager[None]:
    """Inside, figures are drawn in a matplotlib style: a name such as "grayscale", or the path of a style file.

    Raises:
        RunFileError: there is no such style.
    """
    import matplotlib.style

    if style is None:
        return nullcontext()
    try:
        matplotlib.style.library.get(style) or matplotlib.rc_params_from_file(style)
    except OSError:
        known = matplotlib.style.available
        raise RunFileError(
            f"there is no style {style!r}{nearest(style, known)}; give the path of a style file, or one of "
            f"{', '.join(known)}"
        ) from None
    return matplotlib.style.context(style)


def inline_svg(figure: Figure) -> str:
    """The figure as an `<svg>` element without background and size, its ink in the page's text color."""
    markup = _svg(figure, facecolor="none")
    markup = re.sub(r"<metadata>.*?</metadata>", "", markup[markup.index("<svg") :], flags=re.DOTALL)
    head, body = markup.split(">", 1)
    wide = ' class="wide"' if figure.get_figwidth() > WIDE else ""
    return re.sub(r' (width|height)="[^"]*"', "", head) + wide + ">" + body.replace(INK, "currentColor")


def _svg(figure: Figure, facecolor: str) -> str:
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "uninas-evo", "svg.fonttype": "path"}):
        figure.savefig(text, format="svg", facecolor=facecolor, metadata={"Date": None, "Creator": None})
    return text.getvalue()
