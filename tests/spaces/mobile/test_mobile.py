"""The mobile spaces: published counts, texts, operators, networks."""

from __future__ import annotations

import contextlib
import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import uninas_evo
from uninas_evo.contracts import Budget
from uninas_evo.errors import GenomeError, SpaceError
from uninas_evo.spaces.mobile import ofa, proxyless
from uninas_evo.spaces.mobile.ofa import of_settings
from uninas_evo.spaces.mobile.plan import div8
from uninas_evo.spaces.mobile.presets import ofa_preset, proxyless_preset
from uninas_evo.spaces.mobile.proxyless import ProxylessSkeleton
from uninas_evo.spaces.mobile.space import OFASpace, ProxylessSpace

SMALL = ProxylessSkeleton(32, 5, (8, 8), (8, 12, 16, 16, 24, 24), 32)
SPACES = (ProxylessSpace(SMALL), OFASpace(7, 0.5, (32, 48)))
spaces = st.sampled_from(SPACES)
rngs = st.integers(0, 2**32).map(random.Random)


def test_proxyless_counts():
    """The two published networks have the published parameters and MACs."""
    counts = {name: proxyless_preset(name) for name in ("proxyless_gpu", "unas_mobile")}
    assert {name: (g.params, g.macs) for name, g in counts.items()} == {
        "proxyless_gpu": (7_119_848, 465_260_160),
        "unas_mobile": (5_965_528, 428_018_592),
    }


@pytest.mark.parametrize(
    ("name", "width", "params", "macs"),
    [
        ("ofa_largest", 1.0, 7_664_760, (188_248_320, 291_318_048, 417_292_160, 566_170_656)),
        ("ofa_smallest", 1.0, 3_410_792, (41_476_224, 63_240_528, 89_841_344, 121_278_672)),
        ("ofa_largest", 1.2, 10_701_632, (279_987_456, 433_563_888, 621_268_416, 843_101_040)),
        ("ofa_smallest", 1.2, 4_602_456, (65_536_896, 100_320_888, 142_834_656, 193_078_200)),
    ],
)
def test_ofa_counts(name, width, params, macs):
    """The largest and smallest networks have the counts of the authors' classes at four resolutions."""
    networks = [ofa_preset(name, resolution, width=width) for resolution in (128, 160, 192, 224)]
    assert {network.params for network in networks} == {params}
    assert tuple(network.macs for network in networks) == macs


def test_settings_of_the_guide():
    """Two further settings have the counts of the authors' classes."""
    kernels = "33535355355355355355"
    phone = of_settings(kernels, kernels.replace("5", "6"), "23333")
    board = of_settings("3" * 20, "33333344344344344344", "22222")
    assert (phone.params, phone.macs) == (5_233_608, 249_533_664)
    assert (board.params, board.macs) == (3_602_776, 135_684_096)
    with pytest.raises(GenomeError, match="give 20 kernels"):
        of_settings("3", "3", "2")


def test_counts_from_python():
    """Names and texts give genomes with their counts."""
    genome = uninas_evo.load_genome("proxyless_gpu")
    assert genome.params == 7_119_848
    assert uninas_evo.load_genome(genome.text) == genome
    assert uninas_evo.load_genome("ofa_largest", {"resolution": 128}).macs == 188_248_320
    assert uninas_evo.load_genome("unas_mobile", SMALL).skeleton == SMALL


def test_sizes_of_the_spaces():
    """The spaces have as many networks as the papers say, an identity never changing a width."""
    assert ProxylessSpace().count == 6**6 * 7**15
    blocks = sum((3 * 3) ** depth for depth in (2, 3, 4))
    assert blocks**5 == pytest.approx(2.176e19, rel=1e-3)
    assert len(OFASpace().decisions[0].options) == 25


def test_texts():
    """Texts begin with the space and the lines of the skeleton; only blocks that run are written."""
    assert proxyless_preset("proxyless_gpu").text.splitlines()[:4] == [
        "proxyless 1", "image 224", "classes 1000", "widths 40 24 | 32 56 112 128 256 432 | 1728",
    ]  # fmt: skip
    assert ofa_preset("ofa_smallest", 176).text == (
        "ofa 1\nclasses 1000\nwidth 1.0\nr176 k3e3 k3e3 | k3e3 k3e3 | k3e3 k3e3 | k3e3 k3e3 | k3e3 k3e3\n"
    )


@pytest.mark.parametrize(("width", "rounded"), [(16, 16), (19.2, 24), (28.8, 32), (3, 8), (134.4, 136), (44, 48)])
def test_div8(width, rounded):
    """The nearest multiple of 8, never below 0.9 of the width."""
    assert div8(width) == rounded


