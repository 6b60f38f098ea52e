"""Networks of random genomes: size, shapes, gradients, what runs and what does not."""

from __future__ import annotations

import copy
import io
import math
import pickle
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from uninas_evo.spaces.uninas import OPERATIONS, Genome, Skeleton, preset
from uninas_evo.spaces.uninas.chain import Chain, walk_nodes
from uninas_evo.spaces.uninas.network import Network, RelPosBias, build, pairs
from uninas_evo.spaces.uninas.network.layers import Depthwise5
from uninas_evo.spaces.uninas.network.pairs import HeadGroup
from uninas_evo.spaces.uninas.text import parse_chain

if TYPE_CHECKING:
    from conftest import Genomes

Images = Callable[[Genome, int], Tensor]
ATTENTION = "attention(scores: relposbias softmax)"


def genome_of(first: str, second: str = "-", skeleton: Skeleton | None = None) -> Genome:
    """A network of one block of 32 channels at 4×4 positions."""
    skeleton = skeleton or Skeleton(16, 5, (8, 8), (32,), (1,))
    return Genome.of(skeleton, [parse_chain(text, skeleton.stage_shape(0)) for text in (first, second)])


def calls(network: nn.Module, x: Tensor) -> Counter[nn.Module]:
    """How often each module ran in one forward pass."""
    counts: Counter[nn.Module] = Counter()
    hooks = [m.register_forward_hook(lambda m, _i, _o: counts.update([m])) for m in network.modules()]
    network(x)
    for hook in hooks:
        hook.remove()
    return counts


@pytest.mark.slow
def test_the_cost_is_the_number_of_parameters(genomes: Genomes) -> None:
    """`cost.params` equals the parameter count of the built network, for every genome."""
    for genome in genomes.many(seeds=60):
        with torch.device("meta"):
            network = Network(genome)
        assert sum(p.numel() for p in network.parameters()) == genome.params, genome.text


@pytest.mark.parametrize("training", [True, False])
def test_logits_and_gradients_of_random_networks(genomes: Genomes, images: Images, training: bool) -> None:
    """Logits are (N, K); exactly the parameters that ask for gradients get them, and frozen layers do not run."""
    for genome in genomes.many(seeds=4):
        network = build(genome).train(training)
        x = images(genome, 2)
        counts = calls(network, x)
        logits = network(x)
        assert logits.shape == (2, genome.skeleton.classes)
        logits.square().sum().backward()
        for name, module in network.named_modules():
            own = list(module.parameters(recurse=False))
            asks = [p.requires_grad for p in own]
            assert asks == [p.grad is not None for p in own], f"{name} of {genome.text}"
            if own and not isinstance(module, RelPosBias):  # a fused one is read, not called
                assert counts[module] == any(asks), f"{name} of {genome.text}"


CUT = {
    "conv1 gelu zero": 0,
    "conv1 gelu zero gelu": 1,
    "conv_exp4(gelu zero)": 0,
    "conv_exp4(zero batchnorm) gelu": 1,
    "conv_exp4(gelu zero batchnorm)": 0,
    "gelu copy_multiply(zero, gelu)": 0,
    "gelu copy_add(gelu zero, gelu)": 2,
    "gelu copy_add(gelu zero, zero)": 0,
    "gelu chunk2(gelu, zero)": 2,
    "gelu chunk2(zero, zero) gelu": 1,
    "gelu global_avg(gelu zero)": 0,
    "gelu global_avg(gelu zero dw3)": 0,
    "gelu attention(q: gelu, v: gelu zero, out: gelu)": 1,
    "gelu attention(q: gelu, scores: gelu zero)": 0,
    "gelu attention(q: gelu, k: gelu, v: gelu, scores: gelu, out: zero)": 0,
    "gelu attention(q: gelu, k: gelu, v: gelu, scores: zero relposbias softmax)": 2,
    "gelu attention(q: gelu, k: gelu, v: gelu, out: zero conv1)": 0,
}


