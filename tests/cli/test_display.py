"""The display of a run: its live table is readable, durations are in a person's words."""

from __future__ import annotations

import io

import pytest
from engine_toy import ToyProblem, ToyStrategy
from rich.console import Console

from uninas_evo.engine.journal import Journal
from uninas_evo.engine.loop import Loop
from uninas_evo.formats import duration
from uninas_evo.pool.in_process import InProcessPool
from uninas_evo.progress import RichDisplay, live_table


def finished() -> Loop:
    problem = ToyProblem()
    loop = Loop(problem, ToyStrategy(problem.space, problem.objectives, seed=1), Journal(None), evaluations=8)
    loop.run(InProcessPool(problem))
    return loop


def test_every_figure_has_a_line_of_its_own() -> None:
    """The bar, each figure and each worker stand in two columns: what it is, and its value."""
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    console.print(live_table(finished()))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [line.split()[0] for line in lines[:3]] == ["done", "evaluations", "best"]
    assert lines[1].split() == ["evaluations", "8/8"]
    assert {line.split()[0] for line in lines} >= {"scored", "per", "time"}


def test_a_display_that_was_not_started_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """An update before the start, or an end without one, is no mistake."""
    display = RichDisplay()
    display.update(finished())
    display.ended()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.42, "0.4 s"), (42, "42 s"), (200, "3 min 20 s"), (7500, "2 h 05 min"), (-1, "0.0 s")],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
