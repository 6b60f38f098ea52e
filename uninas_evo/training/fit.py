"""Fitting a network to data epoch by epoch, on one device or several; writes nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from uninas_evo.errors import DataError, TrainingError
from uninas_evo.training import recipe
from uninas_evo.training.batches import Reader, batches, training_plans
from uninas_evo.training.check import Shape
from uninas_evo.training.process import Process
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.randomness import seeded
from uninas_evo.training.tasks import task_class
from uninas_evo.training.tasks.task import Metrics, Setting
from uninas_evo.training.teachers import load_teacher

CHECKED = 50
"""Steps between two looks at the loss: reading it makes a GPU wait."""
HOPELESS = 3.0
"""A mean loss of an epoch above so many times that of guessing (ln K) is a diverged run (after the warm-up)."""

Progress = Callable[[Mapping[str, float]], None]
"""Is told `epoch, step, steps, loss` (mean of the last `CHECKED` steps) now and then, and each epoch's metrics."""


class Fit:
    """A network in training: every random draw is a function of the seed, the epoch and the step.

    Args:
        network: of the protocol's task, initialized; trained in place. For classification (N, C, H, W) -> (N, K).
        data: the task's data, checked here.
        protocol: the settings.
        image_size: (C, H, W) of the network's images, or the pixels of square RGB ones; the protocol's `image_size`
            replaces H and W.
        seed: of order, augmentation and drop path.
        process: the device and, under `torchrun`, the place among several.
        workers: processes that read images ahead.
        progress: called now and then.
        reader: reads the batches; a `BatchCache` shares them with other trainings.
        checked: whether the data was found good already.

    Attributes:
        task: what is learnt.
        teacher: what is learnt from beside the data; None for nothing.
        evaluated: the network whose metrics count: the moving average where the protocol has one.

    Raises:
        DataError, TrainingError: the data or the protocol does not fit.
    """

    def __init__(
        self,
        network: nn.Module,
        data: Any,
        protocol: Protocol,
        image_size: int | Shape,
        seed: int,
        process: Process,
        workers: int = 0,
        progress: Progress | None = None,
        reader: Reader = batches,
        checked: bool = False,
    ) -> None:
        channels, height, width = (3, image_size, image_size) if isinstance(image_size, int) else image_size
        shape = (channels, protocol.image_size or height, protocol.image_size or width)
        self.protocol, self.seed, self.process, self.progress = protocol, seed, process, progress
        self.teacher = load_teacher(protocol, data.classes, channels, process.device)
        self.task = task_class(protocol.task)(data, Setting(protocol, shape, process, workers, reader, self.teacher))
        self.steps = self.task.count // protocol.batch_size
        if not checked:
            self.task.check(network)
        self._check_batches()
        recipe.set_dropout(network, protocol.dropout)  # of its own classifier, before it gets a second one
        recipe.set_auxiliary(network, protocol.auxiliary, seed)
        layout = torch.channels_last if protocol.channels_last else torch.contiguous_format
        self.network = network.to(process.device, memory_format=layout)  # type: ignore[call-overload]
        recipe.set_drop_path(network, protocol.drop_path)
        self.optimizer = recipe.make_optimizer(network, protocol)
        self.schedule = recipe.make_schedule(self.optimizer, protocol, self.steps)
        self.average = recipe.make_average(network, protocol)
        self.evaluated: nn.Module = self.average.module if self.average else network
        self.model = process.wrap(network)
        scaled = protocol.amp == "float16" and process.device.type == "cuda"
        self.scaler = torch.amp.GradScaler(process.device.type, enabled=scaled)

    def _check_batches(self) -> None:
        """Everything about batches that can be known before the first epoch."""
        if not self.steps:
            raise DataError(
                f"the training part has {self.task.count} images, fewer than one batch of "
                f"{self.protocol.batch_size}; lower batch_size or add images"
            )
        share, rest = divmod(self.protocol.batch_size, self.process.world)
        if rest or (share % 2 and (self.protocol.mixup or self.protocol.cutmix)):
            raise TrainingError(
                f"a batch of {self.protocol.batch_size} cannot be shared by {self.process.world} processes: it must "
                "be a multiple of them, with an even share under mixup or cutmix; change batch_size"
            )

    def state(self) -> dict[str, Any]:
        """All that an epoch changes."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": self.average.module.state_dict() if self.average else {},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes back to a state."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        if self.average:
            self.average.module.load_state_dict(state["average"])

    def epoch(self, epoch: int) -> Metrics:
        """Trains an epoch, counted from 0, and validates.

        Raises:
            TrainingError: the training diverged.
        """
        start = time.perf_counter()
        loss = self._steps(epoch)
        trained = time.perf_counter()
        self.process.share_buffers(self.evaluated)
        measured = self.task.validate(self.evaluated)
        return {
            "epoch": epoch + 1,
            "loss": loss,
            "lr": self.optimizer.param_groups[0]["lr"],
            **measured,
            "images_per_s": self.steps * self.protocol.batch_size / (trained - start),
            "seconds": time.perf_counter() - start,
        }

    def _steps(self, epoch: int) -> float:
        """The steps of an epoch; returns their mean loss."""
        self.model.train()
        if self.protocol.drop_path_grows:
            recipe.set_drop_path(self.network, self.protocol.drop_path * epoch / self.protocol.epochs)
        process = self.process
        count, protocol = self.task.count, self.protocol
        plans = training_plans(
            count, protocol.batch_size, self.seed, epoch, process.rank, process.world, protocol.repeats
        )
        total, recent = 0.0, torch.zeros((), device=process.device)
        for step, batch in enumerate(self.task.training(plans)):
            with seeded(self.seed, epoch, step, process.rank, 1):
                recent += self._step(batch)
            done = epoch * self.steps + step + 1
            if self.average:
                self.average.update(self.network, step=done)
            self.schedule.step_update(done)
            if (step + 1) % CHECKED == 0 or step + 1 == self.steps:
                value = float(process.sum(recent)) / process.world
                self._alive(value, f"epoch {epoch + 1}, step {step + 1}")
                total += value
                recent.zero_()
                if self.progress:
                    loss = value / (step % CHECKED + 1)
                    self.progress({"epoch": epoch + 1, "step": step + 1, "steps": self.steps, "loss": loss})
        mean = total / self.steps
        chance = self.task.chance
        if epoch >= self.protocol.warmup_epochs and mean > HOPELESS * chance:
            self._stop(
                f"in epoch {epoch + 1}: its mean loss is {mean:.3g}, over {HOPELESS:g} times guessing's {chance:.3g}"
            )
        return mean

    def _step(self, batch: Any) -> Tensor:
        """One update of the weights; returns the loss ()."""
        with self.process.precision(self.protocol):
            loss = self.task.loss(self.model, batch)
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self.protocol.clip_grad:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.network.parameters(), self.protocol.clip_grad)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach()

    def _alive(self, loss: float, where: str) -> None:
        if not math.isfinite(loss):
            self._stop(f"in {where}: the loss is {loss}")

    def _stop(self, where: str) -> None:
        raise TrainingError(
            f"the training diverged {where}; it must stay finite and below guessing. Lower lr "
            f"({self.protocol.lr:g}), set clip_grad ({self.protocol.clip_grad:g}; 1 is usual) or lengthen "
            f"warmup_epochs ({self.protocol.warmup_epochs}), and train in another folder"
        )
