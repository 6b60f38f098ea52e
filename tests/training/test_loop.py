"""The loop: exact resume, independence of workers, faults, and the test data read once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from uninas_evo.errors import DataError, MissingExtraError, TrainingError
from uninas_evo.training import fit, loop
from uninas_evo.training.images import ImageSet, Splits
from uninas_evo.training.protocol import Protocol

Make = Callable[..., nn.Module]


def weights(folder: Path, name: str = "last.pt") -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(folder / name, weights_only=True)["network"]
    return state


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def metrics(folder: Path) -> list[dict[str, float]]:
    """The lines of a training but for what the clock decides."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "images_per_s")} for line in lines]


def test_learns(splits: Splits, protocol: Protocol, make_net: Make, tmp_path: Path) -> None:
    """A plain problem is learnt, the folder holds what is promised, and no generator of the caller is touched."""
    state = torch.get_rng_state()
    result = loop.train(
        make_net(),
        splits,
        protocol.replace(epochs=8, mixup=0, cutmix=0, lr=0.02, auto_augment=""),
        tmp_path,
        image_size=16,
    )
    assert result.test_accuracy > 0.9
    assert result.params == sum(p.numel() for p in make_net().parameters())
    assert {p.name for p in tmp_path.iterdir()} == {
        "training.json", "data.txt", "metrics.jsonl", "last.pt", "best.pt", "result.json"
    }  # fmt: skip
    lines = metrics(tmp_path)
    assert [line["epoch"] for line in lines] == list(range(1, 9))
    assert result.val_accuracy == max(line["val_accuracy"] for line in lines)
    assert lines[result.best_epoch - 1]["val_accuracy"] == result.val_accuracy
    assert torch.equal(state, torch.get_rng_state())


class Killed(Exception):
    pass


