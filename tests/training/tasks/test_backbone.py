"""Backbones: the maps of strides 4 to 32 of any network that has them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from uninas_evo.errors import TrainingError
from uninas_evo.spaces.load import load_space
from uninas_evo.spaces.nasbench201.space import NASBench201Space
from uninas_evo.spaces.uninas import Skeleton, preset
from uninas_evo.spaces.uninas.network import build
from uninas_evo.training.tasks.backbone import Backbone


@pytest.mark.parametrize("name", ["uninet-b0", "proxyless_gpu", "ofa_smallest"])
def test_spaces_with_maps(name: str) -> None:
    """UniNet's and the mobile networks give the last map at each stride, for images of any size, padded to 32."""
    space, genome = load_space(name)
    backbone = Backbone(space.build(genome))
    assert backbone.strides == (4, 8, 16, 32)
    maps = backbone(torch.zeros(1, 3, 50, 70))
    assert [tuple(one.shape[2:]) for one in maps] == [(64 // s, 96 // s) for s in backbone.strides]
    assert tuple(one.shape[1] for one in maps) == backbone.channels


def test_networks_without_maps_are_refused() -> None:
    """No `forward_features`, too few strides, maps that do not follow the image, or gray images."""
    with pytest.raises(TrainingError, match="Linear gives no stage maps"):
        Backbone(nn.Linear(2, 2))
    with pytest.raises(TrainingError, match="takes images of 1 channels: detection and segmentation read red"):
        Backbone(build(preset("resnet", Skeleton(32, 10, (8, 8), (16, 16), (1, 1), image_channels=1))))
    space = NASBench201Space()
    with pytest.raises(TrainingError, match=r"have the strides .* two or more of 4, 8, 16 and 32"):
        Backbone(space.build(space.start))
    space, genome = load_space("resnet18")
    with pytest.raises(TrainingError, match=r"on an image of 64 px and .* on one of 128 px"):
        Backbone(space.build(genome))


def test_the_classifier_does_not_learn_and_norms_may_be_frozen() -> None:
    """What no map depends on asks for no gradient; frozen batch norms keep their statistics in training."""
    network = build(preset("resnet", Skeleton(32, 10, (8, 8), (16, 16), (1, 1))))
    backbone = Backbone(network, frozen_norms=True).train()
    still = {name for name, p in network.named_parameters() if not p.requires_grad}
    assert still == {"norm.weight", "norm.bias", "head.weight", "head.bias"} | {
        name
        for name in still
        if ".norm2." in name  # of the chains that are zero
    }
    before = {name: b.clone() for name, b in network.named_buffers()}
    maps = backbone(torch.randn(2, 3, 32, 32))
    assert all(torch.equal(b, before[name]) for name, b in network.named_buffers())
    sum(one.sum() for one in maps).backward()
    assert all(p.grad is not None for p in network.parameters() if p.requires_grad)
