"""The reward weighs a value of another scorer against a cost, in every space."""

from __future__ import annotations

import pytest

from uninas_evo import search
from uninas_evo.errors import ObjectiveError
from uninas_evo.problems.options import ScoringOptions
from uninas_evo.problems.search import SearchProblem
from uninas_evo.scoring.reward import reward
from uninas_evo.spaces.nasbench201.space import NASBench201Space
from uninas_evo.spaces.uninas import Skeleton, UninasSpace, preset
from uninas_evo.spaces.uninet import UninetSpace
from uninas_evo.spaces.uninet import preset as uninet_preset

START = """uninet 1
image 16
classes 10
stem 8 stride=2
first none
heads 8
window 4
head 16
stage L-DSM stride=1 DWConv e=2 c=16 r=1
stage L-DSM stride=2 SA e=2 c=16 r=1
"""
REWARD = {"name": "reward", "cost": "flops", "target": 1e9, "exponent": 0.07}


def test_the_published_example():
    """79.1 % at B0's FLOPs and a target of 550 M is 79.0461."""
    b0 = uninet_preset("uninet-b0")
    assert reward(79.1, b0.published_flops, 550e6, 0.07) == pytest.approx(79.0461, abs=5e-5)
    entry = REWARD | {"of": "layers", "cost": "published_flops", "target": 550e6}
    problem = SearchProblem(UninetSpace(b0.resized(32, 10)), [entry], batch=4)
    values = problem.evaluate(problem.space.start, "cpu")
    assert values["reward"] == pytest.approx(values["layers"] * (550e6 / values["published_flops"]) ** 0.07)
    assert [one.name for one in problem.objectives] == ["reward"]


@pytest.mark.parametrize(
    "space",
    [UninasSpace(preset("resnet", Skeleton(16, 3, (8, 8), (32,), (1,)))), NASBench201Space()],
    ids=["uninas", "nasbench201"],
)
def test_every_space_has_it(space):
    """Value · (target / cost)^exponent, beside other objectives that share its scorer."""
    problem = SearchProblem(space, ["layers", REWARD | {"of": "layers"}], batch=4)
    values = problem.evaluate(space.start, "cpu")
    assert values["reward"] == pytest.approx(values["layers"] * (1e9 / values["flops"]) ** 0.07)
    assert [one.name for one in problem.objectives] == ["layers", "reward"]


def test_values_that_are_not_positive_fail():
    """A negative value times a factor below 1 would reward cost: the candidate fails."""
    with pytest.raises(ObjectiveError, match=r"weighs positive values, got -0\.5"):
        reward(-0.5, 1e9, 1e9, 0.07)


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ("reward", "needs what it is of and a target; write"),
        ({"name": "reward", "of": "layers"}, "needs what it is of and a target; write"),
        ({"name": "naswot", "target": 1e9}, "target are for the objective 'reward'; 'naswot' has none"),
        (REWARD | {"of": "nothing"}, "there is no objective 'nothing'"),
        (REWARD | {"of": "layers", "cost": "price"}, "a reward has a cost of the space, got 'price'"),
    ],
)
def test_mistakes_are_told_in_the_run_file(objective, message):
    """What a reward lacks, or weighs wrongly, is told before anything is scored."""
    with pytest.raises((ValueError, ObjectiveError), match=message):
        ScoringOptions.model_validate({"objectives": [objective]})


def test_what_is_minimized_cannot_be_weighed():
    """A reward of a value whose lesser is better would be wrong way round."""
    with pytest.raises(ObjectiveError, match="weighs a value that is maximized"):
        SearchProblem(NASBench201Space(), [REWARD | {"of": "te_ntk"}])


@pytest.mark.parametrize("strategy", ["evolution", "aging"])
def test_searches_follow_it(strategy, tmp_path):
    """A strategy of one objective maximizes the reward, which is what the journal holds."""
    entry = REWARD | {"of": "layers"}
    problem = {"name": "uninet", "start": START, "objectives": [entry], "batch": 4}
    found = search(problem, strategy, evaluations=8, pool={"devices": "in-process"}, out=tmp_path / "run", quiet=True)
    values = [one.values["reward"] for one in found.evaluations]
    assert found.best.values["reward"] == max(values)
    assert len(set(values)) > 1
    cost = found.best.cost
    assert found.best.values["reward"] == pytest.approx(found.best.values["layers"] * (1e9 / cost.flops) ** 0.07)
