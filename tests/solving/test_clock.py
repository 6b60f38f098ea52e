"""The clock of a task that may be killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from uninas_evo.solving import Clock


class Time:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_time_goes_on_where_a_kill_left_it_and_pauses_are_free(tmp_path: Path) -> None:
    """What was written down counts, what passes between two processes does not."""
    time = Time()
    first = Clock(tmp_path / "clock.json", 100, time)
    time.seconds = 30
    first.tick()
    time.seconds = 5000
    second = Clock(tmp_path / "clock.json", 100, time)
    assert second.spent_s == 30
    time.seconds = 5010
    assert second.left_s == 60


def test_a_tick_writes_once_a_second_at_most(tmp_path: Path) -> None:
    """A kill forgets a second."""
    time, file = Time(), tmp_path / "clock.json"
    clock = Clock(file, 100, time)
    time.seconds = 0.5
    clock.tick()
    assert not file.exists()
    time.seconds = 1.0
    clock.tick()
    before = file.read_text()
    time.seconds = 1.5
    clock.tick()
    assert file.read_text() == before
    clock.keep()
    assert Clock(file, 100, time).spent_s == 1.5


@pytest.mark.parametrize("content", ["", "{", "[]", '{"spent_s": "x"}', '{"spent_s": -5}'])
def test_a_damaged_file_is_no_time(tmp_path: Path, content: str) -> None:
    """The clock begins anew, it never runs backwards."""
    (tmp_path / "clock.json").write_text(content)
    assert Clock(tmp_path / "clock.json", 10, Time()).spent_s == 0