@given(spaces, rngs)
def test_round_trips(space, rng):
    """decode(encode(g)) == g and genome(indices(g)) == g."""
    genome = space.sample(rng)
    assert space.decode(space.encode(genome)) == genome
    assert space.genome(space.indices(genome)) == genome
    assert uninas_evo.load_genome(genome.text) == genome


@given(spaces, rngs)
def test_operators(space, rng):
    """Mutants and children lie in the space and differ from their parent; arguments stay."""
    a, b = space.sample(rng), space.sample(rng)
    texts = a.text, b.text
    mutant, child = space.mutate(a, rng), space.crossover(a, b, rng)
    assert mutant != a
    assert space.decode(mutant.text) == mutant
    assert space.decode(child.text) == child
    assert (a.text, b.text) == texts


@settings(deadline=None, max_examples=15)
@given(spaces, rngs)
def test_cost_is_that_of_the_built_network(space, rng):
    """Parameters and MACs of the formula are those of the built module."""
    genome = space.sample(rng)
    network, macs = space.build(genome).eval(), 0

    def count(module, inputs, output):
        nonlocal macs
        macs += module.weight.numel() * (output[0, 0].numel() if output.dim() == 4 else 1)

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(count)
    image = genome.plan.image
    assert network(torch.zeros(1, 3, image, image)).shape == (1, space.classes)
    assert sum(p.numel() for p in network.parameters()) == genome.params
    assert macs == genome.macs


def test_budget_holds():
    """A bound on MACs holds for everything that operators return."""
    space = OFASpace(budget=Budget(max_macs=150e6))
    rng = random.Random(1)
    assert all(space.sample(rng).macs <= 150e6 for _ in range(10))


GPU, SMALLEST = proxyless_preset("proxyless_gpu").text, ofa_preset("ofa_smallest").text


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (proxyless.parse, "ofa 1\n", "begins with the line 'proxyless 1'"),
        (proxyless.parse, GPU.replace("layers k5e3 zero", "layers zero zero"), "layer 1 must be one of"),
        (proxyless.parse, GPU.replace("k5e3 k5e6", "k9e3 k5e6"), "layer 12 must be one of"),
        (proxyless.parse, GPU.replace("layers k5e3 zero", "layers k5e3"), "has 21 layers, got 20"),
        (proxyless.parse, GPU.replace("| 1728", "1728"), "widths read like"),
        (proxyless.parse, GPU.replace("1728", "x"), "a width is a positive whole number"),
        (proxyless.parse, GPU.replace("image 224", "image 8"), "image must be at least 32"),
        (ofa.parse, "ofa 1\nclasses 10\nwidth 1.0\n", "has a line such as 'r176"),
        (ofa.parse, SMALLEST.replace("width 1.0", "width 1e9"), "width is a factor"),
        (ofa.parse, SMALLEST.replace("width 1.0", "width 0.0"), r"width lies in 0\.1\.\.9\.9"),
        (ofa.parse, SMALLEST.replace("k3e3 k3e3 |", "k3e3 |", 1), "five stages|5 stages"),
        (ofa.parse, SMALLEST.replace("k3e3", "k4e3", 1), "a block is written like"),
        (ofa.parse, SMALLEST.replace("r224", "r2"), "resolution must be at least 32"),
        (ofa.parse, SMALLEST.replace("classes 1000\n", ""), r"\['classes'\] are missing"),
    ],
)
def test_wrong_texts_name_the_rule(parse, text, message):
    """Every wrong text raises GenomeError that says what is wrong."""
    with pytest.raises(GenomeError, match=message):
        parse(text)


@given(st.sampled_from([(proxyless, GPU), (ofa, SMALLEST)]), st.integers(0, 60), st.text(max_size=4), st.integers(0, 4))
def test_fuzzed_texts(of, at, put, gone):
    """A text with any change is read, or raises GenomeError."""
    form, text = of
    with contextlib.suppress(GenomeError):
        form.parse(text[:at] + put + text[at + gone :])


def test_decode_keeps_to_the_space():
    """A genome of another skeleton or resolution is refused."""
    with pytest.raises(GenomeError, match="of another space"):
        ProxylessSpace(SMALL).decode(GPU)
    with pytest.raises(GenomeError, match="of another space"):
        OFASpace(resolutions=(128,)).decode(SMALLEST)
    with pytest.raises(SpaceError, match="at least one resolution"):
        OFASpace(resolutions=())
    with pytest.raises(GenomeError, match="2 stem widths"):
        replace(SMALL, widths=(1,))
