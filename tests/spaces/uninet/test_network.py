"""Networks do what the paper and the authors' code say: operators and modules against plain loops."""

from __future__ import annotations

import math
import random

import pytest
import torch
from spaces.uninet.networks import SKELETONS, random_genome
from torch import Tensor, nn
from torch.nn import functional

from uninas_evo.proxies import Inputs
from uninas_evo.proxies.registry import PROXIES, score
from uninas_evo.spaces.uninet import MODULES, OPERATORS, Genome, Skeleton, Stage, preset
from uninas_evo.spaces.uninet.network import Attention, LayerScale, build
from uninas_evo.spaces.uninet.network.modules import Sequence, downsampling
from uninas_evo.spaces.uninet.network.operators import ConvBlock, TokenMixer, operator

HEADS, WINDOW = 8, 4


def alive(module: nn.Module) -> nn.Module:
    """A module in evaluation mode whose every parameter matters."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.eval()


def plain_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q·kᵀ / √d)·v of one sample (p, C) and (P, C), by loops over heads and queries."""
    out = torch.zeros(len(q), v.shape[1])
    for start in range(0, q.shape[1], HEADS):
        own = slice(start, start + HEADS)
        for place, query in enumerate(q[:, own]):
            scores = torch.stack([query @ key for key in k[:, own]]) / HEADS**0.5
            weights = scores.exp() / scores.exp().sum()
            out[place, own] = sum(w * value for w, value in zip(weights, v[:, own], strict=True))
    return out


def tokens(x: Tensor) -> Tensor:
    """(C, H, W) as (HW, C) in row-major order."""
    return x.flatten(1).T


