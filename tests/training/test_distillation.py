"""A student learns from a trained network: what the loss is, what a teacher must be, and exact resume."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from uninas_evo.errors import TrainingError
from uninas_evo.spaces.uninas import Skeleton, UninasSpace, preset
from uninas_evo.spaces.uninas.network import build
from uninas_evo.training import fit, formats, loop
from uninas_evo.training.distillation import Teacher
from uninas_evo.training.formats import save_weights
from uninas_evo.training.images import Splits
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.teachers import load_teacher

from .test_loop import Killed, Make, metrics, same, weights

CPU = torch.device("cpu")
SMALL = Skeleton(image_size=16, classes=3, stem=(8, 16), channels=(16,), depths=(1,))


def saved(folder: Path, seed: int = 0, classes: tuple[str, ...] = ("a", "b", "c")) -> str:
    """The folder of a teacher."""
    genome = preset("resnet", SMALL)
    protocol = Protocol(epochs=1, batch_size=2, lr=1, mean=(0.2,), std=(0.7,))
    save_weights(build(genome, seed), folder, UninasSpace(genome), genome, protocol, classes)
    return str(folder)


def teacher_of(protocol: Protocol, channels: int = 3) -> Teacher:
    found = load_teacher(protocol, ("a", "b", "c"), channels, CPU)
    assert found is not None
    return found


def test_the_loss_is_the_papers(protocol: Protocol, tmp_path: Path) -> None:
    """Soft: Hinton's divergence times T², hard: cross-entropy with the likeliest class; each by its weight."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(5, 3, 16, 16, generator=generator)
    student, labeled = torch.randn(5, 3, generator=generator), torch.tensor(0.7)
    taught = protocol.replace(teacher=saved(tmp_path), teacher_weight=0.25, teacher_temperature=2.0)
    teacher = teacher_of(taught)
    said = teacher.logits(images)
    p, q = (said / 2).softmax(1), (student / 2).softmax(1)
    soft = 4 * (p * (p / q).log()).sum(1).mean()
    assert torch.allclose(teacher.loss(student, images, labeled), 0.75 * labeled + 0.25 * soft, atol=1e-6)
    hard = teacher_of(taught.replace(teacher_labels="hard")).loss(student, images, labeled)
    assert torch.allclose(hard, 0.75 * labeled + 0.25 * functional.cross_entropy(student, said.argmax(1)))
    assert math.isclose(teacher.chance(3), 1.75 * math.log(3))


def test_a_teacher_sees_its_own_scale(protocol: Protocol, tmp_path: Path) -> None:
    """The same pixels scaled as its training scaled them; gray for colors is repeated, another size interpolated."""
    teacher = teacher_of(protocol.replace(teacher=saved(tmp_path)))
    pixels = torch.rand(2, 3, 16, 16)
    own = build(preset("resnet", SMALL), 0).eval()
    assert torch.allclose(teacher.logits((pixels - 0.5) / 0.5), own((pixels - 0.2) / 0.7), atol=1e-5)
    gray = teacher_of(protocol.replace(teacher=str(tmp_path)), channels=1)
    one = torch.rand(2, 1, 16, 16)
    assert torch.allclose(gray.logits((one - 0.5) / 0.5), own((one.expand(-1, 3, -1, -1) - 0.2) / 0.7), atol=1e-5)
    assert gray.logits(torch.zeros(2, 1, 20, 12)).shape == (2, 3)