@pytest.mark.parametrize("text", CUT)
def test_what_a_zero_cuts_off_does_not_run(text: str, images: Images) -> None:
    """No node runs whose value a zero keeps from the output; its parameters count and ask for no gradients."""
    genome = genome_of(text)
    network = build(genome)
    counts = calls(network, images(genome, 2))
    assert sum(counts[m] for m in network.modules() if isinstance(m, nn.GELU)) - 1 == CUT[text]  # the stem has one
    assert sum(p.numel() for p in network.parameters()) == genome.params


@pytest.mark.parametrize("text", CUT)
def test_a_cut_network_computes_what_the_whole_one_would(text: str, images: Images) -> None:
    """Leaving out what is cut changes no output: the zeros as ordinary nodes give the same."""
    genome = genome_of(text)
    marked = genome_of(text.replace("zero", "mask"))
    network, whole = build(genome).eval(), build(marked).eval()
    for module in whole.modules():
        for name, child in module.named_children():
            if type(child).__name__ == "Mask":
                setattr(module, name, Product0())
    whole.load_state_dict(network.state_dict())
    x = images(genome, 2)
    torch.testing.assert_close(network(x), whole(x), rtol=1e-4, atol=1e-5)


class Product0(nn.Module):
    """A zero that the network does not know as one."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 0


def counted(chain: Chain) -> int:
    """FLOPs of what torch's counter counts (convolutions and matrix products) of a chain's nodes that run."""
    names = [n.operation.name for n in chain.nodes]
    start = len(names) - names[::-1].index("zero") if "zero" in names else 0
    total = 0
    for node in chain.nodes[start:]:
        for inner, copies in walk_nodes(Chain(chain.shape, (node,), "", 0, 0, 0, 1)):
            name, (c, h, w) = inner.operation.name, inner.shape
            if inner.operation.kind == "convolution" or name == "attention":
                total += copies * OPERATIONS[name].flops(c, h, w)
            for group, places in enumerate(inner.heads):
                if not inner.branches[5 * group + 3].nodes:  # q·(kᵀ·v) takes the place of (q·kᵀ)·v
                    total += copies * len(places) * (128 * 32 * h * w - 128 * (h * w) ** 2)
    return total


def counted_skeleton(s: Skeleton) -> int:
    """The same of stem, widening convolutions and head."""
    area = (s.image_size // 2) ** 2
    total = (54 * s.stem[0] + 18 * s.stem[0] * s.stem[1]) * area + 2 * s.channels[-1] * s.classes
    before = s.stem[1]
    for stage, c in enumerate(s.channels):
        _, h, w = s.stage_shape(stage)
        total += 2 * 2 * before * c * h * w if before != c else 0
        before = c
    return total


def test_flops_against_the_counter_of_torch(genomes: Genomes, images: Images) -> None:
    """The formulas of convolutions, linear layers and matrix products equal torch's own count."""
    for genome in genomes.many(seeds=6):
        if any("zero" in n.text for c in genome.chains for n in c.nodes if n.branches):
            continue
        # Before torch 2.15 the counter does not know the CPU's fused attention.
        with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            build(genome).eval()(images(genome, 1))
        dead = sum(_cut_skeleton(genome))
        expected = sum(counted(c) for c in genome.chains) + counted_skeleton(genome.skeleton) - dead
        assert counter.get_total_flops() == expected, genome.text


def _cut_skeleton(genome: Genome) -> list[int]:
    """The widening convolution of norm₁ does not run where chain₁ begins anew after a zero."""
    s = genome.skeleton
    cut = []
    for index, (stage, place) in enumerate(s.blocks):
        before = s.stem[1] if stage == 0 else s.channels[stage - 1]
        c, h, w = s.stage_shape(stage)
        zero = any(n.operation.name == "zero" for n in genome.chains[2 * index].nodes)
        if place == 0 and before != c and zero:
            cut.append(2 * before * c * h * w)
    return cut


