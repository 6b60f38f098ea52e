"""Neutral parts of a network: what can be left out once it is trained."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from random_genomes import SKELETONS, genomes

from uninas_evo.spaces.uninas import Skeleton, UninasSpace, preset
from uninas_evo.spaces.uninas.reduce import neutral, trimmed
from uninas_evo.spaces.uninas.text import parse_genome

SMALL = Skeleton(image_size=16, classes=10, stem=(8, 8), channels=(16,), depths=(1,))


def with_first(text: str):
    """The small ResNet with another first chain."""
    lines = preset("resnet", SMALL).text.splitlines()
    place = next(index for index, line in enumerate(lines) if line.lstrip().startswith("1:"))
    lines[place] = f"  1: {text}"
    return parse_genome("\n".join(lines) + "\n")


def outputs(genome):
    """Logits in evaluation, with weights and statistics of batch norms that are tied by shape."""
    network = UninasSpace(genome).build(genome).eval()
    state = network.state_dict()
    for name, tensor in [*network.named_parameters(), *((n, t) for n, t in state.items() if "running_" in n)]:
        drawn = torch.randn(tensor.shape, generator=torch.Generator().manual_seed(hash(tuple(tensor.shape)) % 2**31))
        tensor.data.copy_(drawn.abs() + 0.5 if name.endswith("running_var") else 0.2 * drawn)
    side = genome.skeleton.image_size
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = network(images)
    assert torch.isfinite(found).all()
    return found


@settings(max_examples=25, deadline=None)
@given(genomes(SKELETONS[:2]))
def test_the_trimmed_network_gives_the_same_outputs(genome):
    """With the same weights, of any random genome; trimming again finds nothing."""
    short = trimmed(genome)
    torch.testing.assert_close(outputs(short), outputs(genome), rtol=1e-5, atol=1e-5)
    assert trimmed(short) == short
    assert neutral(short) == {}


@pytest.mark.parametrize(
    ("text", "short", "found"),
    [
        ("dw3 dropout gelu", "dw3 gelu", {"dropout": 1}),
        ("mask dw3", "dw3", {"mask": 1}),
        ("copy_add(zero, dw3)", "dw3", {"copy_add": 1, "zero": 1}),
        ("gelu chunk2", "gelu", {"chunk2": 1}),
        ("dw3 gelu zero", "zero", {"dw3": 1, "gelu": 1}),
        ("batchnorm batchnorm", "batchnorm batchnorm", {}),
        ("dw3 copy_add batchnorm", "dw3 copy_add batchnorm", {}),
    ],
)
def test_what_is_neutral(text, short, found):
    """Dropout, masks that reach everything, additions of nothing; not what a trained norm would tell."""
    assert trimmed(with_first(text)) == with_first(short)
    assert neutral(with_first(text)) == found
