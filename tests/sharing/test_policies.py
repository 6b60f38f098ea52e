"""The parts of policies: the controller, costs in the loss, sharpness, remedies."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
import torch

from uninas_evo.contracts import Decision
from uninas_evo.errors import SpaceError
from uninas_evo.sharing import estimators, remedies
from uninas_evo.sharing.controller import Controller
from uninas_evo.sharing.costs import CostTerm
from uninas_evo.sharing.curvature import dominant_eigenvalue
from uninas_evo.sharing.learners import LEARNERS
from uninas_evo.sharing.learners.darts import Darts
from uninas_evo.sharing.options import SAMPLERS
from uninas_evo.spaces.darts.genome import Skeleton
from uninas_evo.spaces.darts.space import DartsSpace
from uninas_evo.spaces.nasbench201.space import NASBench201Space

SLOTS = (Decision("a", ("x", "y")), Decision("b", ("x", "y", "z")))
SPACE = NASBench201Space(3)
NET = SPACE.supernet(channels=4, cells=1)


def darts(**options):
    return Darts(NET, SPACE, Darts.Options(**options), 0, 10)


def test_the_controllers_probabilities_are_those_of_its_draws():
    """All draws' probabilities sum to 1, each is drawn as often as it says, and entropy is that of the slots drawn."""
    controller = Controller(SLOTS, torch.Generator().manual_seed(1))
    with torch.no_grad():
        for value in controller.parameters():
            value.mul_(30)
    logits = {slot.name: torch.zeros(len(slot.options)) for slot in SLOTS}
    counts, chances = {}, {}
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _ in range(4000):
            draw = controller(estimators.noise(logits, generator))
            key = tuple(int(value.argmax()) for value in draw.hard.values())
            counts[key] = counts.get(key, 0) + 1
            chances[key] = float(draw.log_prob.exp())
    assert chances.keys() == set(itertools.product(range(2), range(3)))
    assert sum(chances.values()) == pytest.approx(1, abs=1e-6)
    for key, chance in chances.items():
        assert abs(counts[key] / 4000 - chance) < 4 * (chance * (1 - chance) / 4000) ** 0.5
    greedy = tuple(int(value.argmax()) for value in controller(None).hard.values())
    assert chances[greedy] > 1 / 6


def test_the_controllers_first_logits_are_near_uniform():
    """Weights within ±0.1 leave every option about as probable."""
    draw = Controller(SLOTS, torch.Generator().manual_seed(0))(None)
    assert float(draw.entropy) == pytest.approx(np.log(2) + np.log(3), abs=1e-3)


@pytest.mark.parametrize("estimator", ["exact", "relax", "reinforce"])
def test_the_gradient_of_the_cost_is_unbiased(estimator):
    """Over many draws each estimate's mean is the gradient of the expected cost, though the cost is not linear."""
    space = _Products()
    term = CostTerm(space, space, "flops", 1.0, 0, count=500)
    logits = {
        "a": torch.tensor([0.3, -0.2], requires_grad=True),
        "b": torch.tensor([0.0, 0.5, -0.4], requires_grad=True),
    }
    expected = sum(
        logits["a"].softmax(0)[i] * logits["b"].softmax(0)[j] * term.value((i, j))
        for i, j in itertools.product(range(2), range(3))
    )
    true = torch.cat(torch.autograd.grad(expected, list(logits.values())))
    generator, found = torch.Generator().manual_seed(5), []
    for _ in range(3000):
        loss = term.surrogate(logits, estimators.noise(logits, generator), estimator)
        found.append(torch.cat(torch.autograd.grad(loss, list(logits.values()))))
    draws = torch.stack(found)
    assert ((draws.mean(0) - true).abs() <= 4 * draws.std(0) / 3000**0.5 + 1e-6).all()


class _Products:
    """Two decisions, a cost that is a product; space and supernet in one."""

    decisions = slots = SLOTS

    def sample(self, rng):
        return rng.randrange(2), rng.randrange(3)

    def indices(self, genome):
        return genome

    def cost(self, genome):
        return {"flops": float((1 + 2 * genome[0]) * (2 + genome[1] ** 2))}

    def derive(self, hard):
        return tuple(int(value.argmax()) for value in hard.values())


def test_a_linear_cost_is_explained_whole():
    """FLOPs of NAS-Bench-201's cells are all but linear in the options, as held-out ones show."""
    term = CostTerm(NET, SPACE, "flops", 1e6, 0, count=500)
    assert term.r2 > 0.9


def test_the_hinge_and_the_ramp_of_a_cost():
    """Below the target a cost counts nothing, or without the hinge less than nothing; its weight grows from 0."""
    space = _Products()
    for hinge, value in ((True, 0.0), (False, -0.5)):
        assert CostTerm(space, space, "flops", 4.0, 0, count=20, hinge=hinge).value((0, 0)) == value
    learner = darts(cost="flops", cost_target=1e3, cost_ramp=10)
    early, middle, late, later = (
        torch.cat([part.flatten() for part in (learner._further(step) or {"": torch.zeros(30)}).values()]).norm()
        for step in (0, 5, 10, 10)
    )
    assert float(early) == 0
    assert float(late) == float(later) > float(middle) > 0