@pytest.mark.parametrize("labels", ["soft", "hard"])
def test_killed_and_resumed_under_a_teacher_is_exact(
    splits: Splits, protocol: Protocol, make_net: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels: str
) -> None:
    """The weights are those of a training that was never killed, bit for bit; without the teacher they are others."""
    taught = protocol.replace(teacher=saved(tmp_path / "teacher"), teacher_labels=labels)
    loop.train(make_net(), splits, taught, tmp_path / "whole", image_size=16)
    taken: Callable[..., Any] = fit.Fit._step
    count = 0

    def dying(self: Any, *args: Any) -> Any:
        nonlocal count
        count += 1
        if count == 9:
            raise Killed
        return taken(self, *args)

    monkeypatch.setattr(fit.Fit, "_step", dying)
    with pytest.raises(Killed):
        loop.train(make_net(), splits, taught, tmp_path / "cut", image_size=16)
    monkeypatch.undo()
    loop.train(make_net(), splits, taught, tmp_path / "cut", image_size=16)
    assert metrics(tmp_path / "cut") == metrics(tmp_path / "whole")
    assert same(weights(tmp_path / "cut"), weights(tmp_path / "whole"))
    loop.train(make_net(), splits, protocol, tmp_path / "alone", image_size=16)
    assert not same(weights(tmp_path / "alone"), weights(tmp_path / "whole"))


def test_another_teacher_is_another_training(
    splits: Splits, protocol: Protocol, make_net: Make, tmp_path: Path
) -> None:
    """A teacher whose weights changed under the same name is found when a training is resumed."""
    taught = protocol.replace(epochs=2, teacher=saved(tmp_path / "teacher"))
    loop.train(make_net(), splits, taught, tmp_path / "student", image_size=16)
    saved(tmp_path / "teacher", seed=1)
    with pytest.raises(TrainingError, match="holds a training with another teacher"):
        loop.train(make_net(), splits, taught, tmp_path / "student", image_size=16)


def test_what_is_no_teacher_is_told(splits: Splits, protocol: Protocol, make_net: Make, tmp_path: Path) -> None:
    """Other classes, nothing there, an unknown network, another task: before the first epoch."""

    def attempt(**changes: Any) -> None:
        loop.train(make_net(), splits, protocol.replace(**changes), tmp_path / "student", image_size=16)

    with pytest.raises(TrainingError, match=r"was trained on other classes .*both must be equal, in their order"):
        attempt(teacher=saved(tmp_path / "other", classes=("x", "y", "z")))
    with pytest.raises(TrainingError, match=r"there are no trained weights at .*nowhere"):
        attempt(teacher=str(tmp_path / "nowhere"))
    with pytest.raises(TrainingError, match=r"timm has no network 'resnot': write timm:NAME with one of"):
        attempt(teacher="timm:resnot")
    with pytest.raises(TrainingError, match="a teacher is for classification, got the teacher"):
        protocol.replace(
            task="detection", image_size=64, teacher="x", mixup=0, cutmix=0, label_smoothing=0, auto_augment=""
        )  # fmt: skip


def test_networks_of_timm_teach(protocol: Protocol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a file of weights for the data's classes; one for others, and a hub that is out of reach, are told."""
    timm = pytest.importorskip("timm")
    network: nn.Module = timm.create_model("resnet10t", num_classes=3)
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    teacher = teacher_of(protocol.replace(teacher=f"timm:resnet10t@{tmp_path / 'weights.pt'}"))
    assert torch.equal(teacher.network.fc.weight, network.fc.weight)
    assert teacher.logits(torch.zeros(1, 3, 16, 16)).shape == (1, 3)
    torch.save(timm.create_model("resnet10t", num_classes=4).state_dict(), tmp_path / "four.pt")
    with pytest.raises(TrainingError, match="holds no weights of resnet10t for 3 classes"):
        teacher_of(protocol.replace(teacher=f"timm:resnet10t@{tmp_path / 'four.pt'}"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(TrainingError, match="cannot be had: timm's hub does not answer; download them"):
        teacher_of(protocol.replace(teacher="timm:resnet10t"))


def test_a_process_reads_a_teacher_once(protocol: Protocol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many students of a search have one teacher; one that was trained anew in its folder is read again."""
    taught = protocol.replace(teacher=saved(tmp_path))
    first = teacher_of(taught)
    read = []
    load = formats.load
    monkeypatch.setattr(formats, "load", lambda source: read.append(source) or load(source))
    assert teacher_of(taught).digest == first.digest
    assert read == []
    saved(tmp_path, seed=1)
    assert teacher_of(taught).digest != first.digest
    assert len(read) == 1
