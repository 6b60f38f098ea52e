"""The twenty lines of docs/own-space.md run as they are printed, whichever strategy searches."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from uninas_evo import SearchProblem, search

PAGE = Path(__file__).parents[2] / "docs" / "own-space.md"


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of the page's first block."""
    code = PAGE.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith("# ")]
    assert len(lines) <= 20
    (tmp_path / "my_space.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("my_space")
    del sys.modules["my_space"]


@pytest.mark.parametrize(
    ("strategy", "objectives", "evaluations"),
    [
        ("evolution", ["synflow"], 12),
        ("nsga2", ["synflow", "params"], 12),
        ("bayesian", ["synflow"], 12),
        ("ppo", ["synflow"], 12),
        ("predictor", ["synflow"], 12),
        ("grid", ["params"], 54),
    ],
)
def test_the_printed_space_is_searched(
    strategy: str, objectives: list[str], evaluations: int, printed: Any, tmp_path: Path
) -> None:
    """Each evaluates as many genomes as it was told, all of the printed table."""
    result = search(
        SearchProblem(printed.space, objectives), strategy, evaluations=evaluations, out=tmp_path / "run", quiet=True,
        pool={"devices": "in-process"}, after={"rescore": 0, "plot": False},
    )  # fmt: skip
    assert len(result.evaluations) == evaluations
    assert all(not one.failure for one in result.evaluations)
    for one in result.evaluations:
        genome = printed.space.decode(one.text)
        assert genome["depth"] in printed.table["depth"]
        assert genome["kernel"] in printed.table["kernel"]
        assert 16 <= genome["width"] <= 64
