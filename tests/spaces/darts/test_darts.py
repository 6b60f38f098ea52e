"""The DARTS space: published counts, texts, printed genotypes, operators, networks."""

from __future__ import annotations

import contextlib
import random
from dataclasses import replace

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import uninas_evo
from uninas_evo.contracts import Budget
from uninas_evo.errors import BudgetError, GenomeError, SpaceError
from uninas_evo.spaces.darts.cost import auxiliary_cost
from uninas_evo.spaces.darts.genome import OPERATIONS, Genome, Skeleton
from uninas_evo.spaces.darts.network import DartsNetwork
from uninas_evo.spaces.darts.presets import PRESETS, preset
from uninas_evo.spaces.darts.space import DartsSpace, read

CIFAR, IMAGENET, SMALL = Skeleton(), Skeleton(224, 1000, 48, 14), Skeleton(32, 10, 16, 8)
TINY = Skeleton(8, 3, 4, 3)
PUBLISHED = {
    "darts_v1": (3_169_414, 500_987_520, 4_510_432, 505_864_704, 232_890, 41_355_776),
    "darts_v2": (3_349_342, 528_359_040, 4_718_752, 529_911_552, 246_106, 43_444_736),
    "pdarts": (3_433_798, 532_174_464, 4_944_352, 542_819_328, 292_026, 48_138_752),
    "pc_darts_cifar": (3_634_678, 556_670_592, 5_270_560, 571_137_408, 335_738, 53_258_752),
    "pc_darts_image": (3_721_510, 570_466_944, 5_342_464, 581_627_328, 327_546, 52_460_032),
    "unas_cifar10": (3_330_766, 516_304_512, 4_850_848, 530_212_608, 293_018, 48_015_872),
    "unas_cifar100": (4_015_270, 614_067_840, 5_714_848, 621_940_608, 371_386, 58_616_320),
    "unas_imagenet": (3_814_606, 584_042_112, 5_478_880, 595_184_256, 348_954, 55_347_712),
}
DARTS_V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=range(2, 6))"
)
SPACES = (
    DartsSpace(TINY),
    DartsSpace(TINY, "factorized"),
    DartsSpace(Skeleton(64, 5, 6, 4), "factorized", OPERATIONS),
    DartsSpace(Skeleton(96, 5, 4, 5)),
)
spaces = st.sampled_from(SPACES)
rngs = st.integers(0, 2**32).map(random.Random)


@pytest.mark.parametrize("name", PRESETS)
def test_published_counts(name):
    """Parameters and MACs of every published genotype are those of the authors' classes, at three sizes."""
    genomes = [preset(name, skeleton) for skeleton in (CIFAR, IMAGENET, SMALL)]
    counts = [count for genome in genomes for count in (genome.params, genome.macs)]
    assert tuple(counts) == PUBLISHED[name]


def test_further_published_counts():
    """CIFAR-100's classifier, UNAS' width for ImageNet, FLOPs and the auxiliary head have the published counts."""
    assert preset("unas_cifar100", Skeleton(classes=100)).params == 4_067_200
    narrow = preset("unas_imagenet", replace(IMAGENET, channels=46))
    assert (narrow.params, narrow.macs) == (5_073_949, 548_602_256)
    flops = [preset("darts_v2", skeleton).flops for skeleton in (CIFAR, IMAGENET, SMALL)]
    assert flops == [1_070_385_418, 1_070_577_448, 89_523_210]
    assert auxiliary_cost(CIFAR).params == 476_426


def test_counts_from_python():
    """A name, and a skeleton where it is wanted, give the genome with its counts."""
    genome = uninas_evo.load_genome("darts_v2")
    assert (genome.params, genome.macs, genome.flops) == (3_349_342, 528_359_040, 1_070_385_418)
    assert uninas_evo.load_genome("darts_v2", IMAGENET).params == 4_718_752
    assert uninas_evo.load_genome(genome.text) == genome
    assert uninas_evo.load_genome(DARTS_V2) == genome


def test_sizes_of_the_spaces():
    """The rules admit as many genomes as the papers say."""
    assert DartsSpace().size == 1_037_664_180**2
    assert DartsSpace(rule="factorized").size == 6_203_943_900**2


def test_text_is_canonical():
    """The text begins with the space and the skeleton's lines; edges of a node are ordered by input, then name."""
    text = preset("unas_cifar10", SMALL).text
    assert text.startswith(
        "darts 1\nimage 32\nclasses 10\nchannels 16\ncells 8\nnormal |sep_conv_5x5~0|skip_connect~0|+|"
    )
    swapped = text.replace("|sep_conv_5x5~0|skip_connect~0|", "|skip_connect~0|sep_conv_5x5~0|")
    assert swapped != text
    assert read(swapped).text == text