def test_costs_that_cannot_be_heeded():
    """An unknown cost, and slots that are no decisions: what, rule, value, fix."""
    with pytest.raises(SpaceError, match=r"one of params, flops.*got 'watts'"):
        CostTerm(NET, SPACE, "watts", 1.0, 0, count=5)
    cells = DartsSpace(Skeleton(8, 3))
    with pytest.raises(SpaceError, match="slots that are the space's decisions"):
        CostTerm(cells.supernet(channels=4, cells=3), cells, "flops", 1.0, 0, count=5)


def test_the_dominant_eigenvalue():
    """Of a quadratic loss it is its matrix's, of either sign."""
    torch.manual_seed(0)
    turn, _ = torch.linalg.qr(torch.randn(5, 5))
    for sign in (1, -1):
        matrix = turn @ torch.diag(sign * torch.tensor([6.0, 2.0, 1.0, -0.5, 0.1])) @ turn.T
        x = [torch.randn(2, requires_grad=True), torch.randn(3, requires_grad=True)]
        flat = torch.cat(x)
        loss = 0.5 * flat @ matrix @ flat
        assert dominant_eigenvalue(loss, x, torch.Generator().manual_seed(1), 30) == pytest.approx(6 * sign, rel=1e-3)


def _favor(learner, option, weights):
    with torch.no_grad():
        for value, weight in zip(learner.logits.values(), weights, strict=True):
            value[NET.slots[0].options.index(option)] = weight


def test_a_limit_on_skips_takes_out_the_least_probable():
    """Of six favored skips the two most probable are left."""
    learner = darts(max_skips=2)
    _favor(learner, "skip_connect", [3.0, 8.0, 4.0, 9.0, 5.0, 6.0])
    edges = learner.derive().edges
    assert [edge == "skip_connect" for edge in edges] == [False, True, False, True, False, False]
    assert darts().derive().edges.count("skip_connect") <= 6


def test_the_policy_stops_at_skips_and_when_it_stands_still():
    """DARTS+: so many skips end the policy's learning, and so do so many steps in which no order changed."""
    learner = darts(stop_skips=2)
    _favor(learner, "skip_connect", [9.0, 9.0, 0.0, 0.0, 0.0, 0.0])
    assert learner.is_warm(5)
    learner.descend({}, 0)
    assert not learner.is_warm(5)
    learner = darts(stop_still=3)
    for _ in range(3):
        learner.descend({}, 0)
    assert learner.is_warm(5)
    learner.descend({}, 0)
    assert not learner.is_warm(5)


def test_slots_are_decided_one_after_another():
    """SGAS: the surest slot first, never for `none`, and decided ones move no more."""
    learner = darts(decide_every=1)
    _favor(learner, "nor_conv_3x3", [1.0, 7.0, 2.0, 0.0, 0.0, 0.0])
    ones = {name: torch.ones_like(value) for name, value in learner.logits.items()}
    learner.descend(ones, 0)
    assert learner.watch.decided == [NET.slots[1].name]
    before = learner.logits[NET.slots[1].name].clone()
    learner.descend(ones, 1)
    assert torch.equal(learner.logits[NET.slots[1].name], before)
    assert len(learner.watch.decided) == 2
    for _ in range(9):
        learner.descend(ones, 2)
    assert len(learner.watch.decided) == 6
    assert "none" not in learner.derive().edges


def test_stability_prefers_slots_that_did_not_change():
    """SGAS' second criterion: of two equally sure slots the one that was so before is decided."""
    learner = darts(decide_every=2, decide_by="stability")
    _favor(learner, "nor_conv_3x3", [5.0, 5.0, 0.0, 0.0, 0.0, 0.0])
    earlier = {name: value.softmax(-1).detach().clone() for name, value in learner.logits.items()}
    learner.watch.past = [{**earlier, NET.slots[0].name: torch.full((5,), 0.2)}]
    for step in range(2):
        learner.descend({}, step)
    assert learner.watch.decided == [NET.slots[1].name]


def test_an_entropy_penalty_sharpens():
    """Without any other gradient it lowers the entropy."""
    learner = darts(entropy_penalty=1.0, policy_lr=0.1, policy_decay=0.0, init=0.5)
    before = learner.diagnostics()["entropy"]
    for step in range(20):
        learner.descend({}, step)
    assert learner.diagnostics()["entropy"] < before - 0.05


def test_skips_are_counted():
    """Of NAS-Bench-201 all edges, of cells the normal one; of elastic networks nothing."""
    space = DartsSpace(Skeleton(8, 3))
    genome = space.sample(random.Random(0))
    counted = sum(edge.operation == "skip_connect" for pair in genome.normal.nodes for edge in pair)
    assert remedies.skips(space.supernet(channels=4, cells=3), genome) == counted
    assert remedies.skips(object(), genome) is None


def test_samplers_are_those_without_a_policy():
    """The list that is known without torch names the learners that derive nothing."""
    from uninas_evo.sharing.learner import PolicyLearner
    from uninas_evo.sharing.learners import learner_class

    assert {name for name in LEARNERS if not issubclass(learner_class(name), PolicyLearner)} == set(SAMPLERS)
