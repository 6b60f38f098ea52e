"""A package from outside adds a space, a strategy, a proxy and a scorer, each by one file and an entry point."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import uninas_evo
from uninas_evo.contracts import Budget
from uninas_evo.errors import ObjectiveError
from uninas_evo.problems.search import SearchProblem
from uninas_evo.spaces import load
from uninas_evo.testing import BitsProblem, ProblemConformance, SpaceConformance, StrategyConformance

sys.path.insert(0, str(Path(__file__).parent))

from toy_cells import ToyCells
from toy_climber import Climber
from toy_scorer import DepthScorer

ENTRY_POINTS = """
[uninas_evo.spaces]
toycells = toy_cells:ENTRY
[uninas_evo.strategies]
climber = toy_climber:Climber
[uninas_evo.proxies]
spread = toy_proxy:SPREAD
[uninas_evo.scorers]
depth = toy_scorer:DepthScorer
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
    from uninas_evo import registry

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


@pytest.mark.usefixtures("outside")
def test_its_proxy_and_scorer_are_objectives_with_settings():
    """Both score any space by name, beside scores of ours, and take their settings from a run."""
    space = ToyCells(width=6, cells=1)
    settings = {"spread": {"power": 2.0}, "depth": {"leaves": False}}
    problem = SearchProblem(space, ["spread", "depth", "params"], batch=4)
    other = SearchProblem(space, ["spread", "depth"], batch=4, proxies=settings)
    genome = space.genomes[-1]
    values, changed = problem.evaluate(genome, "cpu"), other.evaluate(genome, "cpu")
    assert values.keys() >= {"spread", "depth", "params"}
    assert changed["spread"] == pytest.approx(values["spread"] ** 2)
    assert changed["depth"] > values["depth"] > 1
    assert [objective.goal for objective in problem.objectives] == ["maximize", "minimize", "minimize"]
    with pytest.raises(ObjectiveError, match="depth has no setting 'leavs'"):
        SearchProblem(space, ["depth"], proxies={"depth": {"leavs": True}})


class TestToyProblem(ProblemConformance):
    """What the outside scorer and space make together is a problem as any other."""

    problem = SearchProblem(ToyCells(width=6, cells=1), [DepthScorer()])
