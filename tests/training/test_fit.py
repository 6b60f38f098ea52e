"""Fitting applies the recipe: each setting of the protocol acts as timm's training script has it act."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from timm.layers import calculate_drop_path_rates, drop_path
from timm.scheduler import CosineLRScheduler
from torch import nn

from uninas_evo.errors import TrainingError
from uninas_evo.spaces.darts.genome import Skeleton as Stack
from uninas_evo.spaces.darts.network import DartsNetwork
from uninas_evo.spaces.darts.presets import preset as cells_of
from uninas_evo.spaces.uninas import Skeleton, preset
from uninas_evo.spaces.uninas.network import build
from uninas_evo.spaces.uninas.network.build import DropPath
from uninas_evo.training.fit import Fit
from uninas_evo.training.images import Splits
from uninas_evo.training.process import Process
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.randomness import seeded

CPU = Process(torch.device("cpu"))
Make = Callable[..., nn.Module]


def test_every_step_has_timms_rate(splits: Splits, protocol: Protocol, make_net: Make) -> None:
    """Step t is taken with the rate that timm's schedule gives after t steps."""
    protocol = protocol.replace(epochs=3, warmup_epochs=1, warmup_lr=1e-5, min_lr=1e-6)
    fit = Fit(make_net(), splits, protocol, 16, 0, CPU)
    used: list[float] = []
    fit.optimizer.register_step_pre_hook(lambda optimizer, *_: used.append(optimizer.param_groups[0]["lr"]))
    lines = [fit.epoch(epoch) for epoch in range(3)]
    stand_in = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=protocol.lr)
    theirs = CosineLRScheduler(
        stand_in, t_initial=3 * fit.steps, lr_min=1e-6, warmup_t=fit.steps, warmup_lr_init=1e-5, t_in_epochs=False
    )
    expected = []
    for done in range(3 * fit.steps + 1):
        theirs.step_update(done)
        expected.append(stand_in.param_groups[0]["lr"])
    expected[0] = 1e-5  # the warm-up's first step
    assert used == pytest.approx(expected[:-1], rel=1e-12)
    assert [line["lr"] for line in lines] == pytest.approx(expected[fit.steps :: fit.steps], rel=1e-12)


def test_drop_path_rates_are_timms() -> None:
    """The rates of our blocks are those that timm computes for as many, and drop alike with the same draws."""
    skeleton = Skeleton(image_size=32, classes=3, stem=(8, 8), channels=(8, 8, 8), depths=(2, 3, 1))
    network = build(preset("resnet", skeleton))
    network.set_drop_path(0.2)
    rates = [block.drop_path.rate for block in network.blocks]
    assert rates == pytest.approx(calculate_drop_path_rates(0.2, 6))
    layer, x = DropPath().train(), torch.randn(64, 2, 3, 3)
    layer.rate = 0.3
    with seeded(0):
        ours = layer(x)
    with seeded(0):
        assert torch.allclose(ours, drop_path(x, 0.3, training=True))
    assert torch.equal(layer.eval()(x), x)


def test_the_protocols_drop_path_is_set(splits: Splits, protocol: Protocol, make_net: Make) -> None:
    """A fit gives the network the protocol's rate, and takes an earlier one away where it has none."""
    network = make_net()
    Fit(network, splits, protocol, 16, 0, CPU)
    assert network.rate == protocol.drop_path > 0
    Fit(network, splits, protocol.replace(drop_path=0), 16, 0, CPU)
    assert network.rate == 0


def test_drop_path_grows_over_the_epochs(splits: Splits, protocol: Protocol, make_net: Make) -> None:
    """From 0 in the first epoch, linearly, where the protocol has it so."""
    network = make_net()
    fit = Fit(network, splits, protocol.replace(drop_path=0.4, drop_path_grows=True, epochs=4), 16, 0, CPU)
    for epoch, rate in ((0, 0.0), (3, 0.3)):
        fit.epoch(epoch)
        assert network.rate == pytest.approx(rate)


def test_the_auxiliary_classifier_trains_along(splits: Splits, protocol: Protocol, make_net: Make) -> None:
    """Its loss counts with its weight, its weights are the seed's; other networks are told that they have no place."""
    settings = protocol.replace(auxiliary=0.4, epochs=1, ema_decay=0, drop_path=0, label_smoothing=0, mixup=0, cutmix=0)
    cells = cells_of("darts_v2", Stack(32, len(splits.classes), 4, 3))
    first, second = (DartsNetwork(cells) for _ in range(2))
    fit = Fit(first, splits, settings, 32, 0, CPU)
    Fit(second, splits, settings, 32, 0, CPU)
    assert torch.equal(first.auxiliary.classifier.weight, second.auxiliary.classifier.weight)
    images, labels = torch.zeros(4, 3, 32, 32, dtype=torch.uint8), torch.zeros(4, dtype=torch.long)
    loss = fit.task.loss(first.train(), (images, labels))
    logits, further = first(fit.task.normalize(images))
    cross = torch.nn.functional.cross_entropy
    torch.testing.assert_close(loss, cross(logits, labels) + 0.4 * cross(further, labels))
    assert fit.epoch(0)["loss"] > 0
    with pytest.raises(TrainingError, match=r"auxiliary = 0.4 needs a network of the space darts"):
        Fit(make_net(), splits, settings, 16, 0, CPU)


def test_gradients_are_clipped(splits: Splits, protocol: Protocol, make_net: Make) -> None:
    """With plain gradient descent no step is longer than rate · clip_grad; without clipping some are."""

    def longest(clip: float) -> float:
        settings = protocol.replace(optimizer="sgd", lr=0.1, weight_decay=0, clip_grad=clip, epochs=2, ema_decay=0)
        fit = Fit(make_net(), splits, settings, 16, 0, CPU)
        norms: list[float] = []
        fit.optimizer.register_step_pre_hook(
            lambda *_: norms.append(math.sqrt(sum(float((p.grad**2).sum()) for p in fit.network.parameters())))
        )
        fit.epoch(0)
        return max(norms)

    assert longest(0.01) <= 0.01 * 1.001
    assert longest(0) > 0.05


def test_the_average_is_what_counts(splits: Splits, protocol: Protocol, make_net: Make) -> None:
    """With a moving average its accuracy is reported; after a step it lies between the start and the weights."""
    settings = protocol.replace(batch_size=96, ema_decay=0.5, ema_warmup=False, epochs=3, mixup=0, cutmix=0)
    network = make_net()
    start = {k: v.clone() for k, v in network.named_parameters()}
    fit = Fit(network, splits, settings, 16, 0, CPU)
    assert fit.steps == 1
    fit.epoch(0)
    fit.epoch(1)
    average = dict(fit.evaluated.named_parameters())
    first = start["head.weight"]
    assert fit.evaluated is not network
    assert not torch.equal(average["head.weight"], network.head.weight)
    assert not torch.equal(average["head.weight"], first)


def test_a_fit_can_go_back(splits: Splits, protocol: Protocol, make_net: Make) -> None:
    """A restored state goes on as the one that was saved."""
    fit = Fit(make_net(), splits, protocol, 16, 0, CPU)
    fit.epoch(0)
    state = torch.utils._pytree.tree_map(copied, fit.state())
    first = fit.epoch(1)
    fit.restore(state)
    again = fit.epoch(1)
    assert {k: first[k] for k in ("loss", "val_loss", "lr")} == {k: again[k] for k in ("loss", "val_loss", "lr")}


def copied(value: object) -> object:
    return value.clone() if isinstance(value, torch.Tensor) else value
