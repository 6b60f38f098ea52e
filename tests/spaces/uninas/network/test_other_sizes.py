"""Images of another size than the skeleton's: the relative position bias is interpolated."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
import torch

from uninas_evo.spaces.uninas import Genome, Skeleton, UninasSpace, preset
from uninas_evo.spaces.uninas.network import Network, RelPosBias, build

SKELETON = Skeleton(image_size=32, classes=5, stem=(8, 8), channels=(32, 64), depths=(1, 1))


def walked(seed: int) -> Genome:
    """A random network with attention."""
    space = UninasSpace(preset("vit", SKELETON))
    rng = random.Random(seed)
    genome = space.start
    for _ in range(40):
        genome = space.mutate(genome, rng) or genome
    return genome


def naive_bias(table: torch.Tensor, h: int, w: int) -> torch.Tensor:
    """The bias by its definition, pair by pair, from a table (2h − 1, 2w − 1)."""
    positions = [(i, j) for i in range(h) for j in range(w)]
    rows = [[table[a - c + h - 1, b - d + w - 1] for c, d in positions] for a, b in positions]
    return torch.stack([torch.stack(row) for row in rows])


@pytest.mark.parametrize("grid", [(4, 4), (6, 6), (3, 5), (2, 2), (1, 3)])
def test_bias_is_that_of_the_interpolated_table(grid: tuple[int, int]) -> None:
    """On any grid the bias of two positions is the resized table's value for their offset."""
    layer = RelPosBias(4, copies=2)
    torch.nn.init.normal_(layer.table, generator=torch.Generator().manual_seed(0))
    h, w = grid
    layer.grid = grid
    table = layer.table.view(1, 2, 7, 7)
    if grid != (4, 4):
        table = torch.nn.functional.interpolate(table, (2 * h - 1, 2 * w - 1), mode="bicubic")
    expected = torch.stack([naive_bias(table[0, copy], h, w) for copy in range(2)])
    assert torch.allclose(layer.bias()[0], expected)
    assert torch.allclose(torch.cat(layer.bias(rows=2), 1), expected)
    scores = torch.zeros(3, 2, h * w, h * w)
    assert torch.allclose(layer(scores)[1], expected)


def test_interpolation_is_timms() -> None:
    """Square tables are resized as timm does for Swin at another window size."""
    from timm.layers import resize_rel_pos_bias_table_simple

    layer = RelPosBias(4)
    torch.nn.init.normal_(layer.table, generator=torch.Generator().manual_seed(0))
    layer.grid = (6, 6)
    theirs = resize_rel_pos_bias_table_simple(layer.table.detach().view(1, 7, 7), (6, 6), (1, 11, 11))
    assert torch.allclose(layer.bias()[0][0], naive_bias(theirs.view(11, 11), 6, 6), atol=1e-5)


@pytest.mark.parametrize("name", ["resnet", "efficientnet", "vit", "coatnet"])
@pytest.mark.parametrize("size", [(48, 48), (32, 64), (40, 56)])
def test_presets_take_other_sizes(name: str, size: Sequence[int]) -> None:
    """Maps have the strides 4 and 8 at every size, gradients reach the tables, and the own size is as before."""
    network = build(preset(name, SKELETON)).eval()
    image = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    before = network(image)
    maps = network.forward_features(torch.randn(2, 3, *size))
    assert [tuple(m.shape[2:]) for m in maps] == [(size[0] // s, size[1] // s) for s in (4, 8)]
    network(torch.randn(2, 3, *size)).sum().backward()
    tables = [m.table for m in network.modules() if isinstance(m, RelPosBias)]
    assert all(table.grad is not None and table.grad.abs().sum() > 0 for table in tables)
    assert torch.equal(network(image), before)


@pytest.mark.parametrize("seed", range(12))
def test_random_networks_take_other_sizes(seed: int) -> None:
    """So do networks with biases anywhere: in nested chains, and outside attention."""
    network: Network = build(walked(seed)).eval()
    image = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    before = network(image)
    assert network(torch.randn(1, 3, 48, 64)).shape == (1, 5)
    assert torch.equal(network(image), before)


def test_a_smooth_bias_keeps_its_shape() -> None:
    """A table that is linear in the offset is linear at twice the size: near offsets keep their order and sign."""
    layer = RelPosBias(4)
    offsets = torch.arange(-3.0, 4.0)
    with torch.no_grad():
        layer.table.copy_((offsets[:, None] + 0 * offsets).reshape(1, -1))
    layer.grid = (8, 8)
    column = layer.bias()[0][0].view(8, 8, 8, 8)[:, 0, 0, 0]  # from the top-left position to each row
    assert torch.all(column.diff() > 0)
    assert column[0].abs() < 1e-6