@given(spaces, rngs)
def test_round_trips(space, rng):
    """decode(encode(g)) == g and genome(indices(g)) == g; genomes hash by content."""
    genome = space.sample(rng)
    assert space.decode(space.encode(genome)) == genome
    assert space.genome(space.indices(genome)) == genome
    assert uninas_evo.load_genome(genome.text) == genome
    assert hash(read(genome.text)) == hash(genome)


@given(spaces, rngs)
def test_operators(space, rng):
    """A mutant differs in one edge and keeps the rule; a child's nodes are its parents'; arguments stay."""
    a, b = space.sample(rng), space.sample(rng)
    texts = a.text, b.text
    mutant, child = space.mutate(a, rng), space.crossover(a, b, rng)
    assert space.holds(mutant)
    assert space.holds(child)
    assert _edges_changed(a, mutant) == 1
    for kind in ("normal", "reduce"):
        for node, *pair in zip(*(getattr(g, kind).nodes for g in (child, a, b)), strict=True):
            assert node in pair
    assert (a.text, b.text) == texts


def _edges_changed(a: Genome, b: Genome) -> int:
    pairs = zip((*a.normal.nodes, *a.reduce.nodes), (*b.normal.nodes, *b.reduce.nodes), strict=True)
    return sum(len({*x} - {*y}) or (x != y) for x, y in pairs)


@settings(deadline=None, max_examples=20)
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
    logits = network(torch.zeros(1, *space.image))
    assert logits.shape == (1, space.classes)
    assert sum(p.numel() for p in network.parameters()) == genome.params == space.cost(genome).params
    assert macs == genome.macs


def test_budget_holds():
    """Operators stay inside bounds on any of the three costs."""
    space = DartsSpace(SMALL, budget=Budget(max_macs=40e6, max_params=230e3))
    rng = random.Random(0)
    genome = space.sample(rng)
    for _ in range(50):
        child = space.mutate(genome, rng)
        genome = genome if child is None else child
        assert space.budget.admits(genome.cost)
    with pytest.raises(BudgetError, match="the start must be inside"):
        DartsSpace(SMALL, start=preset("unas_cifar100", SMALL), budget=Budget(max_params=1000))


def test_a_node_sums_its_edges_and_the_output_concatenates():
    """With identities alone node 2 is the sum of the inputs, and so on: exact on a normal cell."""
    skip = "|skip_connect~0|skip_connect~1|"
    genome = read(f"darts 1\nimage 8\nclasses 2\nchannels 4\ncells 3\nnormal {skip}+{skip}+{skip}+{skip}\n"
                  f"reduce {skip}+{skip}+{skip}+{skip}\n")  # fmt: skip
    cell = DartsNetwork(genome).cells[0].eval()
    x, y = torch.randn(2, 12, 8, 8), torch.randn(2, 12, 8, 8)
    a, b = cell.inputs[0](x), cell.inputs[1](y)
    assert torch.equal(cell(x, y), torch.cat([a + b] * 4, 1))


def test_drop_path_drops_edges_of_images():
    """In training each image loses an edge's output with the rate, the rest is scaled up; identities stay."""
    network = DartsNetwork(preset("darts_v2", TINY))
    network.set_drop_path(0.5)
    cell, x = network.cells[0], torch.ones(64, 4, 8, 8)
    cell.edges[0], cell.edges[5] = torch.nn.ReLU(), torch.nn.Identity()
    values = cell._edge(0, x).amax(dim=(1, 2, 3))
    assert set(values.tolist()) == {0.0, 2.0}
    assert torch.equal(cell._edge(5, x), x)
    network.eval()
    assert torch.equal(cell._edge(0, x), x)


def test_auxiliary_head():
    """It is for training from scratch alone: its parameters are the published ones; small maps are refused."""
    network = DartsNetwork(preset("darts_v2"), auxiliary=True)
    assert sum(p.numel() for p in network.auxiliary.parameters()) == 476_426
    large = DartsNetwork(preset("darts_v2", Skeleton(224, 7, 4, 5)), auxiliary=True)
    assert [x.shape for x in large(torch.zeros(2, 3, 224, 224))] == [(2, 7), (2, 7)]
    with pytest.raises(SpaceError, match="the auxiliary head needs maps"):
        DartsNetwork(preset("darts_v2", TINY), auxiliary=True)
    assert large.eval()(torch.zeros(2, 3, 224, 224)).shape == (2, 7)


UNAS_NODE = "{'inputs': [0, 1], 'ops': [1, 4]}"


