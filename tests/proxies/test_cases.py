"""Networks that other counters get wrong: the cost and the score do not depend on how a network is written."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from uninas_evo.errors import ProxyError
from uninas_evo.proxies import Inputs, flops, jacov, naswot, te_ntk, te_regions

INPUTS = Inputs(batch=8, image=(3, 16, 16))


class Tokens(nn.Module):
    """A patch convolution to 16 tokens of 32 channels, a layer, the mean and a head."""

    def __init__(self, layer: nn.Module, call: Callable[[nn.Module, torch.Tensor], torch.Tensor] = lambda f, x: f(x)):
        super().__init__()
        self.stem, self.layer, self.head, self.call = nn.Conv2d(3, 32, 4, 4), layer, nn.Linear(32, 10), call

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.stem(images).flatten(2).transpose(1, 2)
        logits: torch.Tensor = self.head(self.call(self.layer, tokens).mean(1))
        return logits


class Pixels(nn.Module):
    """A layer on 256 pixels of 8 channels; what the convolution and the head cost is taken off."""

    def __init__(self, layer: nn.Module | None, call: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.stem, self.layer, self.head, self.call = nn.Conv2d(3, 8, 1), layer, nn.Linear(8, 2), call

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.call(self.layer, self.stem(images).flatten(2).transpose(1, 2)).mean(1))
        return logits


def test_attention_is_not_free() -> None:
    """Transformer layers and attention cost what their matrix products do."""
    encoder = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, dropout=0.0)
    decoder = nn.TransformerDecoderLayer(32, 4, 64, batch_first=True, dropout=0.0)
    attention = nn.MultiheadAttention(32, 4, batch_first=True)
    assert flops(Tokens(encoder), INPUTS) == 344_704
    assert flops(Tokens(attention, lambda f, x: f(x, x, x)[0]), INPUTS) == 213_632
    assert flops(Tokens(decoder, lambda f, x: f(x, x)), INPUTS) == 508_544


def test_fused_attention_and_recurrent_layers_are_not_free() -> None:
    """A fused attention of one head and an LSTM over 256 steps."""
    bare = flops(Pixels(None, lambda _, x: x), INPUTS)
    attended = Pixels(None, lambda _, x: F.scaled_dot_product_attention(x, x, x))
    assert flops(attended, INPUTS) - bare == 2_097_152
    recurrent = Pixels(nn.LSTM(8, 8, batch_first=True), lambda f, x: f(x)[0])
    assert flops(recurrent, INPUTS) - bare == 262_144
    gated = Pixels(nn.GRU(8, 8, batch_first=True), lambda f, x: f(x)[0])
    assert flops(gated, INPUTS) - bare == 196_608


def test_an_unknown_operation_with_weights_is_refused() -> None:
    """A bilinear layer has weights and no known cost: an error, not 0."""
    with pytest.raises(ProxyError, match=r"flops cannot count the operation _trilinear"):
        flops(Pixels(nn.Bilinear(8, 8, 8), lambda f, x: f(x, x)), INPUTS)


def test_layers_that_cost_nothing_are_taken() -> None:
    """Embeddings, norms, scales and positions are no multiplications of the counter's kinds."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale, self.position = nn.Parameter(torch.ones(1, 256, 1)), nn.Parameter(torch.zeros(1, 256, 8))
            self.norm = nn.LayerNorm([256, 8])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.norm(x * self.scale + self.position)
            return y

    bare = flops(Pixels(None, lambda _, x: x), INPUTS)
    assert flops(Pixels(Scaled(), lambda f, x: f(x)), INPUTS) == bare


@pytest.mark.parametrize("proxy", [te_ntk, te_regions, jacov, naswot])
def test_one_image_is_refused(proxy: Callable[..., float]) -> None:
    """What compares images needs two of them."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 14 * 14, 3))
    with pytest.raises(ProxyError, match=rf"{proxy.__name__} compares images .* at least 2 in a batch, got 1"):
        proxy(net, Inputs(batch=1, image=(3, 16, 16)))


class TwoConvolutions(nn.Module):
    def __init__(self, first: Callable[..., torch.Tensor], second: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)
        self.n, self.m = nn.BatchNorm2d(8), nn.BatchNorm2d(8)
        self.first, self.second, self.head = first, second, nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.head(self.second(self.m(self.b(self.first(self.n(self.a(x)))))).mean((2, 3)))
        return y


SPELLINGS: list[Callable[..., torch.Tensor]] = [
    nn.ReLU(), nn.ReLU(inplace=True), F.relu, torch.relu, torch.Tensor.relu, torch.relu_, F.relu_,
    lambda x: x.clamp(min=0), lambda x: torch.clamp_min(x, 0), lambda x: F.relu(x, inplace=True),
]  # fmt: skip


@pytest.mark.parametrize("second", SPELLINGS)
def test_one_value_however_a_network_is_written(second: Callable[..., torch.Tensor]) -> None:
    """Activations as modules, functions, methods and in place give one naswot and one count of regions."""
    right = TwoConvolutions(nn.ReLU(), nn.ReLU())
    other = TwoConvolutions(F.relu, second)
    assert naswot(other, INPUTS) == naswot(right, INPUTS)
    assert te_regions(other, INPUTS) == te_regions(right, INPUTS)


def test_prelu_splits_at_zero() -> None:
    """nn.PReLU is read; a network without any activation that splits at 0 is refused by name."""
    assert naswot(TwoConvolutions(nn.PReLU(), nn.PReLU()), INPUTS) > 0
    with pytest.raises(ProxyError, match="calls none: use one of them"):
        naswot(TwoConvolutions(torch.tanh, torch.sigmoid), INPUTS)
