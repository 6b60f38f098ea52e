"""intrain and l_swag against plain restatements of their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from uninas_evo.errors import ProxyError
from uninas_evo.proxies import Inputs, intrain, l_swag, score
from uninas_evo.proxies.coupled import participation_ratio
from uninas_evo.spaces.uninas import Skeleton, preset
from uninas_evo.spaces.uninas.network import build

INPUTS = Inputs(batch=6, image=(3, 4, 4), reinitialize=False)


def small() -> nn.Module:
    torch.manual_seed(0)
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 4)]
    return nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), *head)


def gradients(batch: int) -> dict[str, np.ndarray]:
    net = small()
    F.cross_entropy(net(INPUTS.images(batch)), INPUTS.labels(4, batch)).backward()
    return {name: p.grad.double().numpy() for name, p in net.named_parameters()}


def test_intrain_is_its_formula() -> None:
    """Participation ratios by eigenvalues of every layer's output, evenness by every parameter's gradient."""
    net = small()
    first = net[0](INPUTS.images(0))
    second = net[4](net[3](net[2](net[1](first))))
    third = net[6](net[5](second))
    capacity = 0.0
    for output in (first.permute(0, 2, 3, 1).reshape(-1, 5), second, third):
        values = np.linalg.eigvalsh(np.cov(output.detach().double().numpy().T, bias=True))
        capacity += math.log(values.sum() ** 2 / (values**2).sum())
    health = sum(min(1.0, g.std() / (abs(g).max() + 1e-10)) for g in gradients(0).values())
    assert intrain(small(), INPUTS) == pytest.approx(capacity * (1 + health) / math.log(4), rel=1e-4)


def test_participation_ratio_counts_directions() -> None:
    """As many as there are equally strong ones; one where all channels are the same."""
    rows = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0))
    assert participation_ratio(rows.expand(-1, 6)) == pytest.approx(1)
    three = torch.randn(20_000, 3, generator=torch.Generator().manual_seed(0))
    assert participation_ratio(torch.cat([three, torch.zeros(20_000, 5)], 1)) == pytest.approx(3, rel=0.01)


@pytest.mark.parametrize("chosen", [{}, {"first": 0.5}, {"last": 0.4}])
def test_l_swag_is_its_formula(chosen: dict[str, float]) -> None:
    """Inverse deviations of absolute gradients over two batches, times different columns of signs, in the layers."""
    a, b = gradients(0), gradients(1)
    net = small()
    first = net[0](INPUTS.images())
    second = net[4](net[3](net[2](net[1](first))))
    weights, signs = ["0.weight", "4.weight", "6.weight"], [first.flatten(1) > 0, second > 0]
    if "first" in chosen:
        weights, signs = weights[2:], signs[1:]
    if "last" in chosen:
        weights, signs = weights[:1], signs[:1]
    trainability = 0.0
    for name in weights:
        spread = np.std([abs(a[name]), abs(b[name])], 0)
        trainability += math.log((1 / spread[spread > 0]).sum())
    patterns = {tuple(column.tolist()) for part in signs for column in part.T}
    assert l_swag(small(), INPUTS, **chosen) == pytest.approx(trainability * len(patterns), rel=1e-3)


def test_layers_must_lie_in_the_network() -> None:
    """Shares of the depth in their order."""
    with pytest.raises(ProxyError, match="0 <= first < last <= 1"):
        l_swag(small(), INPUTS, first=0.5, last=0.5)


def test_networks_of_the_space_have_both() -> None:
    """Of one seed the same values again."""
    net = build(preset("coatnet", Skeleton(16, 5, (8, 8), (32,), (1,))))
    inputs = Inputs(batch=16, image=(3, 16, 16))
    found = score(net, ["intrain", "l_swag"], inputs)
    assert found == score(net, ["intrain", "l_swag"], inputs)
    assert min(found.values()) > 0