@pytest.mark.parametrize("step", [1, 6, 9, 18])
def test_killed_at_any_step_and_resumed_is_exact(
    splits: Splits, protocol: Protocol, make_net: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """A training that dies at a step and is called again ends with the same weights and metrics, bit for bit."""
    whole = loop.train(make_net(), splits, protocol, tmp_path / "whole", image_size=16)
    taken = fit.Fit._step
    count = 0

    def dying(self: Any, *args: Any) -> Any:
        nonlocal count
        count += 1
        if count == step:
            raise Killed
        return taken(self, *args)

    monkeypatch.setattr(fit.Fit, "_step", dying)
    with pytest.raises(Killed):
        loop.train(make_net(), splits, protocol, tmp_path / "cut", image_size=16)
    monkeypatch.undo()
    again = loop.train(make_net(), splits, protocol, tmp_path / "cut", image_size=16)
    assert again.test_accuracy == whole.test_accuracy
    assert metrics(tmp_path / "cut") == metrics(tmp_path / "whole")
    for name in ("last.pt", "best.pt"):
        assert same(weights(tmp_path / "cut", name), weights(tmp_path / "whole", name))


def test_killed_while_writing_is_exact(
    splits: Splits, protocol: Protocol, make_net: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between best.pt and last.pt leaves a folder that resumes to the same weights."""
    loop.train(make_net(), splits, protocol, tmp_path / "whole", image_size=16)
    saved = loop.checkpoint.save_tensors
    count = 0

    def dying(path: Path, state: Any) -> None:
        nonlocal count
        count += path.name == "last.pt"
        if count == 2:
            path.with_name(path.name + ".part").write_bytes(b"half")
            raise Killed
        saved(path, state)

    monkeypatch.setattr(loop.checkpoint, "save_tensors", dying)
    with pytest.raises(Killed):
        loop.train(make_net(), splits, protocol, tmp_path / "cut", image_size=16)
    monkeypatch.undo()
    loop.train(make_net(), splits, protocol, tmp_path / "cut", image_size=16)
    for name in ("last.pt", "best.pt"):
        assert same(weights(tmp_path / "cut", name), weights(tmp_path / "whole", name))


def test_patience_ends_a_training(
    splits: Splits, protocol: Protocol, make_net: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After so many epochs without a better validation accuracy; the best epoch's weights are the result."""
    values = iter([0.5, 0.7, 0.6, 0.7, 0.9, 0.9])
    monkeypatch.setattr(fit.Fit, "epoch", lambda self, epoch: {
        "epoch": epoch + 1, "loss": 1.0, "lr": 0.1, "val_loss": 1.0, "val_accuracy": next(values),
        "images_per_s": 1.0, "seconds": 1.0,
    })  # fmt: skip
    patient = protocol.replace(epochs=6, patience=2)
    result = loop.train(make_net(), splits, patient, tmp_path / "patient", image_size=16)
    assert (result.best_epoch, result.val_accuracy) == (2, 0.7)
    assert len(metrics(tmp_path / "patient")) == 4
    values = iter([0.5, 0.7, 0.6, 0.7, 0.9, 0.9])
    whole = loop.train(make_net(), splits, protocol.replace(epochs=6), tmp_path / "whole", image_size=16)
    assert whole.best_epoch == 5


def test_workers_change_nothing(splits: Splits, protocol: Protocol, make_net: Make, tmp_path: Path) -> None:
    """Two loader processes and none give the same weights; another seed gives others."""
    protocol = protocol.replace(epochs=2)
    for name, workers, seed in (("none", 0, 0), ("two", 2, 0), ("other", 0, 1)):
        loop.train(make_net(), splits, protocol, tmp_path / name, image_size=16, workers=workers, seed=seed)
    assert same(weights(tmp_path / "none"), weights(tmp_path / "two"))
    assert not same(weights(tmp_path / "none"), weights(tmp_path / "other"))


def test_test_data_is_read_once_at_the_end(splits: Splits, protocol: Protocol, make_net: Make, tmp_path: Path) -> None:
    """Between the check and the end of the last epoch no test image is opened, then each once, in later calls none."""

    class Watched:
        def __init__(self, images: Any) -> None:
            self.images, self.read = images, 0

        def __getitem__(self, index: int) -> Any:
            if not (tmp_path / "metrics.jsonl").is_file():
                return self.images[index]  # the check before the first epoch
            done = (tmp_path / "metrics.jsonl").read_text().count("\n")
            assert done == protocol.epochs
            self.read += 1
            return self.images[index]

    watched = Watched(splits.test.images)
    splits = replace(splits, test=ImageSet(watched, splits.test.labels))
    first = loop.train(make_net(), splits, protocol, tmp_path, image_size=16)
    assert watched.read == len(splits.test)
    assert loop.train(make_net(), splits, protocol, tmp_path, image_size=16) == first
    assert watched.read == len(splits.test)


def test_result_holds_the_best_weights(splits: Splits, protocol: Protocol, make_net: Make, tmp_path: Path) -> None:
    """After training and after a call on a finished folder, the network holds the weights of the best epoch."""
    for _ in range(2):
        network = make_net()
        loop.train(network, splits, protocol, tmp_path, image_size=16)
        assert same(network.state_dict(), weights(tmp_path, "best.pt"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "another seed"),
        ({"name": "other"}, "another name"),
        ({"protocol": {"lr": 1e-4}}, "another protocol"),
    ],
)
def test_a_folder_is_one_trainings_own(
    splits: Splits, protocol: Protocol, make_net: Make, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    """A folder of another genome, seed, protocol or data is refused, not overwritten."""
    loop.train(make_net(), splits, protocol.replace(epochs=2), tmp_path, image_size=16, name="a")
    settings: dict[str, Any] = {"name": "a", "seed": 0, "protocol": {}} | change
    protocol = protocol.replace(epochs=2, **settings.pop("protocol"))
    with pytest.raises(TrainingError, match=f"{message}: a training is only resumed .*give another folder"):
        loop.train(make_net(), splits, protocol, tmp_path, image_size=16, **settings)


def test_divergence_stops_with_its_reason(splits: Splits, protocol: Protocol, make_net: Make, tmp_path: Path) -> None:
    """A loss that is no number, or far above guessing after the warm-up, ends the training with a fix."""

    class Broken(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.net, self.factor = make_net(), factor

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.net(x) * self.factor
            return y

    with pytest.raises(TrainingError, match=r"diverged in epoch 1, step 6: the loss is nan.*Lower lr \(0\.003\)"):
        loop.train(Broken(float("nan")), splits, protocol, tmp_path / "nan", image_size=16)
    with pytest.raises(TrainingError, match=r"diverged in epoch 2: its mean loss is .*over 3 times guessing's 1\.1"):
        loop.train(Broken(1e4), splits, protocol, tmp_path / "far", image_size=16)


def test_faults_are_found_before_the_first_epoch(
    splits: Splits, protocol: Protocol, make_net: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong class counts, too few images and a full disk are told before anything is trained."""

    def attempt(network: nn.Module, **changes: Any) -> None:
        loop.train(network, splits, protocol.replace(**changes), tmp_path, image_size=16)

    with pytest.raises(DataError, match="the data has 3 classes and the network 5"):
        attempt(make_net(classes=5))
    with pytest.raises(DataError, match="has 96 images, fewer than one batch of 128; lower batch_size"):
        attempt(make_net(), batch_size=128)
    free = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: free)
    with pytest.raises(TrainingError, match=r"has 0\.0 MB free and the checkpoints need 1\.1 MB; free some space"):
        attempt(make_net())
    assert not list(tmp_path.glob("*.pt"))


def test_a_disk_that_fills_up_is_told(
    splits: Splits, protocol: Protocol, make_net: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that finds no space says that the same command resumes, and leaves no half file."""

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(TrainingError, match=r"best\.pt cannot be written \(No space.*free space.*same command"):
        loop.train(make_net(), splits, protocol, tmp_path, image_size=16)
    assert not list(tmp_path.glob("*.part"))


def test_checkpoints_never_run_code(splits: Splits, protocol: Protocol, make_net: Make, tmp_path: Path) -> None:
    """A checkpoint that holds a pickled call is refused and the call is not made."""

    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "touched",))

    torch.save({"network": Evil()}, tmp_path / "last.pt")
    with pytest.raises(TrainingError, match=r"last\.pt cannot be read: .* holds more than tensors"):
        loop.train(make_net(), splits, protocol, tmp_path, image_size=16)
    assert not (tmp_path / "touched").exists()


def test_missing_timm_names_the_extra(
    splits: Splits, protocol: Protocol, make_net: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without timm the install command is told."""
    monkeypatch.setitem(sys.modules, "timm.data", None)
    with pytest.raises(MissingExtraError, match=r"'timm' is needed here.*pip install \"uninas-evo\[train\]\""):
        loop.train(make_net(), splits, protocol, tmp_path, image_size=16)


def test_the_package_imports_no_torch() -> None:
    """`import uninas_evo.training` and its protocols stay light."""
    code = (
        "import sys; from uninas_evo.training import load_protocol; load_protocol('small'); "
        "print([m for m in ('torch', 'timm', 'torchvision') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.strip() == "[]"


def test_grey_and_odd_sized_images_are_taken(protocol: Protocol, make_net: Make, tmp_path: Path) -> None:
    """Gray arrays of another size are resized to the network's."""
    labels = np.arange(90) % 3
    images = ImageSet(np.zeros((90, 9, 11), np.uint8), labels)
    splits = Splits(images, images, images, ("a", "b", "c"))
    loop.train(make_net(), splits, protocol.replace(epochs=2), tmp_path, image_size=16)
    assert (tmp_path / "result.json").is_file()


def test_a_folder_in_use_is_told(
    splits: Splits, protocol: Protocol, make_net: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second training into a folder is refused while the first one is in it, and leaves it alone."""
    monkeypatch.setattr(loop.checkpoint, "LET_GO_S", 0.05)
    with loop.checkpoint.owned(tmp_path), pytest.raises(TrainingError, match="is in use by another training"):
        loop.train(make_net(), splits, protocol, tmp_path, image_size=16)
    assert not list(tmp_path.iterdir())


def test_data_is_stated_before_the_first_epoch(
    splits: Splits, protocol: Protocol, make_net: Make, tmp_path: Path
) -> None:
    """What the data is is said before any epoch and stands in the folder."""
    told: list[str] = []
    loop.train(
        make_net(), splits, protocol.replace(epochs=2), tmp_path, image_size=16, say=told.append,
        progress=lambda line: told.append("epoch"),
    )  # fmt: skip
    assert told[0] == "data: 96 training, 24 validation, 30 test images, 3 classes"
    stated = [line for line in told[: told.index("epoch")] if not line.startswith("threads: ")]
    assert (tmp_path / "data.txt").read_text().splitlines() == stated


def test_gray_networks_of_any_sides_train(protocol: Protocol, tmp_path: Path) -> None:
    """A network of one channel and H != W trains on gray images of that size, with color changes switched on."""
    labels = np.arange(60) % 3
    images = np.random.default_rng(0).integers(0, 256, (60, 20, 28), dtype=np.uint8)
    part = ImageSet(images, labels)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 18 * 26, 3))
    settings = protocol.replace(epochs=2, ema_decay=0)
    loop.train(network, Splits(part, part, part, ("a", "b", "c")), settings, tmp_path, image_size=(1, 20, 28))
    assert (tmp_path / "result.json").is_file()


def test_a_damaged_folder_is_told(splits: Splits, protocol: Protocol, make_net: Make, tmp_path: Path) -> None:
    """JSON files of a training folder that are damaged get one message."""
    settings = protocol.replace(epochs=2)
    loop.train(make_net(), splits, settings, tmp_path, image_size=16)
    for name, text in (("result.json", '{"a": 1}'), ("result.json", "[1"), ("training.json", "[]")):
        good = (tmp_path / name).read_text()
        (tmp_path / name).write_text(text)
        with pytest.raises(TrainingError, match=name):
            loop.train(make_net(), splits, settings, tmp_path, image_size=16)
        (tmp_path / name).write_text(good)


def test_a_training_ends_by_its_time_with_what_it_reached(
    make_net: Make, splits: Splits, protocol: Protocol, tmp_path: Path
) -> None:
    """At least one epoch is trained; none begins that the last one's length says would end too late."""
    result = loop.train(make_net(), splits, protocol, tmp_path, image_size=16, time_limit_s=0)
    assert result.best_epoch == 1
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1
