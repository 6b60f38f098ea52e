"""Bounds on scored values: what violates them never wins, and every engine is told in its own way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from engine_toy import ToyProblem

import uninas_evo
from uninas_evo.contracts import Candidate, Constraint, Result, violation
from uninas_evo.engine.journal import read_journal
from uninas_evo.errors import ObjectiveError
from uninas_evo.problems.uninas import UninasProblem
from uninas_evo.report.record import read_run
from uninas_evo.spaces.uninas import Skeleton, UninasSpace, preset
from uninas_evo.strategies.evolution import Evolution

BOUND = (Constraint("last", high=3),)


class Bounded(ToyProblem):
    """The digits' sum, while the last digit, a measured value, stays small."""

    constraints = BOUND

    def evaluate(self, genome: Any, device: str) -> dict[str, float]:
        return super().evaluate(genome, device) | {"last": float(genome[-1])}


def search(strategy: str, objectives: int = 1, **options: Any) -> uninas_evo.SearchResult:
    problem = Bounded(objectives=objectives)
    after = {"plot": False, "rescore": 0}
    return uninas_evo.search(
        problem, strategy, evaluations=120, pool={"devices": "in-process"}, after=after, quiet=True, **options
    )


@pytest.mark.parametrize("strategy", ["evolution", "aging", "bayesian", "random_walk", "uninas"])
def test_the_best_meets_the_constraints(strategy: str) -> None:
    """The winner is the best of those that meet them, though better ones were scored that do not."""
    result = search(strategy)
    assert result.best is not None
    assert result.best.values["last"] <= 3
    met = [one.values["sum"] for one in result.evaluations if one.values["last"] <= 3]
    assert result.best.values["sum"] == max(met)
    assert len(met) < len(result.evaluations)


def test_a_front_meets_the_constraints(tmp_path: Path) -> None:
    """Pymoo gets the violation as G; the front, its files and the record hold what meets it alone."""
    result = search("nsga2", 2, out=tmp_path / "out")
    assert result.front
    assert all(one.values["last"] <= 3 for one in result.front)
    header, _ = read_journal(tmp_path / "out")
    assert header.bounds == BOUND
    record = read_run(tmp_path / "out")
    assert {record.numbers[row] for row in record.ranking} == {one.number for one in result.front}


def test_feasibility_rules() -> None:
    """What meets the constraints is fitter than what does not; of two that do not, the one that violates less."""
    problem = Bounded()
    strategy = Evolution(problem.space, problem.objectives, seed=0)
    strategy.constraints = BOUND
    fitness = [
        strategy.fitness(Result(Candidate((1,) * 8), {"sum": total, "last": last}))
        for total, last in ((1.0, 3.0), (9.0, 4.0), (99.0, 5.0))
    ]
    assert fitness == sorted(fitness, reverse=True)
    assert violation({}, BOUND) == float("inf")
    assert violation({"last": 6.0}, BOUND) == 1.0


def test_nothing_that_meets_them() -> None:
    """A search that finds nothing feasible hands nothing back, and says what came nearest."""

    class Impossible(Bounded):
        constraints = (Constraint("last", low=20),)

    result = uninas_evo.search(
        Impossible(), "evolution", evaluations=30, pool={"devices": "in-process"}, after={"plot": False}, quiet=True
    )
    assert result.best is None
    assert "no candidate meets the constraints; candidate" in result.warnings[0]


def test_constraints_of_a_problem() -> None:
    """A scorer, a function, or a value that a function returns may be bounded; a cost is bounded by the budget."""
    skeleton = Skeleton(image_size=32, classes=10, stem=(8, 16), channels=(32, 64), depths=(1, 1))
    space = UninasSpace(preset("coatnet", skeleton))

    def score(genome: Any, device: str) -> dict[str, float]:
        return {"score": 1.0, "ms": 4.0}

    problem = UninasProblem(space, [score], constraints=[{"name": "ms", "max": 5}])
    assert problem.evaluate(space.start, "cpu")["ms"] == 4.0
    assert problem.constraints == (Constraint("ms", high=5),)
    assert [
        one.name
        for one in UninasProblem(space, ["params"], constraints=[{"name": "naswot", "min": 1}]).scorers[-1].objectives
    ] == ["naswot"]
    with pytest.raises(ObjectiveError, match=r"bound it with problem\.budget\.max_params"):
        UninasProblem(space, constraints=[{"name": "params", "max": 5}])
    with pytest.raises(
        ObjectiveError, match=r"there is no value to constrain 'latency_mss'.*did you mean 'latency_ms'"
    ):
        UninasProblem(space, constraints=[{"name": "latency_mss", "max": 5}])
