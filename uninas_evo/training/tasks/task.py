"""The contract of a task: what is read, what is learnt, and how a network is measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from uninas_evo.training.batches import Plan, Reader, batches
from uninas_evo.training.check import Shape
from uninas_evo.training.distillation import Teacher
from uninas_evo.training.process import Process
from uninas_evo.training.protocol import Protocol

Metrics = dict[str, float]
"""An epoch's line: `epoch` (from 1), `loss`, `lr`, the task's `val_...`, `images_per_s`, `seconds`."""
Scores = dict[str, float | None]
"""Named metrics, the greater the better but for errors (`mae_...`); None where one is undefined."""


@dataclass(frozen=True)
class Setting:
    """Where and how a task is trained.

    Attributes:
        protocol: the settings.
        shape: (C, H, W) of the network's images.
        process: the device and the place among several processes.
        workers: processes that read images ahead.
        reader: reads the batches.
        teacher: what the network learns from beside the labels; None for nothing.
    """

    protocol: Protocol
    shape: Shape
    process: Process
    workers: int = 0
    reader: Reader = batches
    teacher: Teacher | None = None

    def batches(self, read: Callable[[Plan], Any], plans: list[Plan]) -> Iterator[Any]:
        """The batches of plans on the device, by the reader."""
        return self.reader(read, plans, self.process.device, self.workers)


class Task(ABC):
    """What is learnt from data; bound to one data set and one setting.

    A class of tasks reads data and puts its head on a network; then one object a training checks, reads batches, gives
    their loss and measures::

        data = Segmentation.read(path, protocol)
        network = Segmentation.network(backbone, data, protocol, seed)
        task = Segmentation(data, setting)
        task.check(network)

    Attributes:
        metric: of `validate` (as `val_NAME`) and `test`: it chooses the best epoch.
        shown: what the metric is called for people.
        classes: names of what is told apart.
        count: images to train on.
        chance: the loss of guessing, in nats; a training far above it has diverged.
    """

    metric: ClassVar[str]
    shown: ClassVar[str]
    classes: tuple[str, ...]
    count: int
    chance: float

    @abstractmethod
    def __init__(self, data: Any, setting: Setting) -> None: ...

    @classmethod
    @abstractmethod
    def read(cls, path: str | Path, protocol: Protocol) -> Any:
        """The data at a path: an object with `train`, `val` and `test` parts, `classes` and `notes`.

        Raises:
            DataError: nothing of the task is there, or it is wrong.
        """

    @classmethod
    @abstractmethod
    def network(cls, backbone: nn.Module, data: Any, protocol: Protocol, seed: int) -> nn.Module:
        """The network that is trained: a backbone with the task's head, whose weights the seed draws.

        Raises:
            TrainingError: the backbone does not give what the head needs.
        """

    @classmethod
    @abstractmethod
    def assembled(cls, backbone: nn.Module, classes: int, protocol: Protocol, seed: int) -> nn.Module:
        """The same network by the number of classes, for weights that are loaded."""

    @classmethod
    def finished(cls, network: nn.Module, data: Any) -> None:
        """What is done to a trained network before its weights are written: nothing, unless the task needs it."""
        return

    @abstractmethod
    def check(self, network: nn.Module) -> None:
        """Finds what would spoil the training, before it starts.

        Raises:
            DataError: the data is wrong, or does not fit the network.
        """

    @abstractmethod
    def statement(self) -> list[str]:
        """What the data is and what is done to it, a line each."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What of the data must be the same for a training to be resumed."""

    @abstractmethod
    def training(self, plans: list[Plan]) -> Iterator[Any]:
        """The training batches of plans, on the device."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """The loss () of a batch: over all processes its mean is that of one process with all the images."""

    @abstractmethod
    def validate(self, network: nn.Module) -> Metrics:
        """`val_...` of the validation part."""

    @abstractmethod
    def test(self, network: nn.Module) -> Scores:
        """The metrics of the test part, from one reading of its images."""
