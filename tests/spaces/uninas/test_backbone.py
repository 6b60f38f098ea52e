"""What a network costs as a backbone, for images of any size."""

from __future__ import annotations

import json
import random

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from typer.testing import CliRunner

from uninas_evo.cli import app
from uninas_evo.spaces.uninas import Genome, Skeleton, UninasSpace, preset
from uninas_evo.spaces.uninas.backbone import backbone_cost
from uninas_evo.spaces.uninas.load import resized
from uninas_evo.spaces.uninas.network import build

SKELETON = Skeleton(image_size=32, classes=5, stem=(8, 8), channels=(32, 64), depths=(1, 1))


@pytest.mark.parametrize(
    ("name", "segmentation", "detection"), [("resnet", 47, 184), ("efficientnet", 32, 124), ("coatnet", 51, 296)]
)
def test_the_papers_numbers(name: str, segmentation: int, detection: int) -> None:
    """GFLOPs at 512 x 512 to the printed digit, at 800 x 1280 within 2 %."""
    genome = preset(name)
    assert round(backbone_cost(genome, 512, 512)["published_flops"] / 1e9) == segmentation
    assert backbone_cost(genome, 800, 1280)["published_flops"] / 1e9 == pytest.approx(detection, rel=0.02)


def walked(seed: int) -> Genome:
    """A random network of many operations."""
    space, rng = UninasSpace(preset("coatnet", SKELETON)), random.Random(seed)
    genome = space.start
    for _ in range(60):
        genome = space.mutate(genome, rng) or genome
    return genome


@pytest.mark.parametrize("seed", range(8))
def test_square_images_cost_what_the_resized_genome_does(seed: int) -> None:
    """All but the head, at the genome's own size and at another."""
    genome = walked(seed)
    for side in (32, 128):
        other = resized(genome, side)
        expected = other.flops - other.skeleton.head_cost.flops
        assert backbone_cost(genome, side, side).flops == expected
    assert backbone_cost(genome, 32, 32).params == genome.params - genome.skeleton.head_cost.params


@pytest.mark.parametrize("name", ["resnet", "efficientnet", "vit", "coatnet"])
@pytest.mark.parametrize("size", [(48, 80), (45, 71)])
def test_a_run_counts_the_same(name: str, size: tuple[int, int]) -> None:
    """The profiler counts convolutions and products alone; the rest is a few percent of so small a network."""
    genome = preset(name, SKELETON)
    network = build(genome).eval()
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network.forward_features(torch.zeros(1, 3, *size))
    counted = counter.get_total_flops()
    assert counted <= backbone_cost(genome, *size)["published_flops"] <= 1.15 * counted


def test_the_command() -> None:
    """`cost --image` takes height x width; spaces without formulas and other texts are one message."""
    done = CliRunner().invoke(app, ["cost", "resnet", "--image", "512x512", "--json"])
    assert json.loads(done.stdout)["flops"] == 47_281_864_704
    done = CliRunner().invoke(app, ["cost", "resnet", "--image", "64x96", "--protocol", "detection-small", "--json"])
    assert json.loads(done.stdout)["images_per_s"] > 0
    for arguments, message in (
        (["resnet", "--image", "512"], "height x width of 10 to 99999 pixels, got '512'; such as 800x1280"),
        (["mobilenet_v2", "--image", "64x64"], "those of UniNAS and UniNet, got one of StagesSpace; leave it out"),
    ):
        done = CliRunner().invoke(app, ["cost", *arguments])
        assert done.exit_code == 2
        assert message in " ".join(done.stderr.split())
