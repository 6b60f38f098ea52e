"""swap and near against plain restatements of their formulas."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from uninas_evo.errors import ProxyError
from uninas_evo.proxies import Inputs, near, score, swap
from uninas_evo.spaces.uninas import Skeleton, preset
from uninas_evo.spaces.uninas.network import build

INPUTS = Inputs(batch=6, image=(3, 4, 4), reinitialize=False)


def small(activation: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 7), activation, nn.Linear(7, 4)]
    return nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), activation, *head)


def maps(net: nn.Module) -> list[torch.Tensor]:
    """What both activations are given."""
    first = net[0](INPUTS.images())
    return [first.detach(), net[4](net[3](net[2](net[1](first)))).detach()]


def test_swap_counts_different_columns() -> None:
    """Units as columns over the images: those of different signs are counted one by one."""
    patterns = {
        tuple(bool(unit > 0) for unit in column) for values in maps(small(nn.ReLU())) for column in values.flatten(1).T
    }
    assert swap(small(nn.ReLU()), INPUTS) == len(patterns)
    params = sum(p.numel() for p in small(nn.ReLU()).parameters())
    regular = swap(small(nn.ReLU()), INPUTS, mu=params + 10, sigma=50)
    assert regular == pytest.approx(len(patterns) * math.exp(-2))


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU(inplace=True), nn.GELU()])
def test_near_sums_effective_ranks(activation: nn.Module) -> None:
    """exp(entropy) of the normalized singular values, of the rows that the generator draws, before and after."""
    generator, total = INPUTS.generator("rows"), 0.0
    plain = small(nn.GELU() if isinstance(activation, nn.GELU) else nn.ReLU())
    for values in maps(plain):
        matrix = values.permute(0, 2, 3, 1).reshape(-1, 5) if values.dim() == 4 else values
        size = matrix.shape[1]
        first = int(torch.randint(max(1, len(matrix) - size + 1), (), generator=generator))
        for one in (matrix, plain[1](matrix.clone())):
            s = torch.linalg.svd(one[first : first + size].double())[1]
            p = [float(v) / float(s.sum()) for v in s if v > 0]
            total += math.exp(-sum(x * math.log(x) for x in p))
    assert near(small(activation), INPUTS) == pytest.approx(total, rel=1e-5)


def test_networks_of_the_space_have_both() -> None:
    """Of one seed the same values again; more width, more patterns."""
    narrow, wide = (build(preset("coatnet", Skeleton(16, 5, (8, 8), (c,), (1,)))) for c in (32, 64))
    inputs = Inputs(batch=16, image=(3, 16, 16))
    first = score(narrow, ["swap", "near"], inputs)
    assert first == score(narrow, ["swap", "near"], inputs)
    assert score(wide, ["swap"], inputs)["swap"] > first["swap"]


def test_networks_without_activations_are_refused() -> None:
    """Nothing splits at 0: there is no pattern."""
    for proxy in (swap, near):
        with pytest.raises(ProxyError, match="calls none: use one of them"):
            proxy(nn.Sequential(nn.Flatten(), nn.Linear(48, 4)), INPUTS)
