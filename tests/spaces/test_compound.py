"""Compound scaling: the coefficients that are found, the penalty above the target, and the curve."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

from uninas_evo.cli import app
from uninas_evo.errors import GenomeError
from uninas_evo.spaces.compound import CLASSICAL, Coefficients, Scaled, curve, find_coefficients, scaled, stride_of
from uninas_evo.spaces.load import load_genome
from uninas_evo.spaces.uninas import Skeleton, preset

SMALL = preset("resnet", Skeleton(image_size=32, classes=10, stem=(8, 16), channels=(32, 64), depths=(2, 2)))
STRIDE = stride_of(SMALL)


def test_exponent_0_is_the_network() -> None:
    """And 1 multiplies by the coefficients, with sides that the stride divides."""
    assert scaled(SMALL, CLASSICAL, 0.0, STRIDE).genome == SMALL
    one = scaled(SMALL, Coefficients(1.5, 1.25, 1.25), 1.0, STRIDE)
    assert (one.genome.skeleton.depths, one.genome.skeleton.channels) == ((3, 3), (40, 80))
    assert one.space.image == (3, 40, 40)
    assert one.flops == one.genome.flops


@pytest.mark.parametrize("wanted", ["depths", "image"])
def test_what_is_worth_most_is_found(wanted: str) -> None:
    """A score that depth alone raises is answered by depth, one of the image by resolution; never far above twice."""

    def score(one: Scaled) -> float:
        skeleton = one.genome.skeleton
        return float(sum(skeleton.depths) if wanted == "depths" else skeleton.image[1])

    best, tried = find_coefficients(SMALL, score, stride=STRIDE)
    assert (best.depth > best.resolution) == (wanted == "depths")
    doubled = scaled(SMALL, best, 1.0, STRIDE).flops / SMALL.flops
    assert 1.2 <= doubled <= 2.2
    assert len({(one.depth, one.width, one.resolution) for one, _, _ in tried}) > 5
    again, _ = find_coefficients(SMALL, score, stride=STRIDE)
    assert again == best


def test_a_score_that_is_no_number_never_wins() -> None:
    """And where there is none at all, it is told."""
    best, _ = find_coefficients(
        SMALL, lambda one: math.nan if one.space.image[1] > 32 else 1.0, stride=STRIDE, refinements=0
    )
    assert scaled(SMALL, best, 1.0, STRIDE).space.image[1] == 32
    with pytest.raises(GenomeError, match="no scaled network has"):
        find_coefficients(SMALL, lambda one: math.nan, stride=STRIDE, refinements=0)


def test_the_curve_ends_inside_the_target() -> None:
    """It begins at the network, grows, and its last network is the largest of a tenth of a step."""
    target = 10 * SMALL.flops
    found = curve(SMALL, CLASSICAL, target, STRIDE)
    assert found[0].genome == SMALL
    assert [one.phi for one in found] == sorted({one.phi for one in found})
    assert found[-1].flops <= target < scaled(SMALL, CLASSICAL, found[-1].phi + 0.05, STRIDE).flops
    with pytest.raises(GenomeError, match="it must lie above the network"):
        curve(SMALL, CLASSICAL, SMALL.flops - 1, STRIDE)


def test_the_command(tmp_path: Path) -> None:
    """It prints the coefficients and the curve and writes the largest network; mistakes are one message."""
    (tmp_path / "small.txt").write_text(SMALL.text)
    source, out = str(tmp_path / "small.txt"), tmp_path / "large.txt"
    call = ["scale", source, "--target-flops", str(4 * SMALL.flops)]
    told = CliRunner().invoke(app, [*call, "--proxy", "zen", "--refinements", "2", "--out", str(out)])
    assert told.exit_code == 0, told.output
    assert "coefficients for twice the FLOPs: depth" in told.output
    assert SMALL.flops < load_genome(out).flops <= 4 * SMALL.flops
    told = CliRunner().invoke(app, [*call, "--coefficients", "classical"])
    assert "depth 1.2, width 1.1, resolution 1.15" in told.output
    for wrong in ("x", "1,2", "nan,1,1"):
        told = CliRunner().invoke(app, [*call, "--coefficients", wrong])
        assert (told.exit_code, "coefficients are found, classical, or three" in told.output) == (2, True)
    told = CliRunner().invoke(app, ["scale", "resnet18", "--target-flops", "5e9", "--coefficients", "classical"])
    assert "only genomes of UniNAS and UniNet hold the skeleton" in " ".join(told.output.split())
    assert curve(load_genome("uninet-b0"), CLASSICAL, 2e9, stride_of(load_genome("uninet-b0")))
