"""The hand-crafted networks of the paper."""

from __future__ import annotations

import pytest

from uninas_evo.errors import GenomeError
from uninas_evo.spaces.uninas import PRESETS, Skeleton, load_genome, preset

PAPER = {
    "resnet": (24_817_416, 9.038e9),
    "efficientnet": (23_864_136, 6.162e9),
    "vit": (26_398_156, 18.645e9),
    "coatnet": (26_871_124, 8.506e9),
}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_the_papers_cost(name: str) -> None:
    """Parameters equal Table IV exactly, FLOPs within 1.5 %."""
    params, flops = PAPER[name]
    genome = load_genome(name)
    assert genome.params == params
    assert genome.flops == pytest.approx(flops, rel=0.015)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_takes_any_skeleton(name: str) -> None:
    """Image size, classes, stem, channels and depths are free."""
    skeleton = Skeleton(image_size=64, classes=3, stem=(4, 8), channels=(32, 64), depths=(2, 1))
    genome = preset(name, skeleton)
    assert genome.skeleton == skeleton
    assert len(genome.chains) == 6


def test_an_unknown_preset_names_the_presets() -> None:
    """The error holds the value and the fix."""
    with pytest.raises(GenomeError, match="unknown preset 'coat'; use one of resnet"):
        preset("coat")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"image_size": 100}, "divisible by 32, since the stem and 4 stages halve it each; got 100; use 96"),
        ({"channels": (8, 8)}, "as many of both"),
        ({"stem": (8, 8, 8)}, "two widths"),
        ({"classes": 0}, "whole numbers from 1 up"),
        ({"classes": True}, "whole numbers from 1 up"),
        ({"depths": (1, 1, 1, "1")}, "whole numbers from 1 up"),
    ],
)
def test_a_wrong_skeleton_is_refused(wrong: dict[str, object], message: str) -> None:
    """Every rule of a skeleton has its message."""
    with pytest.raises(GenomeError, match=message):
        Skeleton(**wrong)  # type: ignore[arg-type]
