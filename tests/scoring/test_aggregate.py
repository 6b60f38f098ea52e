"""Aggregates: made ready once a run, by their own proxies alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from uninas_evo.contracts import Objective, Scorer, Subject
from uninas_evo.problems.search import SearchProblem
from uninas_evo.scoring import aggregate
from uninas_evo.spaces.nasbench201.space import NASBench201Space

SPACE = NASBench201Space()


class Counted(Scorer):
    """Counts how often it is asked."""

    objectives = (Objective("counted", "maximize"),)
    times = 0

    def score(self, subject: Subject, device: str) -> dict[str, float]:
        """How often."""
        self.times += 1
        return {"counted": float(self.times)}


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregate, "REFERENCES", 6)


def test_reference_networks_are_scored_by_the_aggregates_proxies_alone() -> None:
    """Another objective, which may be a training, is not asked for them; in any space."""
    counted = Counted()
    problem = SearchProblem(SPACE, [counted], aggregate=["layers", "params"])
    problem.make_ready(None, "cpu", lambda _: None)
    assert counted.times == 0
    values = problem.evaluate(SPACE.start, "cpu")
    assert counted.times == 1
    assert values.keys() == {"counted", "aggregate", "layers", "params", "flops"}


def test_a_run_folder_keeps_the_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read again by a continued run, and not where it is one of other proxies or broken."""
    scored: list[Any] = []
    real = aggregate.scale_of

    def counting(*args: Any) -> aggregate.Scale:
        scored.append(args)
        return real(*args)

    monkeypatch.setattr(aggregate, "scale_of", counting)

    def scale(*parts: str) -> Any:
        problem = SearchProblem(SPACE, [], aggregate=parts)
        problem.make_ready(tmp_path, "cpu", lambda _: None)
        return problem.scorers[-1].scale  # type: ignore[attr-defined]

    first = scale("layers", "params")
    assert json.loads((tmp_path / "aggregate.json").read_text())["mean"].keys() == {"layers", "params"}
    assert scale("layers", "params") == first
    assert len(scored) == 1
    assert scale("layers").mean.keys() == {"layers"}
    (tmp_path / "aggregate.json").write_text("{")
    assert scale("layers", "params") == first
    assert len(scored) == 3
