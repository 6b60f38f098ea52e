"""A class for every image."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from uninas_evo.training import recipe, transforms
from uninas_evo.training.batches import Normalize, Plan, ReadImages, batches, eval_plans
from uninas_evo.training.check import check, statement
from uninas_evo.training.images import Splits
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.readers import read_splits
from uninas_evo.training.scores import balanced_weights, macro_auc, macro_f1
from uninas_evo.training.tasks.task import Metrics, Scores, Setting, Task


class Classification(Task):
    """Cross-entropy on images of one size; networks are (N, C, H, W) -> (N, K).

    Args:
        data: the splits.
        setting: how it is trained.
    """

    metric, shown = "accuracy", "accuracy"

    def __init__(self, data: Splits, setting: Setting) -> None:
        protocol, shape, device = setting.protocol, setting.shape, setting.process.device
        self.data, self.setting = data, setting
        self.classes, self.count = data.classes, len(data.train)
        self.chance = math.log(max(len(data.classes), 2))
        self.augment = transforms.train_transform(protocol, shape)
        self.prepare = transforms.eval_transform(protocol, shape)
        self.normalize = Normalize(protocol.mean, protocol.std, device, protocol.channels_last, shape[0])
        self.mixer = recipe.make_mixup(protocol, len(data.classes))
        self.criterion = recipe.make_loss(protocol, self._class_weights())
        self.teacher = setting.teacher
        if self.teacher:
            self.chance = self.teacher.chance(len(data.classes))

    def _class_weights(self) -> Tensor | None:
        """A weight for each class (K,), or None where all images count alike."""
        if self.setting.protocol.class_weights == "equal":
            return None
        weights = balanced_weights(self.data.train.labels, len(self.classes))
        return torch.tensor(weights, dtype=torch.float32, device=self.setting.process.device)

    @classmethod
    def read(cls, path: str | Path, protocol: Protocol) -> Splits:
        """Splits of everything that `read_splits` takes."""
        return read_splits(path, protocol.val_fraction)

    @classmethod
    def network(cls, backbone: nn.Module, data: Splits, protocol: Protocol, seed: int) -> nn.Module:
        """The network itself, which has its classifier."""
        return backbone

    @classmethod
    def assembled(cls, backbone: nn.Module, classes: int, protocol: Protocol, seed: int) -> nn.Module:
        """The network itself."""
        return backbone

    def check(self, network: nn.Module) -> None:
        """Finds what would spoil the training, before it starts."""
        check(self.data, _logits(network, self.setting.shape), self.setting.shape[0])

    def statement(self) -> list[str]:
        """What the data is and what is done to it, a line each."""
        return statement(self.data, self.setting.shape, self.setting.protocol)

    def identity(self) -> dict[str, Any]:
        """The classes and the labels of every part."""
        return {
            "classes": list(self.classes),
            "labels_crc32": [zlib.crc32(part.labels.tobytes()) for part in self.data.parts.values()],
        }

    def training(self, plans: list[Plan]) -> Iterator[Any]:
        """Pixels (N, C, H, W) and labels (N,)."""
        return self.setting.batches(ReadImages(self.data.train, self.augment), plans)

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        """The protocol's cross-entropy, under its mixup, and its teacher's part."""
        pixels, labels = batch
        images, targets = self.normalize(pixels), labels
        if self.mixer:
            images, targets = self.mixer(images, labels)
        logits = model(images)
        loss: Tensor = self.criterion(logits, targets)
        return self.teacher.loss(logits, images, loss) if self.teacher else loss

    @torch.inference_mode()
    def validate(self, network: nn.Module) -> Metrics:
        """`val_loss`, the mean cross-entropy, and `val_accuracy`."""
        network.eval()
        process, images = self.setting.process, self.data.val
        sums = torch.zeros(2, dtype=torch.float64, device=process.device)
        plans = eval_plans(len(images), process.rank, process.world)
        for pixels, labels in self.setting.batches(ReadImages(images, self.prepare), plans):
            with process.precision(self.setting.protocol):
                logits = network(self.normalize(pixels)).float()
            sums[0] += (logits.argmax(1) == labels).sum()
            sums[1] += nn.functional.cross_entropy(logits, labels, reduction="sum")
        correct, loss = (process.sum(sums) / len(images)).tolist()
        return {"val_loss": loss, "val_accuracy": correct}

    @torch.inference_mode()
    def test(self, network: nn.Module) -> Scores:
        """`accuracy`, `f1` and `auc` (macro averages, None where undefined)."""
        network.eval()
        process, images = self.setting.process, self.data.test
        plans = eval_plans(len(images), process.rank, process.world)
        found: list[tuple[Tensor, Tensor]] = []
        for pixels, labels in batches(ReadImages(images, self.prepare), plans, process.device, self.setting.workers):
            with process.precision(self.setting.protocol):
                found.append((network(self.normalize(pixels)).double().cpu(), labels.cpu()))
        parts = process.gather([(logits.numpy(), labels.numpy()) for logits, labels in found])
        all_logits, all_labels = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
        return {
            "accuracy": float((all_logits.argmax(1) == all_labels).mean()),
            "f1": macro_f1(all_logits, all_labels),
            "auc": macro_auc(all_logits, all_labels),
        }


def _logits(network: nn.Module, shape: tuple[int, int, int]) -> int:
    """How many logits a network has: K of its output (1, K) for one image."""
    training = network.training
    device = next(network.parameters()).device
    with torch.inference_mode():
        logits: Tensor = network.eval()(torch.zeros(1, *shape, device=device))
    network.train(training)
    return logits.shape[1]
