"""The training loop: epochs of steps, validation after each, checkpoints, exact resume, one reading of the test data.

A training folder holds `training.json` (what is trained), `metrics.jsonl` (a line an epoch), `last.pt` (the whole
state), `best.pt` (the weights of the best validation accuracy) and, at the end, `result.json`.
"""

from __future__ import annotations

import json
import math
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from uninas_evo.errors import DataError, TrainingError
from uninas_evo.training import checkpoint, recipe
from uninas_evo.training.batches import Normalise, batches, eval_tasks, training_tasks
from uninas_evo.training.images import ImageSet, Splits, check
from uninas_evo.training.process import Process
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.randomness import seeded

CHECKED = 50
"""Steps between two looks at the loss: reading it makes a GPU wait."""
HOPELESS = 3.0
"""A mean loss of an epoch above so many times ln K, the loss of guessing, is a diverged run (after the warm-up)."""

Progress = Callable[[Mapping[str, float]], None]
"""Is told `epoch, step, steps, loss` (mean of the last `CHECKED` steps) now and then, and each epoch's metrics line."""


@dataclass(frozen=True)
class TrainResult:
    """What a training gave.

    Attributes:
        test_accuracy: share of test images classified rightly, by the weights of the best epoch.
        val_accuracy: the same on the validation part, which chose the epoch.
        best_epoch: that epoch, counted from 1.
        params: trained parameters.
        images_per_s: training images a second, over all processes.
        seconds: wall clock of all epochs with their validation.
    """

    test_accuracy: float
    val_accuracy: float
    best_epoch: int
    params: int
    images_per_s: float
    seconds: float


def train(
    network: nn.Module,
    splits: Splits,
    protocol: Protocol,
    folder: str | Path,
    *,
    image_size: int,
    seed: int = 0,
    name: str = "",
    process: Process | None = None,
    workers: int = 0,
    progress: Progress | None = None,
) -> TrainResult:
    """Trains a network (N, 3, H, W) -> (N, K) in place, or goes on where a training in the folder stopped.

    On a CPU with the same number of threads, a training that was killed at any step and called again ends with the
    same weights, bit for bit, as one that was not.

    Args:
        network: initialised already; at the end it holds the weights of the best epoch.
        splits: the data; checked before the first epoch.
        protocol: the settings.
        folder: for checkpoints and metrics; made if missing.
        image_size: pixels, where the protocol states none.
        seed: of order, augmentation and drop path.
        name: what the network is, such as its genome's text; a folder is only resumed under the same name.
        process: the device and, under `torchrun`, the place among several.
        workers: processes that read images ahead; the result does not depend on them.
        progress: called now and then.

    Raises:
        DataError: the data is wrong.
        TrainingError: the training diverged, its folder belongs to another one, or the disk is full.
        MissingExtraError: timm is not installed.
    """
    process = process or Process(torch.device("cpu"))
    size = protocol.image_size or image_size
    run = _Run(network, splits, protocol, Path(folder), size, seed, name, process, workers, progress)
    return run.result() or run.train()


