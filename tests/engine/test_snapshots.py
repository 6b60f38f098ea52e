"""Snapshots: a resumed run restores the last one, replays the rest, and writes the journal it would have written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_toy import ToyProblem

from uninas_evo.contracts import Draft, Result
from uninas_evo.engine import snapshots
from uninas_evo.engine.events import AskEvent, Header, ResultEvent, SnapshotEvent, canonical
from uninas_evo.engine.journal import Journal
from uninas_evo.engine.loop import Loop
from uninas_evo.pool.in_process import InProcessPool
from uninas_evo.strategies.base import Lag, SteadyState

HEADER = Header(run={}, seed=0, objectives={"sum": "maximize"}, versions={}, host={}, started="now")


class Learning(SteadyState):
    """Moves its digits towards the best seen by a running mean, which a snapshot keeps."""

    Options = Lag
    objectives_allowed = "one"

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.mean = np.zeros(8)
        self.heard = 0
        self.restored_at: list[int] = []

    def propose(self) -> Draft:
        digits = tuple(int(digit + self.rng.randrange(4)) % 10 for digit in self.mean)
        return Draft(digits, origin="learned")

    def learn(self, result: Result) -> None:
        self.heard += 1
        self.mean += 0.1 * (np.array(result.candidate.genome) - self.mean) * (result.values["sum"] > 30)

    def snapshot(self) -> Mapping[str, Any]:
        return self.saved() | {"mean": self.mean}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.load_saved(state)
        self.restored_at.append(self.next_number)
        self.mean = np.array(state["mean"])


def run(path: Path, evaluations: int) -> tuple[Loop, Learning]:
    problem = ToyProblem()
    strategy = Learning(problem.space, problem.objectives, seed=0)
    journal = Journal(path)
    if not journal.events:
        journal.append(HEADER)
    loop = Loop(problem, strategy, journal, evaluations=evaluations)
    loop.replay()
    loop.run(InProcessPool(problem))
    journal.close()
    return loop, strategy


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "EVERY", 7)


@pytest.mark.parametrize("damage", ["none", "missing", "changed"])
def test_resume_from_a_snapshot_gives_the_same_journal(few: None, tmp_path: Path, damage: str) -> None:
    """Only what came after the snapshot is told again; without a whole one everything is, with the same outcome."""
    (tmp_path / "once").mkdir()
    (tmp_path / "twice").mkdir()
    whole, _ = run(tmp_path / "once" / "journal.jsonl", 60)
    run(tmp_path / "twice" / "journal.jsonl", 40)
    (file,) = (tmp_path / "twice").glob("snapshot-*.safetensors")
    if damage == "missing":
        file.unlink()
    if damage == "changed":
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    again, strategy = run(tmp_path / "twice" / "journal.jsonl", 60)
    assert canonical(again.journal.events) == canonical(whole.journal.events)
    assert again.scored == whole.scored
    assert (strategy.heard < 40) == (damage == "none")


def test_a_snapshot_names_what_was_asked_and_told(few: None, tmp_path: Path) -> None:
    """Its numbers never exceed those of the asks and results before it."""
    loop, _ = run(tmp_path / "journal.jsonl", 30)
    events: Sequence[Any] = loop.journal.events
    found = [place for place, event in enumerate(events) if isinstance(event, SnapshotEvent)]
    assert found
    for place in found:
        before = events[:place]
        assert events[place].asked == sum(isinstance(event, AskEvent) for event in before)
        assert events[place].told <= sum(isinstance(event, ResultEvent) for event in before)


def test_the_last_snapshot_is_taken_up(few: None, tmp_path: Path) -> None:
    """Also where nothing was asked after it."""
    path = tmp_path / "journal.jsonl"
    run(path, 40)
    lines = path.read_text().splitlines(keepends=True)
    (last,) = [place for place, line in enumerate(lines) if json.loads(line)["event"] == "snapshot"][-1:]
    path.write_text("".join(lines[: last + 1]))
    asked = json.loads(lines[last])["asked"]
    again, strategy = run(path, 60)
    assert strategy.restored_at == [asked]
    assert again.scored == 60