def test_unas_literal():
    """UNAS' numbers stand for its list of operations; cells may be nested or follow one another."""
    flat = read(f"[{', '.join([UNAS_NODE] * 8)}]")
    nested = read(f"[[{', '.join([UNAS_NODE] * 4)}], [{', '.join([UNAS_NODE] * 4)}]]")
    assert flat == nested
    assert flat.normal.text == "+".join(["|sep_conv_3x3~0|sep_conv_5x5~1|"] * 4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("darts 2\n", "begins with the line 'darts 1'"),
        (preset("darts_v1").text.replace("cells 20\n", ""), r"\['cells'\] are missing"),
        (preset("darts_v1").text + "cells 20\n", "'cells' is given twice"),
        (preset("darts_v1").text + "depth 20\n", "'depth' begins no line"),
        (preset("darts_v1").text.replace("channels 36", "channels 35"), "channels must be even"),
        (preset("darts_v1").text.replace("image 32", "image 30"), "image must be a multiple of 4"),
        (preset("darts_v1").text.replace("image 32", "image 100"), "image must be a multiple of 32"),
        (preset("darts_v1").text.replace("cells 20", "cells 2"), r"cells must lie in 3\.\.1000"),
        (preset("darts_v1").text.replace("cells 20", "cells -3"), "cells is a positive whole number"),
        (preset("darts_v1").text.replace("sep_conv_3x3", "conv"), "the operation 'conv' is unknown"),
        (preset("darts_v1").text.replace("~2|", "~5|"), r"an input of node \d must lie in"),
        (preset("darts_v1").text.replace("+", ""), "a cell's text has four nodes"),
        ("Genotype(normal=1)", "a Genotype has the four fields"),
        ("Genotype(" + "(" * 5000, "cannot be parsed"),
        (DARTS_V2.replace("range(2, 6)", "range(2, 10**9)"), "names and numbers alone"),
        (DARTS_V2.replace("range(2, 6)", "range(3, 6)"), "reduce_concat must be 2, 3, 4, 5"),
        (DARTS_V2.replace("range(2, 6)", "__import__('os')"), "reduce_concat must be"),
        (DARTS_V2.replace("('skip_connect', 2)", "print()"), "names and numbers alone"),
        (DARTS_V2.replace("'skip_connect', 2", "'none', 2"), "the operation 'none' is unknown"),
        (DARTS_V2.replace("('sep_conv_3x3', 0), ", ""), "a cell has 8 pairs"),
        (f"[{UNAS_NODE}]", "UNAS' genotype lists 8 nodes"),
        (f"[{', '.join([UNAS_NODE.replace('4', '7')] * 8)}]", r"ops in 0\.\.6"),
        ("Genotype(" + "1," * 10000, "at most 10000 characters"),
    ],
)
def test_wrong_texts_name_the_rule(text, message):
    """Every wrong text raises GenomeError that says what is wrong."""
    with pytest.raises(GenomeError, match=message):
        read(text)


@given(st.one_of(st.text(max_size=200), st.sampled_from(PRESETS).map(lambda n: preset(n).text)), st.data())
@example("darts 1\nimage 32", None)
def test_fuzzed_texts(text, data):
    """Whatever the text, it is read or GenomeError is raised."""
    if data is not None and text:
        at = data.draw(st.integers(0, len(text) - 1))
        text = text[:at] + data.draw(st.text(max_size=3)) + text[at + data.draw(st.integers(0, 3)) :]
    for prefix in ("", "darts 1\n", "Genotype(", "[{'inputs'"):
        with contextlib.suppress(GenomeError):
            read(prefix + text)


@given(st.integers(0, len(DARTS_V2) - 1), st.text(max_size=3), st.integers(0, 3))
def test_fuzzed_genotypes(at, put, gone):
    """A printed genotype with any change is read, or raises GenomeError."""
    with contextlib.suppress(GenomeError):
        read(DARTS_V2[:at] + put + DARTS_V2[at + gone :])


def test_decode_keeps_to_the_space():
    """A genome of another skeleton, rule or operation is refused with the rule."""
    with pytest.raises(GenomeError, match="another skeleton than this space"):
        DartsSpace(SMALL).decode(preset("darts_v2").text)
    with pytest.raises(GenomeError, match="breaks the space's rule 'darts'"):
        DartsSpace().decode(preset("unas_cifar10").text)
    with pytest.raises(SpaceError, match="the rule is"):
        DartsSpace(rule="free")
    with pytest.raises(SpaceError, match=r"\['conv'\] are unknown"):
        DartsSpace(operations=["conv"])
