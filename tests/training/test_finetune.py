"""A trained network is the start of another training, also for other classes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from uninas_evo.errors import TrainingError
from uninas_evo.spaces.load import load_space
from uninas_evo.spaces.uninas import Skeleton, preset
from uninas_evo.spaces.uninas.load import resized
from uninas_evo.spaces.uninas.network import build
from uninas_evo.training.finetune import start_from
from uninas_evo.training.formats import save_weights
from uninas_evo.training.protocol import load_protocol

SMALL = Skeleton(image_size=32, classes=10, stem=(8, 16), channels=(32, 64), depths=(1, 1))


def test_weights_are_taken_where_they_fit(tmp_path: Path) -> None:
    """All but the head for other classes; of another network they are refused."""
    genome = preset("coatnet", SMALL)
    trained = build(genome, 1)
    save_weights(trained, tmp_path, *load_space(trained.genome.text))
    other = resized(genome, classes=5)
    assert (other.skeleton.classes, other.chains) == (5, genome.chains)
    network, told = build(other, 2), []
    start_from(network, tmp_path, told.append)
    assert "drawn anew: head.weight, head.bias" in told[0]
    assert torch.equal(network.stem[0].weight, trained.stem[0].weight)
    with pytest.raises(TrainingError, match="are of another network: at least half of the tensors must fit"):
        start_from(torch.nn.Linear(2, 2), tmp_path)


def test_timms_interface() -> None:
    """Features, their widths and strides, and a new head, whose network is again that of its genome."""
    network = build(preset("coatnet", SMALL)).eval()
    maps = network.forward_features(torch.zeros(1, 3, 32, 32))
    assert [(one["num_chs"], 32 // one["reduction"]) for one in network.feature_info] == [m.shape[1:3] for m in maps]
    assert network.forward_head(maps[-1], pre_logits=True).shape == (1, network.num_features)
    network.reset_classifier(7)
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 7)
    assert sum(p.numel() for p in network.parameters()) == network.genome.params
    network.reinitialize(3)
    assert torch.equal(network.head.weight, build(network.genome, 3).head.weight)


def test_a_shorter_schedule_shortens_its_warm_up() -> None:
    """Alike, and to less than the epochs; a warm-up that is given stays."""
    small = load_protocol("small")
    assert small.replace(epochs=1).warmup_epochs == 0
    assert small.replace(epochs=1, threads=2).threads == 2
    with pytest.raises(TrainingError, match="warmup_epochs must be less than epochs"):
        small.replace(epochs=1, warmup_epochs=1)