def test_feature_maps_have_the_strides_of_the_stages(genomes: Genomes, images: Images) -> None:
    """`forward_features` gives one map a stage, at strides 4, 8, …, and the head reads the last."""
    for skeleton in genomes.skeletons:
        genome = genomes.walked("efficientnet", skeleton, 10, seed=0)
        network, x = build(genome).eval(), images(genome, 2)
        maps = network.forward_features(x)
        assert [tuple(m.shape[1:]) for m in maps] == [skeleton.stage_shape(i) for i in range(len(maps))]
        assert len(maps) == len(skeleton.channels)
        torch.testing.assert_close(network.head(network.norm(maps[-1]).mean((2, 3))), network(x))


def test_copies_by_state_dict_deepcopy_and_pickle(genomes: Genomes, images: Images) -> None:
    """A network survives state_dict (saved and read without pickle), deepcopy and pickle with equal outputs."""
    for seed in range(3):
        genome = genomes.zeroed(genomes.walked("coatnet", genomes.skeletons[0], 40, seed), seed, seed)
        network = build(genome, seed=seed)
        x = images(genome, 2)
        network.train()(x)  # moves the running statistics
        network.eval()
        file = io.BytesIO()
        torch.save(network.state_dict(), file)
        file.seek(0)
        loaded = build(genome, seed=9).eval()
        loaded.load_state_dict(torch.load(file, weights_only=True))
        for other in (loaded, copy.deepcopy(network), pickle.loads(pickle.dumps(network))):  # noqa: S301 - our own
            assert torch.equal(other(x), network(x))
            assert [p.requires_grad for p in other.parameters()] == [p.requires_grad for p in network.parameters()]


