"""Accuracy, latency and size as one number."""

from __future__ import annotations

import pytest

from uninas_evo.contracts import Budget, Objective, Scorer
from uninas_evo.devices import SizeCost
from uninas_evo.errors import ObjectiveError
from uninas_evo.problems.search import SearchProblem
from uninas_evo.scoring.composite import CompositeScorer
from uninas_evo.scoring.named import ObjectiveOptions
from uninas_evo.spaces.nasbench201.space import RESNET, NASBench201Space

SPACE = NASBench201Space().with_costs([SizeCost()], Budget())
COST = SPACE.cost(RESNET)


class Accuracy(Scorer):
    """A known accuracy."""

    is_pure = True

    def __init__(self, value, unit):
        self.value, self.objectives = value, (Objective("accuracy", "maximize", unit=unit),)

    def score(self, subject, device):
        return {"accuracy": self.value}


def value(accuracy=0.9, unit="", targets=None, weights=None, **more):
    scorer = CompositeScorer(Accuracy(accuracy, unit), "accuracy", targets or {}, weights or {}, **more)
    return SearchProblem(SPACE, [scorer]).evaluate(RESNET, "cpu")["composite"]


def test_percent_and_fraction_give_the_same():
    """An accuracy in percent enters as a fraction; what is neither is refused."""
    assert value(90.0, "%") == pytest.approx(value(0.9)) == pytest.approx(0.1)
    with pytest.raises(ObjectiveError, match="weighs an accuracy, a fraction or in percent, and accuracy is 90"):
        value(90.0)


def test_costs_count_from_their_targets():
    """Twice the target costs the weight, half of it nothing, or with no hinge minus half the weight."""
    twice, half = {"flops": COST.flops / 2}, {"flops": COST.flops * 2}
    assert value(1.0, targets=twice) == pytest.approx(0.1)
    assert value(1.0, targets={"params": COST.params / 2}) == pytest.approx(0.01)
    assert value(1.0, targets={"size_mb": COST["size_mb"] / 2}) == pytest.approx(0.01)
    assert value(1.0, targets=half) == 0
    assert value(1.0, targets=half, hinge=False) == pytest.approx(-0.05)
    assert value(0.5, targets=twice, weights={"accuracy": 2, "flops": 3}) == pytest.approx(1 + 3)


def test_it_is_minimized_and_its_parts_are_not_followed():
    """A run file's table makes it; the accuracy is scored beside it."""

    class Named(SearchProblem):
        own = (Accuracy(90.0, "%"),)

    written = {"name": "composite", "of": "accuracy", "targets": {"params": COST.params / 2}}
    problem = Named(SPACE, [written])
    assert [(one.name, one.goal) for one in problem.objectives] == [("composite", "minimize")]
    assert problem.evaluate(RESNET, "cpu")["composite"] == pytest.approx(0.11)
    with pytest.raises(ObjectiveError, match=r"a composite weighs .* got of = 'accuracy' and cost = 'ms'"):
        Named(SPACE, [written | {"targets": {"ms": 3}}])


class Latency(Scorer):
    """A known latency of 10 ms."""

    objectives = (Objective("latency_ms", "minimize", repeats=False, unit="ms"),)

    def score(self, subject, device):
        return {"latency_ms": 10.0}


def test_a_measured_latency_counts_as_a_cost_does():
    """Twice the target costs 0.1 beside params at 0.01; the sum repeats no more than the latency does."""

    class Named(SearchProblem):
        own = (Accuracy(0.9, ""), Latency())

    targets = {"latency_ms": 5, "params": COST.params / 2}
    problem = Named(SPACE, [{"name": "composite", "of": "accuracy", "targets": targets}])
    assert problem.evaluate(RESNET, "cpu")["composite"] == pytest.approx(0.1 + 0.1 + 0.01)
    assert [one.repeats for one in problem.objectives] == [False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "composite", "of": "train"}, "a composite needs what it is of and targets of costs; write"),
        ({"name": "vkdnw", "targets": {"params": 1}}, "targets are for the objective 'composite'; 'vkdnw' has none"),
        ({"name": "reward", "of": "train", "target": 1, "hinge": True}, "hinge are for the objective 'composite'"),
        (
            {"name": "composite", "of": "train", "targets": {"params": 1}, "weights": {"flops": 1}},
            "'flops' has a weight and no target",
        ),
        ({"name": "composite", "of": "train", "targets": {"params": 0}}, "greater than 0"),
    ],
)
def test_wrong_composites_are_told(options, message):
    """What is missing or has no meaning is told."""
    with pytest.raises(ValueError, match=message):
        ObjectiveOptions(**options)
