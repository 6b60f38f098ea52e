"""The objective "train": accuracy after a short training, so that a search follows what a score only promises."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch

from uninas_evo.errors import TrainingError
from uninas_evo.spaces.sized import random_networks
from uninas_evo.spaces.uninas import Genome, UninasSpace
from uninas_evo.spaces.uninas.network import build
from uninas_evo.training.fit import Fit
from uninas_evo.training.images import ImageSet, Splits
from uninas_evo.training.process import Process
from uninas_evo.training.protocol import Protocol, load_protocol
from uninas_evo.training.readers import read_splits

PEERS_SEED = 0x5EED
"""Walks to the networks whose curves set the pruning's bar start from this seed and the run's."""


class TrainFitness:
    """Trains each genome for a short schedule and returns its accuracy on the validation part.

    The test part is never read. Equal genomes and seeds give equal values, whatever was trained before.

    Hopeless candidates are pruned as by Optuna's median rule, after each epoch but the last: a candidate below the
    median of its peers at that epoch stops and keeps the accuracy it has. Optuna takes earlier trials as peers, which
    would make a value depend on what was scored before and by which worker. Here they are `peers` random networks of
    the start's size, trained once in each worker, so that the bar is fixed for the whole run.

    Args:
        start: where the search begins; the peers are walked to from it.
        data: as `uninas-evo train` takes it.
        protocol: a protocol's name or path.
        epochs: of the short schedule.
        images: how many training images are used, drawn once for all; 0 for all.
        peers: networks that set the bar; 0 switches pruning off.
        seed: of weights, order and augmentation.

    Raises:
        DataError, TrainingError: the data or the protocol is wrong.
    """

    def __init__(
        self,
        start: Genome,
        *,
        data: str,
        protocol: str = "small",
        epochs: int = 2,
        images: int = 0,
        peers: int = 0,
        seed: int = 0,
    ) -> None:
        settings = load_protocol(protocol)
        warmup = min(settings.warmup_epochs, epochs - 1)
        self.protocol: Protocol = settings.replace(epochs=epochs, warmup_epochs=warmup)
        self.start, self.data, self.images, self.peers, self.seed = start, data, images, peers, seed
        self._bars: dict[str, list[float]] = {}

    def __call__(self, genome: Genome, device: str = "cpu") -> dict[str, float]:
        """`train`, the accuracy of the last epoch that was trained, and `train_epochs`, how many these were."""
        curve = self._curve(genome, device, self._bar(device))
        return {"train": curve[-1], "train_epochs": float(len(curve))}

    def _curve(self, genome: Genome, device: str, bar: list[float]) -> list[float]:
        """Validation accuracy after each epoch, up to the first that lies below the bar."""
        network = build(genome, self.seed)
        size, place = genome.skeleton.image_size, Process(torch.device(device))
        fit = Fit(network, self._splits, self.protocol, size, self.seed, place)
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

    def _bar(self, device: str) -> list[float]:
        """The median accuracy of the peers after each epoch but the last."""
        if self.peers and device not in self._bars:
            peers = random_networks(UninasSpace(self.start), self.start, self.peers, seed=self.seed ^ PEERS_SEED)
            curves = [self._curve(peer, device, []) for peer in peers]
            reached = [c + [c[-1]] * (self.protocol.epochs - len(c)) for c in curves]
            self._bars[device] = [float(m) for m in np.median(reached, axis=0)[:-1]]
        return self._bars.get(device, [])

    @cached_property
    def _splits(self) -> Splits:
        splits = read_splits(self.data, self.protocol.val_fraction)
        if not 0 < self.images < len(splits.train):
            return splits
        chosen = np.random.default_rng(0).permutation(len(splits.train))[: self.images]
        train: ImageSet = splits.train.subset(np.sort(chosen))
        return Splits(train, splits.val, splits.test, splits.classes)

    def __getstate__(self) -> dict[str, Any]:
        """Data and bar stay behind: each worker reads and trains its own."""
        return {k: v for k, v in self.__dict__.items() if k != "_splits"} | {"_bars": {}}
