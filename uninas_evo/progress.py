"""Seeing a search run: a live table in a terminal or notebook, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

from uninas_evo.engine.display import Display
from uninas_evo.formats import duration

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from uninas_evo.engine.loop import Loop
    from uninas_evo.engine.preflight import Preflight

_LINE_EVERY_S = 10.0
_DRAW_EVERY_S = 0.1
_NOTEBOOK_EVERY_S = 0.5


class PlainDisplay(Display):
    """A line on stderr every ten seconds."""

    _last = 0.0

    def say(self, text: str) -> None:
        """One line on stderr."""
        print(text, file=sys.stderr, flush=True)

    def started(self, loop: Loop, before: Preflight) -> None:
        """Says what to expect."""
        self.say(_expectation(loop, before))
        self._last = time.monotonic()

    def update(self, loop: Loop) -> None:
        """A line, if the last one is ten seconds old."""
        if time.monotonic() - self._last >= _LINE_EVERY_S:
            self._last = time.monotonic()
            self.say(", ".join(f"{name} {value}" for name, value in figures(loop).items()))


class RichDisplay(PlainDisplay):
    """A live table in a terminal: figures, a bar, and what each worker does."""

    _live: Live | None = None

    def started(self, loop: Loop, before: Preflight) -> None:
        """Says what to expect and opens the table."""
        from rich.console import Console
        from rich.live import Live

        self.say(_expectation(loop, before))
        self._live = Live(console=Console(stderr=True, markup=False), auto_refresh=False, transient=True)
        self._live.start()

    def update(self, loop: Loop) -> None:
        """Draws the table anew, ten times a second at most."""
        if self._live is not None and time.monotonic() - self._last >= _DRAW_EVERY_S:
            self._last = time.monotonic()
            self._live.update(live_table(loop), refresh=True)

    def ended(self) -> None:
        """Closes the table."""
        if self._live is not None:
            self._live.stop()
            self._live = None


class NotebookDisplay(PlainDisplay):
    """A bar and the figures as a notebook's output, which is drawn anew in its place."""

    _draw: Callable[[], object] | None = None

    def started(self, loop: Loop, before: Preflight) -> None:
        """Says what to expect and shows the bar."""
        from IPython import display

        shown: Any = display
        self.say(_expectation(loop, before))
        handle = shown.display(shown.HTML(_bar(loop)), display_id=True)
        self._draw = lambda: handle.update(shown.HTML(_bar(loop)))

    def update(self, loop: Loop) -> None:
        """Draws the bar anew, twice a second at most."""
        if self._draw is not None and time.monotonic() - self._last >= _NOTEBOOK_EVERY_S:
            self._last = time.monotonic()
            self._draw()

    def ended(self) -> None:
        """Draws the bar as it ended."""
        if self._draw is not None:
            self._draw()
            self._draw = None


def _bar(loop: Loop) -> str:
    done, total = _extent(loop)
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in figures(loop).items())
    return f'<progress value="{done:.6g}" max="{total:.6g}"></progress><table>{rows}</table>'


def _in_notebook() -> bool:
    """Whether a Jupyter kernel runs this process."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def open_display(quiet: bool) -> Display:
    """The display that fits the terminal or the notebook."""
    if quiet:
        return Display()
    if _in_notebook():
        return NotebookDisplay()
    return RichDisplay() if sys.stderr.isatty() else PlainDisplay()


def figures(loop: Loop) -> dict[str, str]:
    """The figures of a run that is under way, in words."""
    known = [event for event in loop.results.values() if event.values is not None]
    rate = loop.scored / loop.elapsed_s if loop.elapsed_s > 0 else 0.0
    goal = "" if loop.evaluations == float("inf") else f"/{loop.evaluations:.0f}"
    shown = {"evaluations": f"{loop.scored}{goal}"}
    for objective in loop.problem.objectives:
        values = [event.values[objective.name] for event in known if event.values]
        if values:
            best = max(values) if objective.goal == "maximize" else min(values)
            shown[f"best {objective.name}"] = f"{best:.6g}"
    if loop.results:
        shown["scored without failure"] = f"{len(known) / len(loop.results):.0%}"
    shown["per second"] = f"{rate:.2g}"
    shown["time"] = duration(loop.elapsed_s)
    left = min((loop.evaluations - loop.scored) / rate if rate else float("inf"), loop.time_limit_s - loop.elapsed_s)
    if left < float("inf"):
        shown["left"] = duration(left)
    return shown


def _extent(loop: Loop) -> tuple[float, float]:
    """How far a run is, and how far it goes: in evaluations where these end it, else in seconds."""
    limited = loop.evaluations < float("inf")
    return (loop.scored, loop.evaluations) if limited else (loop.elapsed_s, loop.time_limit_s)


def _expectation(loop: Loop, before: Preflight) -> str:
    """The preflight line."""
    left = loop.evaluations - loop.scored
    time_s = min(before.predicted_s(left), loop.time_limit_s - loop.elapsed_s)
    kinds = ", ".join(f"{before.devices.count(name)} × {name}" for name in dict.fromkeys(before.devices))
    values = ", ".join(f"{name} {before.values[name]:.6g}" for name in _names(loop))
    length = f"{left:.0f} evaluations" if left < float("inf") else "as many evaluations as that allows"
    return (
        f"{kinds}; the start network scores {values} in {before.seconds:.2g} s; "
        f"about {duration(time_s)} for {length}, "
        f"{before.memory_bytes / 1e9:.2g} GB a worker, {before.feasible:.0%} of search steps are feasible"
    )


def _names(loop: Loop) -> list[str]:
    return [objective.name for objective in loop.problem.objectives]


def live_table(loop: Loop) -> RenderableType:
    """The figures of a run, what each worker does, and how far it is."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    done, total = _extent(loop)
    table = Table.grid(padding=(0, 2))
    table.add_row(Text("done", style="dim"), ProgressBar(total=total, completed=done, width=40))
    for name, value in figures(loop).items():
        table.add_row(Text(name, style="dim"), value)
    for one in loop.pool.activity() if loop.pool is not None else []:
        doing = "idle" if one.job is None else f"candidate {one.job}"
        table.add_row(Text(f"worker {one.worker}", style="dim"), f"{doing} on {one.device}")
    return table
