"""The training loop: epochs of steps, validation after each, checkpoints, exact resume, one reading of the test data.

A training folder holds `training.json` (what is trained), `data.txt` (what the data is and what is done to it),
`metrics.jsonl` (a line an epoch), `last.pt` (the whole state), `best.pt` (the weights of the best validation metric)
and, at the end, `result.json`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from uninas_evo.errors import TrainingError
from uninas_evo.threads import fixed_threads
from uninas_evo.training import checkpoint
from uninas_evo.training.check import Shape
from uninas_evo.training.fit import Fit, Progress
from uninas_evo.training.process import Process
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.tasks.task import Metrics


@dataclass(frozen=True)
class TrainResult:
    """What a training gave.

    Attributes:
        metric: what chose the epoch, by its name in `tested`: `accuracy`, `box_ap` or `miou`.
        tested: the task's metrics on the test images, by the weights of the best epoch, from 0 to 1; None where one is
            undefined. Of a classification `accuracy`, `f1` and `auc` (means over the classes).
        validated: the metric on the validation part, which chose the epoch.
        best_epoch: that epoch, counted from 1.
        params: trained parameters.
        images_per_s: training images a second, over all processes.
        seconds: wall clock of all epochs with their validation.
    """

    metric: str
    tested: Mapping[str, float | None]
    validated: float
    best_epoch: int
    params: int
    images_per_s: float
    seconds: float

    @property
    def value(self) -> float:
        """The metric on the test part."""
        return self.tested[self.metric] or 0.0

    @property
    def test_accuracy(self) -> float:
        """Share of test images classified rightly."""
        return self.tested["accuracy"] or 0.0

    @property
    def val_accuracy(self) -> float:
        """The same on the validation part."""
        return self.validated

    @property
    def test_f1(self) -> float | None:
        """Mean over the classes of their F1 score on the test images."""
        return self.tested["f1"]

    @property
    def test_auc(self) -> float | None:
        """Mean over the classes of the area under their ROC curve, each against the rest."""
        return self.tested["auc"]

    def as_json(self) -> dict[str, Any]:
        """As `result.json` has it: `test_NAME` of each metric, and `val_NAME` of the one that chose."""
        rest = asdict(self)
        tested, validated = rest.pop("tested"), rest.pop("validated")
        found = {f"test_{name}": value for name, value in tested.items()}
        return {**found, f"val_{self.metric}": validated, **rest}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> TrainResult:
        """Reads `as_json`; files of before there were tasks are of a classification.

        Raises:
            KeyError, TypeError: it is something else.
        """
        rest = {"metric": "accuracy", **content}
        validated = rest.pop(f"val_{rest['metric']}")
        tested = {name.removeprefix("test_"): rest.pop(name) for name in content if name.startswith("test_")}
        return cls(tested=tested, validated=validated, **rest)


def train(
    network: nn.Module,
    data: Any,
    protocol: Protocol,
    folder: str | Path,
    *,
    image_size: int | Shape,
    seed: int = 0,
    name: str = "",
    process: Process | None = None,
    workers: int = 0,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda line: None,
    time_limit_s: float = math.inf,
) -> TrainResult:
    """Trains a network of the protocol's task in place, or goes on where a training in the folder stopped.

    On a CPU with the same number of threads, a training that was killed at any step and called again ends with the
    same weights, bit for bit, as one that was not.

    Args:
        network: (N, C, H, W) -> (N, K) for classification, else what the task made of it (`Task.network`); initialized
            already; at the end it holds the weights of the best epoch.
        data: of the task, `Splits` for classification; checked before the first epoch.
        protocol: the settings.
        folder: for checkpoints and metrics; made if missing.
        image_size: (C, H, W) of the network's images, or the pixels of square RGB ones; the protocol's `image_size`
            replaces H and W.
        seed: of order, augmentation and drop path.
        name: what the network is, such as its genome's text; a folder is only resumed under the same name.
        process: the device and, under `torchrun`, the place among several.
        workers: processes that read images ahead; the result does not depend on them.
        progress: called now and then.
        say: is told before the first epoch what the data is and what is done to it, a line each.
        time_limit_s: no epoch begins that would end, if it took as long as the last one, later than so many seconds
            after this call; what was trained until then is the result. At least one epoch is trained.

    Raises:
        DataError: the data is wrong.
        TrainingError: the training diverged, its folder belongs to another one or is in use, or the disk is full.
        MissingExtraError: timm is not installed.
    """
    process = process or Process(torch.device("cpu"))
    with fixed_threads(protocol.threads):
        until = time.monotonic() + time_limit_s
        return _train(
            network, data, protocol, Path(folder), image_size, seed, name, process, workers, progress, say, until
        )


def _train(
    network: nn.Module,
    data: Any,
    protocol: Protocol,
    folder: Path,
    image_size: int | Shape,
    seed: int,
    name: str,
    process: Process,
    workers: int,
    progress: Progress | None,
    say: Callable[[str], None],
    until: float,
) -> TrainResult:
    fit = Fit(network, data, protocol, image_size, seed, process, workers, progress)
    with checkpoint.owned(folder) if process.first else nullcontext():
        training = _Training(fit, folder, name)
        for line in fit.task.statement() if process.first else ():
            say(line)
        if process.first and process.device.type == "cpu":
            say(f"threads: {protocol.threads} (set threads=N to change)")
        return training.result(until)


class _Training:
    """A fit and the files of its folder."""

    def __init__(self, fit: Fit, folder: Path, name: str) -> None:
        self.fit, self.folder = fit, folder
        self.params = sum(p.numel() for p in fit.network.parameters())
        self.chooses = f"val_{fit.task.metric}"
        self.history: list[Metrics] = []
        if fit.process.first:
            checkpoint.check_space(folder, self.params)
            self._claim(_identity(fit, name))
            checkpoint.save_text(folder / "data.txt", "\n".join([*fit.task.statement(), ""]))
        fit.process.wait()

    def _claim(self, mine: Mapping[str, Any]) -> None:
        """Makes the folder this training's own, or finds that it is another's."""
        path = self.folder / "training.json"
        if not path.is_file():
            checkpoint.save_json(path, mine)
            return
        theirs = checkpoint.load_json(path)
        if isinstance(known := theirs.get("protocol"), dict):  # a training that began when there was no such setting
            theirs["protocol"] = {**Protocol.defaults(), "threads": self.fit.protocol.threads, **known}
        if differing := [key for key in mine if theirs.get(key) != mine[key]]:
            raise TrainingError(
                f"folder {self.folder} holds a training with another {' and '.join(differing)}: a training is only "
                "resumed with all settings unchanged; give another folder or remove this one"
            )

    def result(self, until: float) -> TrainResult:
        """The result; trains what is left to be trained, or loads the weights and reads no test image again.

        Args:
            until: no epoch begins that would end later on the clock `time.monotonic`.
        """
        path = self.folder / "result.json"
        if path.is_file():
            self._load_best()
            return self._recorded(path)
        self._resume()
        fit = self.fit
        for epoch in range(len(self.history), fit.protocol.epochs):
            if self.history and (self._hopeless or time.monotonic() + self.history[-1]["seconds"] > until):
                break
            self._record(fit.epoch(epoch))
        best = self._load_best()
        result = TrainResult(
            metric=fit.task.metric,
            tested=fit.task.test(fit.network),
            validated=self.history[best][self.chooses],
            best_epoch=best + 1,
            params=self.params,
            images_per_s=sum(h["images_per_s"] for h in self.history) / len(self.history),
            seconds=sum(h["seconds"] for h in self.history),
        )
        if fit.process.first:
            checkpoint.save_json(path, result.as_json())
        fit.process.wait()
        return result

    @property
    def _hopeless(self) -> bool:
        """Whether the protocol's patience is over: the best epoch lies too far back."""
        values = [line[self.chooses] for line in self.history]
        return 0 < self.fit.protocol.patience < len(values) - values.index(max(values))

    @staticmethod
    def _recorded(path: Path) -> TrainResult:
        try:
            return TrainResult.from_json(checkpoint.load_json(path))
        except (KeyError, TypeError) as error:
            raise TrainingError(f"{path} holds no result of a training ({error}); remove it") from error

    def _record(self, line: Metrics) -> None:
        """Saves the state after an epoch; the best weights first, so that a kill in between loses nothing."""
        best = all(line[self.chooses] > h[self.chooses] for h in self.history)
        self.history.append(line)
        if self.fit.process.first:
            if best:
                weights = {"network": self.fit.evaluated.state_dict(), "epoch": len(self.history) - 1}
                checkpoint.save_tensors(self.folder / "best.pt", weights)
            checkpoint.save_tensors(self.folder / "last.pt", {"history": self.history, **self.fit.state()})
            checkpoint.save_lines(self.folder / "metrics.jsonl", self.history)
            if self.fit.progress:
                self.fit.progress(line)
        self.fit.process.wait()

    def _resume(self) -> None:
        path = self.folder / "last.pt"
        if path.is_file():
            state = checkpoint.load_tensors(path)
            self.history = state["history"]
            self.fit.restore(state)

    def _load_best(self) -> int:
        best = checkpoint.load_tensors(self.folder / "best.pt")
        self.fit.network.load_state_dict(best["network"])
        return int(best["epoch"])


def _identity(fit: Fit, name: str) -> dict[str, Any]:
    """What must be the same for a training to be resumed."""
    return {
        "name": name,
        "seed": fit.seed,
        "processes": fit.process.world,
        "data": fit.task.identity(),
        "protocol": fit.protocol.model_dump(mode="json"),
        **({"teacher": fit.teacher.digest} if fit.teacher else {}),
    }
