"""Fitting a network to data epoch by epoch, on one device or several; writes nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from uninas_evo.errors import DataError, TrainingError
from uninas_evo.training import recipe, transforms
from uninas_evo.training.batches import Normalize, Reader, batches, eval_tasks, training_tasks
from uninas_evo.training.check import Shape, check, statement
from uninas_evo.training.images import ImageSet, Splits
from uninas_evo.training.process import Process
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.randomness import seeded
from uninas_evo.training.scores import balanced_weights, macro_auc, macro_f1

CHECKED = 50
"""Steps between two looks at the loss: reading it makes a GPU wait."""
HOPELESS = 3.0
"""A mean loss of an epoch above so many times ln K, the loss of guessing, is a diverged run (after the warm-up)."""

Metrics = dict[str, float]
"""An epoch's line: `epoch` (from 1), `loss`, `lr`, `val_loss`, `val_accuracy`, `images_per_s`, `seconds`."""
Progress = Callable[[Mapping[str, float]], None]
"""Is told `epoch, step, steps, loss` (mean of the last `CHECKED` steps) now and then, and each epoch's metrics."""


class Fit:
    """A network in training: every random draw is a function of the seed, the epoch and the step.

    Args:
        network: (N, C, H, W) -> (N, K), initialized; trained in place.
        splits: the data, checked here.
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
        shape: (C, H, W) of the images.
        evaluated: the network whose accuracy counts: the moving average where the protocol has one.

    Raises:
        DataError, TrainingError: the data or the protocol does not fit.
    """

    def __init__(
        self,
        network: nn.Module,
        splits: Splits,
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
        self.shape: Shape = (channels, protocol.image_size or height, protocol.image_size or width)
        self.reader, self.checked = reader, checked
        self.splits, self.protocol, self.seed = splits, protocol, seed
        self.process, self.workers, self.progress = process, workers, progress
        self.steps = len(splits.train) // protocol.batch_size
        self._check(_logits(network, self.shape))
        device = process.device
        layout = torch.channels_last if protocol.channels_last else torch.contiguous_format
        self.network = network.to(device, memory_format=layout)  # type: ignore[call-overload]
        recipe.set_drop_path(network, protocol.drop_path)
        recipe.set_dropout(network, protocol.dropout)
        self.augment = transforms.train_transform(protocol, self.shape)
        self.prepare = transforms.eval_transform(protocol, self.shape)
        self.normalize = Normalize(protocol.mean, protocol.std, device, protocol.channels_last, channels)
        self.optimizer = recipe.make_optimizer(network, protocol)
        self.schedule = recipe.make_schedule(self.optimizer, protocol, self.steps)
        self.mixer = recipe.make_mixup(protocol, len(splits.classes))
        self.loss = recipe.make_loss(protocol, self._class_weights())
        self.average = recipe.make_average(network, protocol)
        self.evaluated: nn.Module = self.average.module if self.average else network
        self.model = process.wrap(network)
        amp = protocol.amp if device.type == "cuda" else ""
        self.dtype = {"": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[amp]
        self.scaler = torch.amp.GradScaler(device.type, enabled=amp == "float16")

    def _class_weights(self) -> Tensor | None:
        """A weight for each class (K,), or None where all images count alike."""
        if self.protocol.class_weights == "equal":
            return None
        weights = balanced_weights(self.splits.train.labels, len(self.splits.classes))
        return torch.tensor(weights, dtype=torch.float32, device=self.process.device)

    def _check(self, classes: int) -> None:
        """Everything that can be known before the first epoch."""
        if not self.checked:
            check(self.splits, classes, self.shape[0])
        if not self.steps:
            raise DataError(
                f"the training part has {len(self.splits.train)} images, fewer than one batch of "
                f"{self.protocol.batch_size}; lower batch_size or add images"
            )
        share, rest = divmod(self.protocol.batch_size, self.process.world)
        if rest or (share % 2 and (self.protocol.mixup or self.protocol.cutmix)):
            raise TrainingError(
                f"a batch of {self.protocol.batch_size} cannot be shared by {self.process.world} processes: it must "
                "be a multiple of them, with an even share under mixup or cutmix; change batch_size"
            )

    def statement(self) -> list[str]:
        """What the data is and what is done to it, a line each."""
        return statement(self.splits, self.shape, self.protocol)

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
        accuracy, val_loss = self.evaluate(self.evaluated, self.splits.val)
        return {
            "epoch": epoch + 1,
            "loss": loss,
            "lr": self.optimizer.param_groups[0]["lr"],
            "val_loss": val_loss,
            "val_accuracy": accuracy,
            "images_per_s": self.steps * self.protocol.batch_size / (trained - start),
            "seconds": time.perf_counter() - start,
        }

    def _steps(self, epoch: int) -> float:
        """The steps of an epoch; returns their mean loss."""
        self.model.train()
        process = self.process
        count, protocol = len(self.splits.train), self.protocol
        tasks = training_tasks(
            count, protocol.batch_size, self.seed, epoch, process.rank, process.world, protocol.repeats
        )
        total, recent = 0.0, torch.zeros((), device=process.device)
        for step, (pixels, labels) in enumerate(
            self.reader(self.splits.train, self.augment, tasks, process.device, self.workers)
        ):
            with seeded(self.seed, epoch, step, process.rank, 1):
                recent += self._step(pixels, labels)
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
        chance = math.log(max(len(self.splits.classes), 2))
        if epoch >= self.protocol.warmup_epochs and mean > HOPELESS * chance:
            self._stop(f"in epoch {epoch + 1}: its mean loss is {mean:.3g}, over {HOPELESS:g} · ln K = {chance:.3g}")
        return mean

    def _step(self, pixels: Tensor, labels: Tensor) -> Tensor:
        """One update of the weights; returns the loss ()."""
        images, targets = self.normalize(pixels), labels
        if self.mixer:
            images, targets = self.mixer(images, labels)
        with torch.autocast(self.process.device.type, self.dtype, enabled=self.dtype is not None):
            loss: Tensor = self.loss(self.model(images), targets)
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self.protocol.clip_grad:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.network.parameters(), self.protocol.clip_grad)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach()

    @torch.inference_mode()
    def evaluate(self, network: nn.Module, images: ImageSet) -> tuple[float, float]:
        """Accuracy and mean cross-entropy."""
        network.eval()
        process = self.process
        sums = torch.zeros(2, dtype=torch.float64, device=process.device)
        tasks = eval_tasks(len(images), process.rank, process.world)
        for pixels, labels in self.reader(images, self.prepare, tasks, process.device, self.workers):
            with torch.autocast(process.device.type, self.dtype, enabled=self.dtype is not None):
                logits = network(self.normalize(pixels)).float()
            sums[0] += (logits.argmax(1) == labels).sum()
            sums[1] += nn.functional.cross_entropy(logits, labels, reduction="sum")
        correct, loss = (process.sum(sums) / len(images)).tolist()
        return correct, loss

    @torch.inference_mode()
    def test(self, network: nn.Module, images: ImageSet) -> dict[str, float | None]:
        """`accuracy`, `f1` and `auc` (macro averages, None where undefined), from one reading of the images."""
        network.eval()
        process = self.process
        tasks = eval_tasks(len(images), process.rank, process.world)
        found: list[tuple[Tensor, Tensor]] = []
        for pixels, labels in batches(images, self.prepare, tasks, process.device, self.workers):
            with torch.autocast(process.device.type, self.dtype, enabled=self.dtype is not None):
                found.append((network(self.normalize(pixels)).double().cpu(), labels.cpu()))
        parts = process.gather([(logits.numpy(), labels.numpy()) for logits, labels in found])
        all_logits, all_labels = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
        return {
            "accuracy": float((all_logits.argmax(1) == all_labels).mean()),
            "f1": macro_f1(all_logits, all_labels),
            "auc": macro_auc(all_logits, all_labels),
        }

    def _alive(self, loss: float, where: str) -> None:
        if not math.isfinite(loss):
            self._stop(f"in {where}: the loss is {loss}")

    def _stop(self, where: str) -> None:
        raise TrainingError(
            f"the training diverged {where}; it must stay finite and below guessing. Lower lr "
            f"({self.protocol.lr:g}), set clip_grad ({self.protocol.clip_grad:g}; 1 is usual) or lengthen "
            f"warmup_epochs ({self.protocol.warmup_epochs}), and train in another folder"
        )


def _logits(network: nn.Module, shape: Shape) -> int:
    """How many logits a network has: K of its output (1, K) for one image."""
    training = network.training
    device = next(network.parameters()).device
    with torch.inference_mode():
        logits: Tensor = network.eval()(torch.zeros(1, *shape, device=device))
    network.train(training)
    return logits.shape[1]
