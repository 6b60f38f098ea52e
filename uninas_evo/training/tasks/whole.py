"""What tasks share that say something of a whole image: networks are (N, C, H, W) -> (N, K)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from uninas_evo.training import transforms
from uninas_evo.training.batches import Normalize, Plan, Reader, ReadImages, batches, eval_plans
from uninas_evo.training.check import check_images, check_outputs, statement
from uninas_evo.training.images import ImageSet, Splits
from uninas_evo.training.labels import Kind
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.readers import read_splits
from uninas_evo.training.tasks.task import Setting, Task


class WholeImages(Task):
    """A task on images of one size; the network has its head itself.

    Args:
        data: the splits.
        setting: how it is trained.

    Attributes:
        kind: what the labels of the images are.
    """

    kind: ClassVar[Kind]

    def __init__(self, data: Splits, setting: Setting) -> None:
        protocol, shape, device = setting.protocol, setting.shape, setting.process.device
        self.data, self.setting = data, setting
        self.classes, self.count = data.classes, len(data.train)
        self.augment = transforms.train_transform(protocol, shape)
        self.prepare = transforms.eval_transform(protocol, shape)
        self.normalize = Normalize(protocol.mean, protocol.std, device, protocol.channels_last, shape[0])

    @classmethod
    def read(cls, path: str | Path, protocol: Protocol) -> Splits:
        """Splits of everything that `read_splits` takes."""
        return read_splits(path, protocol.val_fraction, cls.kind)

    @classmethod
    def network(cls, backbone: nn.Module, data: Splits, protocol: Protocol, seed: int) -> nn.Module:
        """The network itself, which has its head."""
        return backbone

    @classmethod
    def assembled(cls, backbone: nn.Module, classes: int, protocol: Protocol, seed: int) -> nn.Module:
        """The network itself."""
        return backbone

    def check(self, network: nn.Module) -> None:
        """Finds what would spoil the training, before it starts."""
        check_outputs(self.data, outputs_of(network, self.setting.shape), self.kind)
        check_images(self.data, self.setting.shape[0])

    def statement(self) -> list[str]:
        """What the data is and what is done to it, a line each."""
        return statement(self.data, self.setting.shape, self.setting.protocol, self.kind)

    def identity(self) -> dict[str, Any]:
        """The classes and the labels of every part."""
        return {
            "classes": list(self.classes),
            "labels_crc32": [zlib.crc32(part.labels.tobytes()) for part in self.data.parts.values()],
        }

    def training(self, plans: list[Plan]) -> Iterator[Any]:
        """Pixels (N, C, H, W) and labels (N,) or (N, K)."""
        return self.setting.batches(ReadImages(self.data.train, self.augment), plans)

    def evaluated(
        self, network: nn.Module, images: ImageSet, reader: Reader
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[Any]]:
        """What a network gives for a part (T, K), of all processes together, and the part's labels."""
        network.eval()
        process = self.setting.process
        plans = eval_plans(len(images), process.rank, process.world)
        found: list[tuple[Tensor, Tensor]] = []
        for pixels, labels in reader(ReadImages(images, self.prepare), plans, process.device, self.setting.workers):
            with process.precision(self.setting.protocol):
                found.append((network(self.normalize(pixels)).double().cpu(), labels.cpu()))
        parts = process.gather([(given.numpy(), labels.numpy()) for given, labels in found])
        given, labels = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
        return given, labels

    def validated(self, network: nn.Module) -> tuple[npt.NDArray[np.float64], npt.NDArray[Any]]:
        """The same of the validation part."""
        return self.evaluated(network, self.data.val, self.setting.reader)

    def tested(self, network: nn.Module) -> tuple[npt.NDArray[np.float64], npt.NDArray[Any]]:
        """The same of the test part, which no other training shares."""
        return self.evaluated(network, self.data.test, batches)


def outputs_of(network: nn.Module, shape: tuple[int, int, int]) -> int:
    """How many outputs a network has: K of (1, K) for one image."""
    training = network.training
    device = next(network.parameters()).device
    with torch.inference_mode():
        logits: Tensor = network.eval()(torch.zeros(1, *shape, device=device))
    network.train(training)
    return logits.shape[1]
