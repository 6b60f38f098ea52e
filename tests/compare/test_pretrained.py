"""The honest baseline: a pretrained network of timm beside the winners, and what becomes of it without weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from uninas_evo.compare.pretrained import FINE_TUNED_LR, PretrainedSpace
from uninas_evo.compare.train_and_compare import as_markdown, train_and_compare
from uninas_evo.errors import TrainingError
from uninas_evo.spaces.uninas import Skeleton, preset
from uninas_evo.training import load_protocol
from uninas_evo.training.options import TrainOptions

from .test_train_and_compare import write_run

timm = pytest.importorskip("timm")
IMAGE = (3, 16, 16)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of pretrained weights for a thousand classes."""
    torch.manual_seed(0)
    network = timm.create_model("resnet10t")
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    return tmp_path / "weights.pt"


def test_weights_of_a_file_are_fine_tuned(weights: Path) -> None:
    """The body is the file's, the head is new; a tenth of the rate, and the pixels' scale is its own."""
    space = PretrainedSpace(f"timm:resnet10t@{weights}", IMAGE, 3)
    assert space.label == "timm:resnet10t fine-tuned"
    network = space.build(space.start or "")
    saved = torch.load(weights, weights_only=True)
    assert torch.equal(network.state_dict()["conv1.0.weight"], saved["conv1.0.weight"])
    assert network(torch.zeros(2, *IMAGE)).shape == (2, 3)
    assert space.cost(space.start or "").params == sum(p.numel() for p in network.parameters())
    small = load_protocol("small")
    tuned = space.protocol(small)
    assert tuned.lr == FINE_TUNED_LR * small.lr
    assert tuned.mean == pytest.approx((0.485, 0.456, 0.406))
    gray = PretrainedSpace(f"timm:resnet10t@{weights}", (1, 16, 16), 3)
    assert gray.build("")(torch.zeros(2, 1, 16, 16)).shape == (2, 3)
    attends = PretrainedSpace("timm:vit_tiny_patch16_224", (3, 32, 32), 3)
    assert attends._random("")(torch.zeros(1, 3, 32, 32)).shape == (1, 3)


def test_without_a_hub_it_is_trained_from_scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    """One message says so, and so does its name."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    told: list[str] = []
    space = PretrainedSpace("timm:resnet10t", IMAGE, 3, told.append)
    assert space.label == "timm:resnet10t from scratch"
    assert len(told) == 1
    assert "cannot be had, timm's hub does not answer: it is trained from scratch and named so" in told[0]
    assert space.protocol(load_protocol("small")) == load_protocol("small")


def test_what_is_no_baseline_is_told(tmp_path: Path) -> None:
    """An unknown network, a missing file, and a file of something else."""
    with pytest.raises(TrainingError, match="timm has no network 'resnot'"):
        PretrainedSpace("timm:resnot", IMAGE, 3)
    with pytest.raises(TrainingError, match="there is no file of weights"):
        PretrainedSpace("timm:resnet10t@nowhere.pt", IMAGE, 3)
    torch.save({"other": torch.zeros(1)}, tmp_path / "other.pt")
    space = PretrainedSpace(f"timm:resnet10t@{tmp_path / 'other.pt'}", IMAGE, 3)
    with pytest.raises(TrainingError, match="are of another network: at least half of the tensors must fit"):
        space.build("")


def test_handover_compares_with_it(weights: Path, tmp_path: Path) -> None:
    """It is trained on the same data and stands in the table with its cost; called again, nothing is trained anew."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (90, 16, 16, 3), dtype=np.uint8), np.arange(90) % 3
    np.savez(tmp_path / "data.npz", x_train=images, y_train=labels, x_test=images[:30], y_test=labels[:30])
    genome = preset("resnet", Skeleton(image_size=16, classes=3, stem=(8, 8), channels=(32,), depths=(1,)))
    run = write_run(tmp_path / "run", [genome], [{"vkdnw": 1.0}], {"vkdnw": "maximize"})
    options = TrainOptions(
        data=str(tmp_path / "data.npz"), settings={"epochs": 1, "batch_size": 16, "warmup_epochs": 0}, presets=[],
        random=0, baseline=f"timm:resnet10t@{weights}", device="cpu",
    )  # fmt: skip
    rows = train_and_compare(run, options)
    assert [row.label for row in rows] == ["winner 1", "timm:resnet10t fine-tuned"]
    assert rows[1].costs["params"] > 1e6
    assert rows[1].gap is not None
    assert "| timm:resnet10t fine-tuned |" in as_markdown(rows)
    (place,) = (run / "train").glob("timm*/seed-0/training.json")
    assert json.loads(place.read_text())["protocol"]["lr"] == pytest.approx(0.1 * load_protocol("small").lr)
    assert [row.accuracies for row in train_and_compare(run, options)] == [row.accuracies for row in rows]
