"""Dropout before the last linear layer, and the strength of augmentation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from uninas_evo.errors import TrainingError
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.recipe import set_dropout
from uninas_evo.training.transforms import eval_transform, train_transform


def test_dropout_acts_on_what_the_last_linear_layer_reads():
    """A half of the inputs is zero in training and the rest doubled; evaluation and parameters are as they were."""
    network = nn.Sequential(nn.Linear(4, 1000, bias=False), nn.Identity(), nn.Linear(1000, 1, bias=False))
    nn.init.constant_(network[0].weight, 1.0)
    nn.init.constant_(network[2].weight, 1.0)
    names = list(network.state_dict())
    images = torch.ones(1, 4)
    before = network(images).item()
    set_dropout(network, 0.5)
    torch.manual_seed(0)
    kept = network(images).item() / 8  # inputs of 4, doubled
    assert 400 < kept < 600
    assert kept == int(kept)
    assert network.eval()(images).item() == before == 4000
    assert list(network.state_dict()) == names


def test_dropout_needs_a_linear_layer():
    """A network without one is refused, unless there is no dropout."""
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    set_dropout(network, 0.0)
    with pytest.raises(TrainingError, match="the network has none"):
        set_dropout(network, 0.1)


def test_augment_is_short_for_a_string():
    """A strength names timm's random augmentation; both at once are refused; transforms know what they depend on."""
    plain, strong = Protocol(epochs=1, batch_size=2, lr=0.1), Protocol(epochs=1, batch_size=2, lr=0.1, augment=7)
    assert (plain.augmentation, strong.augmentation) == ("", "rand-m7-inc1")
    assert plain.replace(auto_augment="augmix").augmentation == "augmix"
    with pytest.raises(TrainingError, match="drop one"):
        strong.replace(auto_augment="augmix")
    shape = (3, 8, 8)
    assert train_transform(plain, shape).key != train_transform(strong, shape).key
    assert train_transform(plain.replace(lr=0.2), shape).key == train_transform(plain, shape).key
    assert eval_transform(plain, shape).key == eval_transform(strong, shape).key != train_transform(plain, shape).key