def test_equal_heads_in_groups_of_their_own_give_the_same(images: Images) -> None:
    """Heads batched in one group equal the same heads run group by group, in any order of groups."""
    skeleton = Skeleton(32, 5, (8, 8), (128,), (1,))
    chains = "q: dw3, k: batchnorm, v: layernorm, scores: relposbias softmax, out: conv1 gelu"
    genome = genome_of(f"attention({chains})", f"attention({chains.replace(' softmax', '')})", skeleton)
    outputs = []
    for places in ((), (2,), (0, 3, 0)):
        split = genome
        for index in range(2):
            attention = split.chains[index].nodes[0]
            for place in places:
                own = next(g for g, heads in enumerate(attention.heads) if place in heads)
                if len(attention.heads[own]) > 1:
                    attention, _ = attention.split_head(5 * own, place)
            split = split.with_chain(index, split.chains[index].replace(0, attention))
        network = build(split, seed=3)
        x = images(genome, 2)
        outputs.append((network.train()(x), network.eval()(x)))
    for other in outputs[1:]:
        torch.testing.assert_close(other, outputs[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scores", [1, 6000, 2**20])
def test_the_fused_attention_equals_the_paper_s_equations(
    images: Images, monkeypatch: pytest.MonkeyPatch, scores: int
) -> None:
    """The fast path, row by row, sample by sample or at once, equals scores, bias and softmax one after the other."""
    monkeypatch.setattr(pairs, "SCORES_IN_CACHE", scores)
    genome = preset("vit", Skeleton(32, 5, (8, 8), (64, 96), (1, 2)))
    networks = build(genome), build(genome)
    for module in networks[1].modules():
        if isinstance(module, HeadGroup):
            assert module.is_fused
            module.is_fused = False
    x = images(genome, 3)
    results = []
    for network in networks:
        own = x.clone().requires_grad_()
        logits = network(own)
        logits.square().sum().backward()
        results.append([logits, own.grad, *(p.grad for p in network.parameters())])
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)


def test_attention_by_hand(images: Images) -> None:
    """Equations 1 and 2 of the paper, written out in sums, for two heads: channels go head by head, q, k, v each."""
    network = build(genome_of(ATTENTION, skeleton=Skeleton(16, 5, (8, 8), (64,), (1,)))).eval()
    attention = network.blocks[0].chain1.nodes[0]
    x = torch.randn(2, 64, 4, 4, generator=torch.Generator().manual_seed(0))
    projected = attention.project(x)
    table = attention.groups[0].scores.nodes[0].table
    expected = torch.zeros_like(x)
    for head in range(2):
        q, k, v = (projected[:, 96 * head + 32 * i : 96 * head + 32 * i + 32].flatten(2) for i in range(3))
        scores = torch.einsum("nci,ncj->nij", q, k) / math.sqrt(32)
        for i in range(16):
            for j in range(16):
                rows, columns = i // 4 - j // 4 + 3, i % 4 - j % 4 + 3
                scores[:, i, j] += table[head, 7 * rows + columns]
        out = torch.einsum("nij,ncj->nci", scores.softmax(2), v)
        expected[:, 32 * head : 32 * head + 32] = out.unflatten(2, (4, 4))
    torch.testing.assert_close(attention(x), expected, rtol=1e-4, atol=1e-5)


def test_second_derivatives_and_function_transforms(images: Images) -> None:
    """Per-sample Jacobians by torch.func, and double backward, work on the plain attention in eval mode."""
    genome = preset("coatnet", Skeleton(16, 3, (4, 4), (32, 32), (1, 1)))
    network = build(genome).eval()
    for module in network.modules():
        if isinstance(module, HeadGroup):
            module.is_fused = False
    x = images(genome, 2)
    weights = {n: p.detach() for n, p in network.named_parameters() if p.requires_grad}

    def logits(weights: dict[str, Tensor], image: Tensor) -> Tensor:
        return torch.func.functional_call(network, weights, (image[None],))[0]

    jacobians = torch.func.vmap(torch.func.jacrev(logits), in_dims=(None, 0))(weights, x)
    name = "stages.1.0.chain1.nodes.0.groups.0.scores.nodes.0.table"
    (first,) = torch.autograd.grad(network(x)[1, 2], [dict(network.named_parameters())[name]])
    torch.testing.assert_close(jacobians[name][1, 2], first, rtol=1e-4, atol=1e-6)
    own = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(own).square().sum(), own, create_graph=True)
    gradient.square().sum().backward()
    assert own.grad is not None
    assert own.grad.abs().sum() > 0


def test_the_depthwise_convolution_is_torch_s() -> None:
    """The 5×5 depthwise convolution with its own gradient equals nn.Conv2d, its second derivatives included."""
    generator = torch.Generator().manual_seed(0)
    mine = Depthwise5(3).double()
    plain = nn.Conv2d(3, 3, 5, padding=2, groups=3, bias=False).double()
    plain.load_state_dict(mine.state_dict())
    x = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    results = [(layer(x), *torch.autograd.grad(layer(x).pow(3).sum(), [x, layer.weight])) for layer in (mine, plain)]
    torch.testing.assert_close(*results)
    assert torch.autograd.gradgradcheck(
        lambda x, w: torch.func.functional_call(mine, {"weight": w}, x), (x, mine.weight)
    )


def test_drop_path_is_linear_over_blocks_and_keeps_the_mean(images: Images) -> None:
    """Rates grow linearly from 0; eval mode is untouched; training drops whole samples and scales the kept ones."""
    network = build(preset("resnet", Skeleton(16, 5, (8, 8), (8,), (5,))))
    x = images(network.genome, 2)
    before = network.eval()(x)
    network.set_drop_path(0.4)
    assert [block.drop_path.rate for block in network.blocks] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert torch.equal(network(x), before)
    drop = network.blocks[4].drop_path.train()
    dropped = drop(torch.ones(4000, 2, 3, 3)).flatten(1)
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.6])
    assert torch.equal(dropped.amin(1), dropped.amax(1))
    assert dropped.mean().item() == pytest.approx(1, abs=0.05)
