"""Grid search: all of a space, evenly, and only when its size was confirmed."""

from __future__ import annotations

from collections import Counter

import pytest
from own_network import own
from strategy_toy import GAIN, drive

from uninas_evo import Budget, SearchProblem, search
from uninas_evo.errors import RunFileError, StrategyError
from uninas_evo.spaces.nasbench201.space import NASBench201Space
from uninas_evo.strategies.grid import Grid
from uninas_evo.testing import Bits


def test_it_asks_for_every_genome_once():
    """Of a space inside a budget: exactly its genomes, each once, as many as it says."""
    space = Bits(8, Budget(min_params=2, max_params=5))
    strategy = Grid(space, [GAIN], seed=0)
    asked = [candidate.genome for candidate in drive(strategy, 1000, _scored)]
    assert sorted(asked) == sorted(space.genomes)
    assert len(asked) == strategy.exactly == len(space.genomes)


def test_numbers_and_conditions():
    """Of a space of one's own: numbers on their grid; a choice that does not count is not counted."""
    space = own()
    strategy = Grid(space, [GAIN], seed=0)
    found = set(strategy._genomes())
    plain = [genome for genome in found if genome["kind"] == "plain"]
    assert len(plain) == 9 * 2 * 9
    assert strategy.exactly == len(found)


@pytest.mark.parametrize("count", [50, 200])
def test_the_first_candidates_cover_the_space_evenly(count):
    """Every operation of every edge of NAS-Bench-201 was asked about nearly equally often at any time."""
    space = NASBench201Space()
    asked = [c.genome for c in drive(Grid(space, [GAIN], seed=0), count, _scored)]
    for edge in range(6):
        shares = Counter(space.indices(genome)[edge] for genome in asked[:count])
        assert len(shares) == 5
        assert max(shares.values()) - min(shares.values()) <= 0.1 * count


def _scored(candidate):
    from uninas_evo.contracts import Result

    return Result(candidate, {"gain": 0.0})


@pytest.mark.parametrize("evaluations", [30, 300])
def test_the_count_must_be_confirmed(evaluations):
    """Another number of evaluations is refused with the count in the message."""
    with pytest.raises(RunFileError, match=r"Grid asks for all 256 genomes .* set evaluations = 256"):
        search(SearchProblem(Bits(8), ["params"]), "grid", evaluations=evaluations, quiet=True)


def test_spaces_that_have_no_grid():
    """Graphs have no list of decisions, and a list may be too long."""
    with pytest.raises(StrategyError, match="1,048,576 combinations; use random"):
        Grid(Bits(20), [GAIN], seed=0)
