"""The objective `supernet`: accuracy of a genome's path through shared weights, its norms measured anew."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uninas_evo.contracts import Objective, Progress, Scorer, Space, Subject
from uninas_evo.errors import TrainingError
from uninas_evo.sharing.options import SAMPLERS, SupernetOptions
from uninas_evo.sources import file_hash

if TYPE_CHECKING:
    from torch import Tensor, nn

    from uninas_evo.sharing.data import SharedData
    from uninas_evo.sharing.training import SupernetTraining

RECALIBRATION_BATCH = 250
"""Images a batch that norms are measured with."""
SCORE_BATCH = 250
"""Images a batch that genomes are scored with."""


class SupernetScorer(Scorer):
    """Trains shared weights once a run, then scores genomes by them: a function of weights, genome and seed.

    Args:
        settings: the fields of `SupernetOptions`.
    """

    Options = SupernetOptions
    objectives = (Objective("supernet", "maximize"), Objective("supernet_loss", "minimize"))

    def __init__(self, **settings: Any) -> None:
        self.options = SupernetOptions.model_validate(settings)
        self.sources = tuple(path for path in (Path(self.options.data),) if path.exists())
        self.derives = self.options.learner not in SAMPLERS
        self.folder: Path | None = None
        self.training: SupernetTraining | None = None

    def make_ready(self, space: Space[Any], seed: int, folder: Path | None, device: str, progress: Progress) -> None:
        """Trains the weights, or goes on where a training in the folder stopped."""
        from uninas_evo.sharing.training import WEIGHTS, SupernetTraining

        self.seed = seed
        self.folder = None if folder is None else folder / "supernet"
        self.training = SupernetTraining(space, self.options, seed, self.folder, device)
        self.training.run(progress)
        self.learned = self.training.learner if self.derives else None
        self.prepared = "" if self.folder is None else file_hash(self.folder / WEIGHTS)

    def prepare(self, space: Space[Any], device: str) -> None:
        """Loads the weights in a worker.

        Raises:
            TrainingError: they are damaged, of another supernet, or not those that the run began with.
        """
        from uninas_evo.sharing.training import WEIGHTS, SupernetTraining, load_weights

        if self.training is None and self.folder is not None:
            self.training = SupernetTraining(space, self.options, self.seed, None, device)
            load_weights(self.training.net, self.folder)
            if self.prepared and file_hash(self.folder / WEIGHTS) != self.prepared:
                raise TrainingError(
                    f"the shared weights {self.folder / WEIGHTS} were changed while the run goes on: scores of two do "
                    f"not compare; restore the file and resume, or start a new run"
                )

    def score(self, subject: Subject, device: str) -> Mapping[str, float]:
        """`supernet`, the accuracy; `supernet_loss`, the mean cross-entropy; `supernet_se`, the accuracy's error."""
        import torch

        training = self._trained(subject.space, device)
        net, data = training.net.to(device), training.data
        self._recalibrate(net, data, device, subject.genome)
        correct, loss, count = 0, 0.0, min(self.options.score_images, len(data.validation))
        with torch.inference_mode():
            for start in range(0, count, SCORE_BATCH):
                images, labels = data.validation.batch(torch.arange(start, min(start + SCORE_BATCH, count)), device)
                logits = net(images, subject.genome)
                correct += int((logits.argmax(1) == labels).sum())
                loss += float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
        accuracy = correct / count
        error = math.sqrt(accuracy * (1 - accuracy) / count)
        return {"supernet": accuracy, "supernet_loss": loss / count, "supernet_se": error}

    def extracted(self, space: Space[Any], genome: Any, device: str = "cpu") -> nn.Module:
        """The genome's own network with its shared weights, its norms measured as for a score, in evaluation mode."""
        training = self._trained(space, device)
        self._recalibrate(training.net.to(device), training.data, device, genome)
        network: nn.Module = training.net.extract(genome)
        return network.eval()

    def _recalibrate(self, net: nn.Module, data: SharedData, device: str, genome: Any) -> None:
        from uninas_evo.sharing.statistics import recalibrate

        recalibrate(net, _images(data.weights, self.options.recalibrate, RECALIBRATION_BATCH, device), genome)

    def _trained(self, space: Space[Any], device: str) -> SupernetTraining:
        if self.training is None:
            self.prepare(space, device)
        assert self.training is not None
        return self.training

    def __getstate__(self) -> dict[str, Any]:
        """Weights and data stay behind where a folder holds them: each worker reads its own."""
        return self.__dict__ if self.folder is None else {**self.__dict__, "training": None, "learned": None}


def _images(part: Any, count: int, batch: int, device: str) -> Iterator[Tensor]:
    import torch

    count = min(count, len(part))
    for start in range(0, count, batch):
        yield part.batch(torch.arange(start, min(start + batch, count)), device)[0]
