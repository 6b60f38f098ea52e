"""The networks under timm's `create_model`."""

from __future__ import annotations

import pytest

timm = pytest.importorskip("timm", reason="the extra `train` is not installed")

import torch  # noqa: E402

import uninas_evo.timm  # noqa: E402, F401 - makes the names known
from uninas_evo import build, load_genome, load_space, preset  # noqa: E402
from uninas_evo.errors import GenomeError, TrainingError  # noqa: E402
from uninas_evo.spaces.uninas import Skeleton  # noqa: E402
from uninas_evo.training.formats import save_weights  # noqa: E402

SMALL = preset("efficientnet", Skeleton(image_size=32, classes=10, stem=(8, 8), channels=(16, 24), depths=(1, 1)))
IMAGES = torch.zeros(2, 3, 32, 32)


def test_a_preset_has_the_classes_and_image_size_that_timm_asks_for():
    """The names are those of presets, with timm's arguments."""
    network = timm.create_model("uninas_evo_efficientnet", num_classes=7, img_size=64)
    assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 7)
    skeleton = load_genome("efficientnet").skeleton
    assert (network.genome.skeleton.channels, network.genome.skeleton.image_size) == (skeleton.channels, 64)


def test_features_only_gives_the_stages_maps():
    """Channels and strides are those of the maps, for all stages or those that were asked for."""
    network = timm.create_model("uninas_evo_genome", genome=SMALL.text, features_only=True)
    maps = network(IMAGES)
    assert [one.shape[1] for one in maps] == network.feature_info.channels() == [16, 24]
    assert [32 // one.shape[2] for one in maps] == network.feature_info.reduction() == [4, 8]
    last = timm.create_model("uninas_evo_genome", genome=SMALL.text, features_only=True, out_indices=(1,))
    assert (len(last(IMAGES)), last.feature_info.channels()) == (1, [24])


def test_trained_weights_are_taken_with_their_genome(tmp_path):
    """Outputs are those of the trained network; another number of classes gets a fresh head."""
    trained = build(SMALL).eval()
    save_weights(trained, tmp_path, *load_space(trained.genome.text))
    network = timm.create_model("uninas_evo_genome", weights=tmp_path).eval()
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(network(images), trained(images))
    assert timm.create_model("uninas_evo_genome", weights=tmp_path, num_classes=3)(IMAGES).shape == (2, 3)


def test_every_preset_has_a_name():
    """With underscores, as timm's names have."""
    names = timm.list_models("uninas_evo_*")
    assert {"uninas_evo_genome", "uninas_evo_vit", "uninas_evo_uninet_b0", "uninas_evo_resnet18"} <= set(names)


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("genome", {}, GenomeError, "add genome="),
        ("coatnet", {"pretrained": True}, TrainingError, "no pretrained weights"),
        ("coatnet", {"in_chans": 1}, GenomeError, "got in_chans"),
        ("darts_v2", {"img_size": 64}, GenomeError, "does not hold its image size"),
        ("genome", {"genome": "no genome"}, GenomeError, "neither a preset nor a file"),
    ],
)
def test_what_cannot_be_had_is_one_message(name, options, error, message):
    """The error says what is wrong and what to give."""
    with pytest.raises(error, match=message):
        timm.create_model(f"uninas_evo_{name}", **options)
