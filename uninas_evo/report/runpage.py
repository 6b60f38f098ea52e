"""One self-contained HTML page of a run, also of one that is still going: what it found, how, and how sure that is."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from uninas_evo.files import write_text
from uninas_evo.pages import template
from uninas_evo.report.run import Run, read
from uninas_evo.report.sections import SECTIONS

PAGE = "report.html"


def report(folder: Path, out: Path | None = None) -> Path:
    """Writes the page of a run folder.

    Args:
        folder: what `uninas-evo run` wrote; the run may still be going.
        out: the page; `report.html` in the folder by default.

    Raises:
        JournalError: the folder holds no run, or the page cannot be written.
    """
    path = out or folder / PAGE
    write_text(path, render(read(folder)))
    return path


def follow(
    folder: Path, out: Path | None = None, *, every_s: float = 5, wait: Callable[[float], None] = time.sleep
) -> Path:
    """Writes the page anew, where there is news, until the run ends; an open page reloads itself.

    Args:
        folder: as for `report`.
        out: as for `report`.
        every_s: seconds between two looks.
        wait: sleeps.
    """
    path = out or folder / PAGE
    seen = 0
    while True:
        run = read(folder)
        if len(run.events) != seen:
            write_text(path, render(run, reload_s=None if run.end else every_s))
            seen = len(run.events)
        if run.end:
            return path
        wait(every_s)


def render(run: Run, reload_s: float | None = None) -> str:
    """The page of a run; with `reload_s` it reloads itself after so many seconds."""
    parts = [part for section in SECTIONS if (part := section(run))]
    return template.page(
        run.name,
        "\n".join(parts),
        style=template.asset("network.css", "drawing") + template.asset("report.css", "report"),
        script=template.asset("network.js", "drawing") + template.asset("evaluations.js", "report"),
        head="" if reload_s is None else f'<meta http-equiv="refresh" content="{max(1, round(reload_s))}">\n',
    )
