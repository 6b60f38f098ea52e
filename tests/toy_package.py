"""A package from outside that offers the toy search of `engine_toy` by entry points."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ENTRY_POINTS = """
[uninas_evo.problems]
toy = engine_toy:ToyProblem
broken = engine_toy:Missing
[uninas_evo.strategies]
toy = engine_toy:ToyStrategy
"""


@pytest.fixture
def installed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A package from outside that offers the toy by entry points; its environment for other processes."""
    from uninas_evo import registry

    site = tmp_path_factory.mktemp("site")
    info = site / "toy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(site))
    registry._found.cache_clear()
    yield {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(HERE)])}
    registry._found.cache_clear()