def plain_self_attention(mix: Attention, x: Tensor, side: int) -> Tensor:
    """Attention inside windows of a side, (H, W, C) to the same: every window by itself."""
    h, w, c = x.shape
    high, wide = -(-h // side) * side, -(-w // side) * side
    padded = torch.zeros(high, wide, c)
    padded[:h, :w] = x
    q, k, v = mix.project(padded).split(c, 2)
    done = torch.zeros(high, wide, c)
    for top in range(0, high, side):
        for left in range(0, wide, side):
            cut = (slice(top, top + side), slice(left, left + side))
            own = [part[cut].reshape(-1, c) for part in (q, k, v)]
            done[cut] = plain_attention(*own).reshape(side, side, c)
    return mix.out(done)[:h, :w]


@pytest.mark.parametrize(("name", "side"), [("SA", 6), ("LSA", 6), ("LSA", 3)])
def test_attention(name, side):
    """SA and LSA are position convolution, attention, FFN with their scales, by loops over windows and heads."""
    block = alive(operator(Stage("L", name, 2, 16, 1), side, HEADS, WINDOW))
    x = torch.randn(2, 16, side, side)
    window = side if name == "SA" else min(WINDOW, side)
    with torch.no_grad():
        y = (x + block.position(x)).permute(0, 2, 3, 1)
        mixed = torch.stack([plain_self_attention(block.mix, one, window) for one in block.norm1(y)])
        y = y + block.scale1.weight * mixed
        y = y + block.scale2.weight * block.ffn(block.norm2(y))
        torch.testing.assert_close(block(x), y.permute(0, 3, 1, 2), atol=1e-5, rtol=1e-5)


def test_windows_as_large_as_the_map_are_self_attention():
    """LSA whose window holds the whole map equals SA."""
    whole = alive(operator(Stage("L", "SA", 2, 16, 1), 4, HEADS, WINDOW))
    local = operator(Stage("L", "LSA", 2, 16, 1), 4, HEADS, 7).eval()
    local.load_state_dict(whole.state_dict())
    x = torch.randn(2, 16, 4, 4)
    torch.testing.assert_close(local(x), whole(x))


def test_mixer():
    """MLP mixes positions by one network for all channels, then channels."""
    block = alive(operator(Stage("L", "MLP", 2, 16, 1), 5, HEADS, WINDOW))
    x = torch.randn(2, 16, 5, 5)
    with torch.no_grad():
        y = x.permute(0, 2, 3, 1)
        normed = block.norm1(y)
        mixed = torch.stack([block.mix.ffn(normed[..., c].flatten(1)) for c in range(16)], 2).reshape(y.shape)
        y = y + block.scale1.weight * mixed
        y = y + block.scale2.weight * block.ffn(block.norm2(y))
        torch.testing.assert_close(block(x), y.permute(0, 3, 1, 2), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("expansion", [1, 3])
def test_convolutions(dense, expansion):
    """DWConv and Conv: norm, widen, norm, GELU, 3×3, norm, GELU, SE, narrow, norm, added to the input."""
    block = alive(ConvBlock(16, 16, expansion, dense=dense))
    x = torch.randn(2, 16, 5, 5)
    layers = iter(block.branch)

    def norm_gelu(y: Tensor) -> Tensor:
        norm = next(layers)
        y = functional.batch_norm(y, norm.running_mean, norm.running_var, norm.weight, norm.bias)
        next(layers)
        return functional.gelu(y)

    with torch.no_grad():
        y = x
        if expansion > 1:
            first = next(layers)
            y = functional.batch_norm(y, first.running_mean, first.running_var, first.weight, first.bias)
            y = norm_gelu(torch.einsum("nchw,oc->nohw", y, next(layers).weight[:, :, 0, 0]))
        spatial = next(layers)
        y = norm_gelu(functional.conv2d(y, spatial.weight, padding=1, groups=1 if dense else len(spatial.weight)))
        se = next(layers)
        gate = functional.relu(y.mean((2, 3)) @ se.squeeze.weight[:, :, 0, 0].T + se.squeeze.bias)
        gate = functional.relu6(gate @ se.excite.weight[:, :, 0, 0].T + se.excite.bias + 3) / 6
        last = next(layers)
        y = torch.einsum("nchw,oc->nohw", y * gate[:, :, None, None], last.weight[:, :, 0, 0])
        y = block.norm(y + last.bias[None, :, None, None])
        torch.testing.assert_close(block(x), x + y, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kind", MODULES)
def test_modules(kind, stride):
    """A module is its query, attended for G and LG, plus the pooled and projected input."""
    module = alive(downsampling(kind, 16, 24, stride, HEADS))
    x = torch.randn(2, 16, 6, 6)
    query = module.branch if kind == "L" else module.query
    with torch.no_grad():
        y = plain_sequence(query, x) if kind == "G" else query(x)
        if kind != "L":
            y = plain_cross_attention(module, x, y)
        projection = module.shortcut[-1]
        pooled = functional.max_pool2d(x, 3, stride, 1) if stride > 1 else x
        expected = y + projection(pooled)
        torch.testing.assert_close(module(x), expected, atol=1e-5, rtol=1e-5)


def plain_sequence(query: Sequence, x: Tensor) -> Tensor:
    """The one-dimensional convolution over the row-major sequence of tokens."""
    n, c, h, w = x.shape
    stride = query.stride**2
    y = functional.conv1d(
        x.reshape(n, c, h * w), query.conv.weight[:, :, 0], query.conv.bias, stride=stride, padding=1, groups=c
    )
    return query.project(query.norm(y.reshape(n, c, h // query.stride, w // query.stride)))


def plain_cross_attention(module: nn.Module, x: Tensor, query: Tensor) -> Tensor:
    done = []
    for sample, small in zip(x, query, strict=True):
        k, v = module.keys(module.key_norm(tokens(sample))).chunk(2, 1)
        y = module.out(plain_attention(module.query_norm(tokens(small)), k, v))
        done.append(y.T.reshape(small.shape))
    return torch.stack(done)


def test_global_modules_differ_in_their_query_alone():
    """LG-DSM and G-DSM have the same parts but for the query."""
    local, whole = (downsampling(kind, 16, 24, 2, HEADS) for kind in ("LG", "G"))

    def rest(module):
        return {name: tensor.shape for name, tensor in module.state_dict().items() if not name.startswith("query.")}

    assert rest(local) == rest(whole)


@pytest.mark.parametrize("name", OPERATORS)
def test_blocks_begin_as_the_identity(name):
    """Before training a block gives its input, of attention with the position convolution added."""
    skeleton = Skeleton(16, 10, 16, 1, None, 16, 4, 32, (1,))
    network = build(Genome(skeleton, (Stage("L", name, 2, 16, 1),))).eval()
    block = network.stages[0][1]
    x = torch.randn(2, 16, 16, 16)
    expected = x + block.position(x) if name in ("SA", "LSA") else x
    torch.testing.assert_close(block(x), expected, atol=1e-4, rtol=0)


def test_maps_of_all_stages():
    """`forward_features` gives one map a stage, at the strides of the skeleton."""
    network = build(preset("uninet-b0")).eval()
    with torch.no_grad():
        maps = network.forward_features(torch.zeros(1, 3, 64, 64))
    assert [tuple(one.shape[1:]) for one in maps] == [(48, 16, 16), (80, 8, 8), (128, 4, 4), (128, 4, 4), (256, 2, 2)]


@pytest.mark.parametrize("size", [(64, 96), (52, 44)])
@pytest.mark.parametrize("name", ["C", "D", "E"])
def test_other_sizes(name, size):
    """Networks with every operator and module take images of any size; maps are rounded up; all weights learn."""
    genome = random_genome(SKELETONS[name], random.Random(f"{name}{size}"))
    network = build(genome).train()
    maps = network.forward_features(torch.randn(2, 3, *size))
    height, width = size
    strides = (genome.skeleton.stem_stride, *genome.skeleton.strides)
    expected = []
    for stride in strides:
        height, width = -(-height // stride), -(-width // stride)
        expected.append((height, width))
    assert [tuple(one.shape[2:]) for one in maps] == expected[1:]
    assert all(one.isfinite().all() for one in maps)


def test_a_mixer_interpolates_its_weights():
    """At twice the side, a map enlarged by repetition is mixed much as the map itself, and every weight learns."""
    mixer = TokenMixer(16, 6)
    x = torch.randn(1, 6, 6, 4, generator=torch.Generator().manual_seed(0))
    x = torch.nn.functional.avg_pool2d(x.movedim(3, 1), 5, 1, 2).movedim(1, 3)
    with torch.no_grad():  # smooth weights, as trained ones of near positions are
        for one in (mixer.ffn[0].weight, mixer.ffn[2].weight.t(), mixer.ffn[2].bias[None]):
            grid = torch.linspace(-1, 1, 6)
            one.copy_((grid[:, None] + 0.5 * grid).flatten() * (1 + torch.arange(len(one)))[:, None] / 8)
    large = x.repeat_interleave(2, 1).repeat_interleave(2, 2)
    own, other = mixer(x), mixer(large)
    pooled = torch.nn.functional.avg_pool2d(other.movedim(3, 1), 2).movedim(1, 3)
    assert (pooled - own).abs().max() < 0.1 * own.abs().max()
    other.sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in mixer.parameters())


def test_equal_seeds_give_equal_weights():
    """Weights are a function of genome and seed alone."""
    genome = random_genome(SKELETONS["C"], random.Random(1))
    first, again, other = (list(build(genome, seed).parameters()) for seed in (1, 1, 2))
    assert all(map(torch.equal, first, again))
    assert not all(map(torch.equal, first, other))


@pytest.mark.parametrize("seed", range(4))
def test_networks_train(seed):
    """Every parameter of a random network gets a gradient, and stochastic depth drops branches."""
    genome = random_genome(SKELETONS["E"], random.Random(seed))
    network = build(genome)
    network.set_drop_path(0.5)
    assert network.blocks[0].drop_path.rate == 0
    assert network.blocks[-1].drop_path.rate == 0.5
    network.set_drop_path(0)
    for layer in network.modules():
        if isinstance(layer, LayerScale):
            nn.init.ones_(layer.weight)
    network(torch.randn(4, 3, 28, 28)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def every_part() -> Genome:
    """A small genome of all operators and modules."""
    skeleton = Skeleton(16, 10, 16, 2, (16, 1), 8, 3, 16, (1, 2, 1, 1, 1))
    modules = (*MODULES, "L", "LG")
    return Genome(skeleton, tuple(Stage(m, o, 2, 16, 1) for m, o in zip(modules, OPERATORS, strict=True)))


@pytest.mark.slow
@pytest.mark.parametrize("name", PROXIES)
def test_every_proxy_scores_every_part(name):
    """Each training-free score of a network of all operators and modules is a number."""
    found = score(build(every_part()), [name], Inputs(batch=8, image=(3, 16, 16)))
    assert math.isfinite(found[name])


@pytest.mark.slow
def test_networks_compile():
    """The whole forward pass is one graph, which gives the same logits."""
    network = build(every_part()).eval()
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(compiled(x), network(x), atol=1e-5, rtol=1e-5)
