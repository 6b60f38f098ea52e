"""Taps: each equals the derivative that autograd gives, whatever the layer's options."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call, jacrev, vmap

from uninas_evo.proxies.taps import Entries, TappedForward, tap
from uninas_evo.spaces.uninas.network import ChannelNorm, RelPosBias


def assert_tap_is_exact(layer: nn.Module, inputs: torch.Tensor) -> None:
    """All entries of all the layer's parameters, against the Jacobian of a random projection of its output."""
    layer, inputs = layer.double().eval(), inputs.double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    projection = torch.randn(layer(inputs)[0].numel(), 3, dtype=torch.float64)
    net = nn.Sequential(layer, nn.Flatten(), _Fixed(projection))
    entries = [Entries(n, p, torch.arange(p.numel()) % p.numel()) for n, p in net.named_parameters()]
    size = max(len(e.index) for e in entries)
    entries = [Entries(e.name, e.parameter, torch.arange(size) % e.parameter.numel()) for e in entries]
    cotangent = torch.randn(len(inputs), 3, dtype=torch.float64)
    rows = TappedForward(net, inputs, entries).rows(cotangent)
    values = {n: p.detach() for n, p in net.named_parameters()}
    jacobian = vmap(jacrev(lambda v, x: functional_call(net, v, (x[None],))[0]), in_dims=(None, 0))(values, inputs)
    for column, chosen in enumerate(entries):
        by = jacobian[chosen.name].flatten(2)[:, :, chosen.index]
        assert torch.allclose(rows[:, column], torch.einsum("nk,nke->ne", cotangent, by), atol=1e-9)


class _Fixed(nn.Module):
    def __init__(self, matrix: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("matrix", matrix)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.matrix


@settings(max_examples=40, deadline=None)
@given(
    groups=st.sampled_from([1, 2, 4]),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.integers(1, 2),
    dilation=st.integers(1, 2),
    padding=st.sampled_from([0, 1, 2, "same", "valid"]),
    mode=st.sampled_from(["zeros", "reflect", "circular", "replicate"]),
    bias=st.booleans(),
)
def test_convolution(
    groups: int,
    kernel: tuple[int, int],
    stride: int,
    dilation: int,
    padding: int | str,
    mode: str,
    bias: bool,
) -> None:
    """Convolutions of any stride, padding, dilation and grouping."""
    layer = nn.Conv2d(
        4,
        8,
        kernel,
        stride=1 if padding == "same" else stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        bias=bias,
        padding_mode=mode,
    )
    assert_tap_is_exact(layer, torch.randn(2, 4, 6, 7))


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(5, 4), (5,)),
        (nn.Linear(5, 4, bias=False), (3, 2, 5)),
        (nn.BatchNorm2d(4), (4, 3, 3)),
        (nn.GroupNorm(2, 4), (4, 3, 3)),
        (nn.LayerNorm(5), (3, 5)),
        (nn.LayerNorm((3, 5)), (2, 3, 5)),
        (ChannelNorm(4), (4, 3, 3)),
        (ChannelNorm(2, copies=3), (6, 3, 3)),
        (RelPosBias(2), (1, 4, 4)),
        (RelPosBias(3, copies=2), (4, 9, 9)),
    ],
)
def test_layer(layer: nn.Module, shape: tuple[int, ...]) -> None:
    """Linear layers on vectors and tokens, norms, and bias tables."""
    if isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.running_mean)
        nn.init.uniform_(layer.running_var, 0.5, 2)
    assert_tap_is_exact(layer, torch.randn(2, *shape))


def test_a_layer_called_twice_sums_its_derivatives() -> None:
    """Shared weights collect from every call."""
    shared = nn.Linear(4, 4)
    assert_tap_is_exact(nn.Sequential(shared, nn.Tanh(), shared), torch.randn(2, 4))


def test_in_place_activations_are_followed() -> None:
    """An activation that overwrites its input does not disturb the taps before and after it."""
    assert_tap_is_exact(
        nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Conv2d(3, 2, 1)),
        torch.randn(2, 2, 3, 3),
    )


def test_a_tap_can_be_added() -> None:
    """`tap` teaches a layer of the user's own."""

    class Shift(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.by = nn.Parameter(torch.zeros(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.by

    @tap(Shift)
    def _shift(layer: Shift, x: torch.Tensor, name: str, index: torch.Tensor) -> object:
        return lambda gradient: gradient[:, index]

    assert_tap_is_exact(Shift(), torch.randn(3, 4))
