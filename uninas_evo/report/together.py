"""One self-contained HTML page of several runs, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from os.path import relpath
from pathlib import Path

from uninas_evo.errors import RunFileError
from uninas_evo.files import write_text
from uninas_evo.formats import duration, exact, number
from uninas_evo.pages import template
from uninas_evo.report.plots import curves_figure, inline_svg, label, small
from uninas_evo.report.run import Run, read
from uninas_evo.stats.tests import Curve, best_so_far

PAGE = "runs.html"
_STYLE = "td:nth-child(2), th:nth-child(2) { text-align: left; }\n"


def report_together(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Writes one page of several runs: what each found, and how their best grew.

    Args:
        folders: run folders; runs may still be going.
        out: the page; `runs.html` in the working directory by default.

    Raises:
        JournalError: a folder holds no run.
        RunFileError: a folder is named twice.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        named = " ".join(map(str, folders))
        raise RunFileError(f"runs stand side by side once each, got {named}; leave the repeated one out")
    path = out or Path(PAGE)
    runs = {str(folder): read(folder) for folder in folders}
    write_text(path, template.page("Runs side by side", _summary(runs, path) + _curves(runs), style=_STYLE))
    return path


def _summary(runs: dict[str, Run], page: Path) -> str:
    """A row for each run: its best, what that costs, how long it took."""
    rows = [_row(name, run) for name, run in runs.items()]
    head = ["run", "strategy", "seed", "evaluations", "time", "best, or knee of the front", "its costs"]
    pages = "".join(_link(run, page) for run in runs.values())
    links = f"<p>Their own pages: {pages}</p>" if pages else ""
    return f"{template.table(head, rows)}{links}"


def _row(name: str, run: Run) -> list[str]:
    record = run.record
    found, size = "nothing has a score yet", ""
    if run.winner is not None:
        values = zip(record.objectives, record.values[run.winner].tolist(), strict=True)
        found = ", ".join(f"{label(one)} {number(value)}" for one, value in values if not one.is_cost)
        size = ", ".join(f"{cost} {exact(value)}" for cost, value in record.costs[run.winner].items())
    spent = duration(max((result.measured.at for result in run.history.results.values()), default=0.0))
    strategy = run.header.run.get("strategy", {})
    used = str(strategy.get("name", "")) if isinstance(strategy, dict) else str(strategy)
    return [name, used, str(run.header.seed), str(len(record.numbers)), spent, found, size]


def _link(run: Run, page: Path) -> str:
    """A link to a run's own page, where there is one."""
    own = run.folder / "report.html"
    if not own.is_file():
        return ""
    return f'<a href="{escape(Path(relpath(own, page.parent)).as_posix())}">{escape(run.name)}</a> '


def _curves(runs: dict[str, Run]) -> str:
    """The best so far of all runs in one figure, for each objective that two of them share and that is no cost."""
    kinds = {one for run in runs.values() for one in run.record.objectives if not one.is_cost}
    parts = []
    for objective in sorted(kinds, key=lambda one: one.name):
        curves = {}
        for name, run in runs.items():
            if objective in run.record.objectives and run.winner is not None:
                column = run.record.objectives.index(objective)
                best = best_so_far(run.record.drawn[:, column], objective.goal)
                curves[name] = Curve(best, best, best)
        if len(curves) > 1:
            figure = small(curves_figure(curves, objective, goal=objective.goal))
            caption = f"The best {label(objective)} so far. Scores compare only where runs score alike."
            parts.append(template.figure(inline_svg(figure), caption))
    return "<h2>Progress</h2>" + "".join(parts) if parts else "<p>These runs share no score to draw together.</p>"