class _Run:
    """One training: its parts, its state, and the files of its folder."""

    def __init__(
        self,
        network: nn.Module,
        splits: Splits,
        protocol: Protocol,
        folder: Path,
        image_size: int,
        seed: int,
        name: str,
        process: Process,
        workers: int,
        progress: Progress | None,
    ) -> None:
        self.splits, self.protocol, self.folder, self.seed = splits, protocol, folder, seed
        self.process, self.workers, self.progress = process, workers, progress
        self.params = sum(p.numel() for p in network.parameters())
        self.steps = len(splits.train) // protocol.batch_size
        self._check(_logits(network, image_size), name)
        device = process.device
        layout = torch.channels_last if protocol.channels_last else torch.contiguous_format
        self.network = network.to(device, memory_format=layout)  # type: ignore[call-overload]
        recipe.set_drop_path(network, protocol.drop_path)
        self.augment = recipe.train_transform(protocol, image_size)
        self.prepare = recipe.eval_transform(protocol, image_size)
        self.normalise = Normalise(protocol.mean, protocol.std, device, protocol.channels_last)
        self.optimizer = recipe.make_optimizer(network, protocol)
        self.schedule = recipe.make_schedule(self.optimizer, protocol, self.steps)
        self.mixer = recipe.make_mixup(protocol, len(splits.classes))
        self.loss = recipe.make_loss(protocol)
        self.average = recipe.make_average(network, protocol)
        self.model = process.wrap(network)
        amp = protocol.amp if device.type == "cuda" else ""
        self.dtype = {"": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[amp]
        self.scaler = torch.amp.GradScaler(device.type, enabled=amp == "float16")
        self.history: list[dict[str, float]] = []
        self._resume()

    def _check(self, classes: int, name: str) -> None:
        """Everything that can be known before the first epoch."""
        check(self.splits, classes)
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
        if self.process.first:
            self.folder.mkdir(parents=True, exist_ok=True)
            checkpoint.check_space(self.folder, self.params)
            self._claim(name)
        self.process.wait()

    def _claim(self, name: str) -> None:
        """Makes the folder this training's own, or finds that it is another's."""
        labels = [zlib.crc32(s.labels.tobytes()) for s in (self.splits.train, self.splits.val, self.splits.test)]
        mine = {
            "name": name,
            "seed": self.seed,
            "processes": self.process.world,
            "data": {"classes": list(self.splits.classes), "labels_crc32": labels},
            "protocol": self.protocol.model_dump(mode="json"),
        }
        path = self.folder / "training.json"
        if not path.is_file():
            checkpoint.save_json(path, mine)
            return
        theirs = json.loads(path.read_text(encoding="utf-8"))
        if differing := [key for key in mine if theirs.get(key) != mine[key]]:
            raise TrainingError(
                f"folder {self.folder} holds a training with another {' and '.join(differing)}: a training is only "
                "resumed with all settings unchanged; give another folder or remove this one"
            )

    def result(self) -> TrainResult | None:
        """The result of a training that has ended, with its weights loaded; the test data is not read again."""
        path = self.folder / "result.json"
        if not path.is_file():
            return None
        self._load_best()
        return TrainResult(**json.loads(path.read_text(encoding="utf-8")))

    def train(self) -> TrainResult:
        """All epochs that are left, then the test data."""
        for epoch in range(len(self.history), self.protocol.epochs):
            self._epoch(epoch)
        best = self._load_best()
        correct, _ = self._evaluate(self.network, self.splits.test)
        result = TrainResult(
            test_accuracy=correct,
            val_accuracy=self.history[best]["val_accuracy"],
            best_epoch=best + 1,
            params=self.params,
            images_per_s=sum(h["images_per_s"] for h in self.history) / len(self.history),
            seconds=sum(h["seconds"] for h in self.history),
        )
        if self.process.first:
            checkpoint.save_json(self.folder / "result.json", asdict(result))
        self.process.wait()
        return result

    def _epoch(self, epoch: int) -> None:
        start = time.perf_counter()
        loss = self._steps(epoch)
        trained = time.perf_counter()
        evaluated = self.average.module if self.average else self.network
        self.process.share_buffers(evaluated)
        accuracy, val_loss = self._evaluate(evaluated, self.splits.val)
        line = {
            "epoch": epoch + 1,
            "loss": loss,
            "lr": self.optimizer.param_groups[0]["lr"],
            "val_loss": val_loss,
            "val_accuracy": accuracy,
            "images_per_s": self.steps * self.protocol.batch_size / (trained - start),
            "seconds": time.perf_counter() - start,
        }
        best = all(accuracy > h["val_accuracy"] for h in self.history)
        self.history.append(line)
        if self.process.first:
            self._save(evaluated, best=best)
            if self.progress:
                self.progress(line)
        self.process.wait()

    def _steps(self, epoch: int) -> float:
        """The steps of an epoch; returns their mean loss."""
        self.model.train()
        process = self.process
        tasks = training_tasks(
            len(self.splits.train), self.protocol.batch_size, self.seed, epoch, process.rank, process.world
        )
        total, recent = 0.0, torch.zeros((), device=process.device)
        for step, (pixels, labels) in enumerate(
            batches(self.splits.train, self.augment, tasks, process.device, self.workers)
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
        images, targets = self.normalise(pixels), labels
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
    def _evaluate(self, network: nn.Module, images: ImageSet) -> tuple[float, float]:
        """Accuracy and mean cross-entropy."""
        network.eval()
        process = self.process
        sums = torch.zeros(2, dtype=torch.float64, device=process.device)
        tasks = eval_tasks(len(images), process.rank, process.world)
        for pixels, labels in batches(images, self.prepare, tasks, process.device, self.workers):
            with torch.autocast(process.device.type, self.dtype, enabled=self.dtype is not None):
                logits = network(self.normalise(pixels)).float()
            sums[0] += (logits.argmax(1) == labels).sum()
            sums[1] += nn.functional.cross_entropy(logits, labels, reduction="sum")
        correct, loss = (process.sum(sums) / len(images)).tolist()
        return correct, loss

    def _alive(self, loss: float, where: str) -> None:
        if not math.isfinite(loss):
            self._stop(f"in {where}: the loss is {loss}")

    def _stop(self, where: str) -> None:
        raise TrainingError(
            f"the training diverged {where}; it must stay finite and below guessing. Lower lr "
            f"({self.protocol.lr:g}), set clip_grad ({self.protocol.clip_grad:g}; 1 is usual) or lengthen "
            f"warmup_epochs ({self.protocol.warmup_epochs}), and train in another folder"
        )

    def _save(self, evaluated: nn.Module, *, best: bool) -> None:
        if best:
            weights = {"network": evaluated.state_dict(), "epoch": len(self.history) - 1}
            checkpoint.save_tensors(self.folder / "best.pt", weights)
        state = {
            "history": self.history,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": self.average.module.state_dict() if self.average else {},
        }
        checkpoint.save_tensors(self.folder / "last.pt", state)
        checkpoint.save_lines(self.folder / "metrics.jsonl", self.history)

    def _resume(self) -> None:
        path = self.folder / "last.pt"
        if not path.is_file():
            return
        state = checkpoint.load_tensors(path)
        self.history = state["history"]
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        if self.average:
            self.average.module.load_state_dict(state["average"])

    def _load_best(self) -> int:
        best = checkpoint.load_tensors(self.folder / "best.pt")
        self.network.load_state_dict(best["network"])
        return int(best["epoch"])


def _logits(network: nn.Module, image_size: int) -> int:
    """How many logits a network has: K of its output (1, K) for one image."""
    training = network.training
    device = next(network.parameters()).device
    with torch.inference_mode():
        logits: Tensor = network.eval()(torch.zeros(1, 3, image_size, image_size, device=device))
    network.train(training)
    return logits.shape[1]
