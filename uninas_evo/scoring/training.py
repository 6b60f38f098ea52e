"""The objective "train": accuracy after a short training, so that a search follows what a score only promises."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic

from uninas_evo.contracts import Budget, Objective, Progress, Rebudgeted, Scorer, Space, Subject
from uninas_evo.errors import TrainingError
from uninas_evo.files import write_text
from uninas_evo.scoring.subject import GenomeSubject

if TYPE_CHECKING:
    from uninas_evo.training.images import Splits
    from uninas_evo.training.protocol import Protocol

PEERS_SEED = 0x5EED
"""Walks to the networks whose curves set the pruning's bar start from this seed and the run's."""
SMALLEST = 0.8
"""Peers have at least this share of the start's parameters: less would be another size."""
WALK = 300
"""Search steps from the start to a peer: some times as many as a network has nodes."""
FILE_NAME = "train_bar.json"
"""Where a run folder keeps the bar."""


class TrainScorerOptions(pydantic.BaseModel):
    """Settings of `train`."""

    model_config = pydantic.ConfigDict(extra="forbid")

    data: str = pydantic.Field(
        description="data to train on: a folder or .npz file as `uninas-evo train --data` takes it"
    )
    protocol: str = pydantic.Field("small", description="a protocol's name or path")
    epochs: int = pydantic.Field(2, ge=1, description="of the short schedule")
    images: int = pydantic.Field(0, ge=0, description="training images that are used, drawn once for all; 0 for all")
    peers: int = pydantic.Field(0, ge=0, description="networks that set the bar of pruning; 0 switches it off")


class TrainScorer(Scorer):
    """Trains each genome for a short schedule and returns its accuracy on the validation part.

    The test part is never read. Equal genomes and seeds give equal values, whatever was trained before.

    Hopeless candidates are pruned as by Optuna's median rule, after each epoch but the last: a candidate below the
    median of its peers at that epoch stops and keeps the accuracy it has. Optuna takes earlier trials as peers, which
    would make a value depend on what was scored before and by which worker. Here they are `peers` random networks of
    the start's size, trained once a run before the workers start, so that the bar is fixed for the whole run.

    Args:
        data: as `uninas-evo train` takes it.
        protocol: a protocol's name or path.
        epochs: of the short schedule.
        images: how many training images are used, drawn once for all; 0 for all.
        peers: networks that set the bar; 0 switches pruning off.

    Raises:
        DataError, TrainingError: the data or the protocol is wrong.
    """

    Options = TrainScorerOptions
    objectives = (Objective("train", "maximize"),)

    def __init__(self, data: str, protocol: str = "small", epochs: int = 2, images: int = 0, peers: int = 0) -> None:
        from uninas_evo.training.protocol import load_protocol

        settings = load_protocol(protocol)
        warmup = min(settings.warmup_epochs, epochs - 1)
        self.protocol: Protocol = settings.replace(epochs=epochs, warmup_epochs=warmup)
        self.data, self.images, self.peers = data, images, peers
        self.sources = tuple(path for path in (Path(protocol), Path(data)) if path.is_file())
        self.bar: list[float] | None = None if peers else []

    def make_ready(self, space: Space[Any], seed: int, folder: Path | None, device: str, progress: Progress) -> None:
        """Trains the peers, or reads the bar that the run folder keeps."""
        if not self.peers:
            return
        file = None if folder is None else folder / FILE_NAME
        self.bar = self.bar or self._kept(file) or self._measured(space, seed, device, progress)
        text = json.dumps(self.bar) + "\n"
        self.prepared = hashlib.sha256(text.encode()).hexdigest()
        if file is not None:
            write_text(file, text)

    def _kept(self, file: Path | None) -> list[float] | None:
        try:
            bar = [float(height) for height in json.loads(file.read_text(encoding="utf-8"))] if file else []
        except (OSError, ValueError, TypeError):
            return None
        return bar if len(bar) == self.protocol.epochs - 1 else None

    def _measured(self, space: Space[Any], seed: int, device: str, progress: Progress) -> list[float]:
        """The median accuracy of the peers after each epoch but the last."""
        import numpy as np

        curves = []
        for number in range(self.peers):
            progress(f"training peer {number + 1} of {self.peers}")
            peer = _peer(space, f"{seed ^ PEERS_SEED}/{number}")
            curves.append(self._curve(GenomeSubject(peer, space, seed), device, []))
        reached = [c + [c[-1]] * (self.protocol.epochs - len(c)) for c in curves]
        return [float(m) for m in np.median(reached, axis=0)[:-1]]

    def score(self, subject: Subject, device: str) -> Mapping[str, float]:
        """`train`, the accuracy of the last epoch that was trained, and `train_epochs`, how many these were."""
        if self.bar is None:
            raise TrainingError("the peers of `train` were not trained; call make_ready of its problem or scorer first")
        curve = self._curve(subject, device, self.bar)
        return {"train": curve[-1], "train_epochs": float(len(curve))}

    def _curve(self, subject: Subject, device: str, bar: list[float]) -> list[float]:
        """Validation accuracy after each epoch, up to the first that lies below the bar."""
        import torch

        from uninas_evo.training.fit import Fit
        from uninas_evo.training.process import Process

        size, place = subject.image[1], Process(torch.device(device))
        fit = Fit(subject.network(), self._splits, self.protocol, size, subject.seed, place)
        curve: list[float] = []
        for epoch in range(self.protocol.epochs):
            try:
                curve.append(fit.epoch(epoch)["val_accuracy"])
            except TrainingError:
                if not curve:
                    raise
                break  # it diverged: it keeps what it had reached
            if epoch < len(bar) and curve[-1] < bar[epoch]:
                break
        return curve

    @cached_property
    def _splits(self) -> Splits:
        import numpy as np

        from uninas_evo.training.images import Splits
        from uninas_evo.training.readers import read_splits

        splits = read_splits(self.data, self.protocol.val_fraction)
        if not 0 < self.images < len(splits.train):
            return splits
        chosen = np.random.default_rng(0).permutation(len(splits.train))[: self.images]
        return Splits(splits.train.subset(np.sort(chosen)), splits.val, splits.test, splits.classes)

    def __getstate__(self) -> dict[str, Any]:
        """The data stays behind: each worker reads its own."""
        return {key: value for key, value in self.__dict__.items() if key != "_splits"}


def _peer(space: Space[Any], key: str) -> Any:
    """A random network of the start's size: the end of a walk that never leaves it. Without a start, a sample."""
    rng = random.Random(key)
    genome = space.start
    if genome is None:
        return space.sample(rng)
    if isinstance(space, Rebudgeted):
        params = space.cost(genome).params
        space = space.with_budget(Budget(SMALLEST * params, params))
    for _ in range(WALK):
        genome = space.mutate(genome, rng) or genome
    return genome
