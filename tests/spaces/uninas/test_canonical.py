"""Canonical genomes: what a training-free score cannot see is taken out, and nothing else."""

from __future__ import annotations

import pytest
from spaces.uninas.equal_networks import difference, walked
from spaces.uninas.test_variations import with_first

from uninas_evo.spaces.uninas import Genome, load_genome
from uninas_evo.spaces.uninas.reduce import canonical, reduced


def with_second(text: str) -> Genome:
    """A genome whose second chain is the text: nothing lies between it and its block's norm."""
    lines = ["uninas 1", "image 32", "classes 3", "stem 8 8", "stage 32", "  1: -", f"  2: {text}"]
    return load_genome("\n".join(lines))


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("dropout gelu", "gelu"),
        ("gelu batchnorm dropout batchnorm", "gelu batchnorm"),
        ("dw3 chunk2(dropout, -) gelu", "dw3 gelu"),
        ("gelu mask dropout mask", "gelu mask"),
        ("dw3 copy_add layernorm", "dw3 layernorm"),
        ("global_avg(global_avg(conv1))", "global_avg(conv1)"),
        ("global_avg global_avg(dropout conv1)", "global_avg(conv1)"),
        ("gelu global_avg(softmax)", "global_avg(softmax)"),
        ("attention(q: dropout, scores: mask mask softmax)", "attention(scores: mask softmax)"),
        ("conv_exp4(dw3 zero)", "conv_exp4(zero)"),
    ],
)
def test_each_rule(text: str, same: str) -> None:
    """What has no effect goes, and outputs with equal weights are equal to 1e-5 in eval mode."""
    raw = with_second(text)
    assert canonical(raw) == with_second(same)
    assert difference(raw, canonical(raw), training=False) < 1e-5


def test_a_norm_behind_the_norm_of_its_block() -> None:
    """A layer norm right behind the block's goes; in a stage's first chain an average lies between, and it stays."""
    assert canonical(with_second("layernorm gelu")) == with_second("gelu")
    assert canonical(with_first("layernorm gelu")) == with_first("layernorm gelu")
    assert reduced(with_second("layernorm gelu")) == reduced(with_second("gelu"))


@pytest.mark.parametrize(
    "text",
    ["gelu gelu", "copy_add gelu", "copy_add batchnorm", "copy_multiply(dw3, zero)", "softmax softmax", "mask gelu"],
)
def test_what_has_an_effect_stays(text: str) -> None:
    """No rule takes out what changes an output."""
    assert canonical(with_second(text)) == with_second(text)


def test_training_sees_dropout() -> None:
    """Equal for a proxy is not equal for training."""
    assert reduced(with_second("dropout gelu")) != reduced(with_second("gelu"))


@pytest.mark.parametrize("seed", range(12))
def test_canonical_networks_compute_the_same(seed: int) -> None:
    """After walks: outputs equal to 1e-5, with the batch's statistics too; canonical is settled, and never larger."""
    raw = walked(seed)
    found = canonical(raw)
    assert canonical(found) == found
    assert found.params <= raw.params
    assert difference(raw, found, training=False) < 1e-5
    assert difference(raw, found, training=True) < 1e-5
