"""A package from outside adds a space and a strategy, each by one file and an entry point."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import uninas_evo
from uninas_evo.contracts import Budget
from uninas_evo.spaces import load
from uninas_evo.testing import BitsProblem, SpaceConformance, StrategyConformance

sys.path.insert(0, str(Path(__file__).parent))

from toy_cells import ToyCells
from toy_climber import Climber

ENTRY_POINTS = """
[uninas_evo.spaces]
toycells = toy_cells:ENTRY
[uninas_evo.strategies]
climber = toy_climber:Climber
"""


class TestToyCells(SpaceConformance):
    space = ToyCells(budget=Budget(max_params=250))


class TestClimber(StrategyConformance):
    strategy = Climber


class TestClimberInToyCells(StrategyConformance):
    strategy, space, learns = Climber, ToyCells(), False


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package is installed: its entry points are found."""
    from uninas_evo.config import registry

    info = tmp_path / "outside-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    for cache in (load.entries, registry._found):
        cache.cache_clear()
    yield
    for cache in (load.entries, registry._found):
        cache.cache_clear()


@pytest.mark.usefixtures("outside")
def test_its_genomes_are_known_by_text_and_name():
    """A text of a space of other settings, and a preset, give space, genome and network."""
    space = ToyCells(width=6, cells=1)
    text = space.encode(space.genomes[-1])
    found, genome = uninas_evo.load_space(text)
    assert (found.width, found.cells, genome) == (6, 1, space.genomes[-1])
    network = uninas_evo.build("toy_convs")
    assert sum(p.numel() for p in network.parameters()) == ToyCells().cost(uninas_evo.load_genome("toy_convs")).params


@pytest.mark.usefixtures("outside")
def test_its_strategy_is_found_by_name():
    """`search` takes the name of the entry point, and it climbs."""
    arguments = {"evaluations": 30, "pool": {"devices": "in-process"}, "quiet": True}
    named = uninas_evo.search(BitsProblem(), "climber", **arguments)
    assert max(e.values["ones"] for e in named.evaluations) > named.evaluations[0].values["ones"]
