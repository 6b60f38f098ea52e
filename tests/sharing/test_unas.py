"""UNAS: what its weights train with, its objectives and options, and that it finds the best option of a plain loss."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from uninas_evo.contracts import Decision
from uninas_evo.errors import RunFileError
from uninas_evo.sharing import estimators
from uninas_evo.sharing.learners.unas import Unas
from uninas_evo.sharing.options import SupernetOptions
from uninas_evo.sharing.training import SupernetTraining
from uninas_evo.spaces.darts.genome import Skeleton
from uninas_evo.spaces.darts.space import DartsSpace
from uninas_evo.spaces.nasbench201.space import NASBench201Space

STEPS = 150
GOOD = {"a": (0.0, 1.0, 0.2), "b": (0.6, 0.0, 0.3)}
"""What each option adds to the right class's logit: the best are 1 and 0, and no option is neutral."""


class Additive(nn.Module):
    """Two slots whose options add to the logit of each image's class, which its first pixel tells."""

    slots, joins_slots = (Decision("a", ("x", "y", "z")), Decision("b", ("x", "y", "z"))), False

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images, path):
        gain = sum((torch.tensor(GOOD[name]) * path[name]).sum(-1) for name in GOOD)
        right = F.one_hot(images[:, 0, 0, 0].long(), 2).float()
        return self.scale * 2 * right * torch.as_tensor(gain).expand(len(images))[:, None]

    def derive(self, probabilities):
        return tuple(int(value.argmax()) for value in probabilities.values())


def batch(count=8):
    labels = torch.arange(count) % 2
    return labels.float()[:, None, None, None].expand(-1, 3, 2, 2), labels


def learner(net=None, **options):
    return Unas(net or Additive(), None, Unas.Options(**options), 0, STEPS)


@pytest.mark.parametrize("estimator", ["rebar", "gumbel", "reinforce"])
@pytest.mark.parametrize("objective", ["gap", "signed_gap", "val", "train"])
@pytest.mark.parametrize("per_image", [True, False])
def test_the_best_options_are_found(estimator, objective, per_image):
    """Where both losses agree about options, every objective by every estimator finds the best ones."""
    unas = learner(estimator=estimator, objective=objective, per_image=per_image, policy_lr=0.05)
    for step in range(STEPS):
        unas.update(batch(), batch(), step, torch.optim.SGD(unas.net.parameters(), 0.1))
    assert unas.derive() == (1, 0)


def test_weights_train_with_the_draw_that_the_logits_learned_from():
    """Relaxed or its argmax, as it was before the logits moved."""
    for weights_on, part in (("relaxed", "soft"), ("discrete", "hard")):
        unas = learner(weights_on=weights_on, policy_lr=0.5)
        before = {name: value.detach().clone() for name, value in unas.logits.items()}
        unas.update(batch(), batch(), 3, torch.optim.SGD(unas.net.parameters(), 0.1))
        (path,) = unas.paths(3)
        u = estimators.noise(before, unas.noise_generator(3, 0), 8)
        for name, value in before.items():
            assert not torch.equal(unas.logits[name], value)
            torch.testing.assert_close(path[name], getattr(estimators.relaxed(value, u[name], 0.4), part).float())


def test_the_objectives():
    """The gap is taken image by image or between means; signed, it may lower the loss; one loss alone is itself."""
    train, val = batch(4), batch(4)
    val = (val[0], 1 - val[1])  # every label is wrong
    path = {name: torch.tensor(value) for name, value in {"a": (0.0, 1.0, 0.0), "b": (1.0, 0.0, 0.0)}.items()}

    def value(**options):
        return learner(**options)._objective(path, train, val)

    rows = [F.cross_entropy(Additive()(x, path), y, reduction="none") for x, y in (train, val)]
    a, b = rows
    torch.testing.assert_close(value(), a + 0.5 * (b - a).abs())
    torch.testing.assert_close(value(gap="batch"), a.mean() + 0.5 * (b.mean() - a.mean()).abs())
    torch.testing.assert_close(value(objective="train"), a)
    torch.testing.assert_close(value(objective="val"), b)
    other = learner(objective="signed_gap")._objective(path, val, train)
    torch.testing.assert_close(other, b + 0.5 * (a - b))
    assert (other < b).all()


def test_softened_probabilities_keep_every_option_alive():
    """Draws follow softmax plus a constant, brought to a sum of 1, with gradients by the logits."""
    unas = learner(soften=0.08)
    with torch.no_grad():
        unas.logits["a"].copy_(torch.tensor([20.0, 0.0, 0.0]))
    chances = unas.softened()["a"].softmax(-1)
    torch.testing.assert_close(chances, torch.tensor([1.08, 0.08, 0.08]) / 1.24)
    assert chances.requires_grad


def test_rates_and_fewer_steps_of_the_logits():
    """Adam's rate falls to the least by a cosine; the logits move every so many weight steps alone."""
    unas = learner(every=3, policy_lr=0.1, policy_min_lr=0.02)
    moved = [bool(unas.update(batch(), batch(), s, torch.optim.SGD(unas.net.parameters(), 0.1))) for s in range(6)]
    assert moved == [True, False, False, True, False, False]
    unas.descend({}, STEPS // 2)
    assert unas.optimizer.param_groups[0]["lr"] == pytest.approx(0.06)
    unas.descend({}, STEPS)
    assert unas.optimizer.param_groups[0]["lr"] == pytest.approx(0.02)


def test_coinciding_edges():
    """Of one-hot decisions it counts the nodes whose edges are the same; an architecture an image has one each."""
    space = DartsSpace(Skeleton(8, 3), "factorized")
    net = space.supernet(channels=4, cells=3)
    one = {slot.name: torch.eye(len(slot.options))[0] for slot in net.slots}
    assert float(net.coincidence(one)) == 8
    other = one | {"normal 3 input b": torch.eye(3)[1], "reduce 2 operation a": torch.eye(7)[2]}
    assert float(net.coincidence(other)) == 6
    rows = {name: torch.stack([one[name], other[name]]) for name in one}
    assert net.coincidence(rows).tolist() == [8, 6]


def test_adam_trains_weights(squares):
    """UNAS' Adam is an option; DARTS' second order needs SGD and says so."""
    space = NASBench201Space(3)
    space.image = (3, 8, 8)
    settings = {"data": str(squares), "batch_size": 8, "steps": 2, "optimizer": "adam", "lr": 6e-4, "min_lr": 1e-4}
    network = {"channels": 4, "cells": 1}
    training = SupernetTraining(space, SupernetOptions(**settings, learner="unas", network=network), 0, None)
    training.run()
    assert isinstance(training.optimizer, torch.optim.Adam)
    two = SupernetOptions(**settings, learner="darts", options={"order": 2}, network=network)
    with pytest.raises(RunFileError, match="looks one step of SGD ahead"):
        SupernetTraining(space, two, 0, None).run()
