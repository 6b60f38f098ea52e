"""The best so far, or the hypervolume as it grew."""

from __future__ import annotations

import numpy as np

from uninas_evo.pages import template
from uninas_evo.report.folder import hypervolume_curve
from uninas_evo.report.plots import HYPERVOLUME, curves_figure, inline_svg, progress_figure, small
from uninas_evo.report.run import Run
from uninas_evo.report.sections.evaluations import dots
from uninas_evo.stats.tests import Curve


def progress(run: Run) -> str:
    """The best so far, or the hypervolume as it grew."""
    record = run.record
    if run.winner is None:
        return "<p>Nothing has a score yet.</p>"
    if len(record.objectives) == 1:
        figure = small(progress_figure(record.drawn[:, 0], record.objectives[0], errors=record.errors[:, 0]))
        noise = " with its standard error" if np.isfinite(record.errors).any() else ""
        attributes = dots(run, np.flatnonzero(np.isfinite(record.drawn[:, 0])))
        caption = f"Every evaluation in the order it was asked, and the best so far{noise}."
    else:
        attributes = ""
        volume = hypervolume_curve(record)
        figure = small(curves_figure({"front": Curve(volume, volume, volume)}, HYPERVOLUME))
        caption = "The hypervolume of the front, up to a point slightly worse than the worst that was scored."
    return "<h2>Progress</h2>" + template.figure(inline_svg(figure), caption, attributes)
