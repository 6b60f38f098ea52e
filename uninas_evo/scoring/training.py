"""The objective "train": accuracy after a short training, so that a search follows what a score only promises."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from uninas_evo.errors import ObjectiveError, TrainingError
from uninas_evo.spaces.sized import random_networks
from uninas_evo.spaces.uninas import Genome, UninasSpace
from uninas_evo.spaces.uninas.network import build
from uninas_evo.training.batches import batches
from uninas_evo.training.cache import BatchCache
from uninas_evo.training.fit import CHECKED, Fit
from uninas_evo.training.images import Splits, check
from uninas_evo.training.process import Process
from uninas_evo.training.protocol import Protocol, load_protocol
from uninas_evo.training.randomness import seed_of
from uninas_evo.training.readers import read_splits

PEERS_SEED = 0x5EED
"""Walks to the networks whose curves set the pruning's bar start from this seed and the run's."""
NO_LIMIT = math.inf


@dataclass(frozen=True)
class Schedule:
    """A way to train: how long, on how many images, with which draws.

    Attributes:
        protocol: with its epochs.
        images: training images, the first of one permutation; 0 for all.
        seed: of weights, order and augmentation.
    """

    protocol: Protocol
    images: int
    seed: int


class TrainFitness:
    """Trains each genome for a short schedule and returns its accuracy on the validation part.

    The test part is never read. Equal genomes, seeds and fidelities give equal values, whatever was trained before.
    Batches are decoded and augmented once for all candidates of a worker that train with the same seed.

    Hopeless candidates are pruned in two ways, both by bars that are fixed for the whole run, since bars of earlier
    candidates would make a value depend on what was scored before and by which worker. With `peers`, after each epoch
    but the last, as by Optuna's median rule: a candidate below the median of its peers at that epoch stops; the peers
    are random networks of the start's size, trained once in each worker. With `stop`, once, after the first 50 steps
    of the cheapest schedule: a candidate whose mean loss so far lies more than `stop` above the start's stops. Either
    keeps the accuracy that it has.

    Args:
        start: where the search begins; the peers are walked to from it.
        data: as `uninas-evo train` takes it.
        protocol: a protocol's name or path.
        epochs: of the short schedule.
        images: how many training images are used, the first of one permutation; 0 for all.
        fidelities: schedules in the place of `epochs` and `images`, cheapest first, each `{epochs, images}` and
            with a training seed of its own, so that luck at one says nothing about the next.
        peers: networks that set the bar; 0 switches that pruning off.
        stop: nats above the start's loss; 0 switches that pruning off.
        cache_mb: what the shared batches may take, in files that are gone with the worker; 0 shares none.
        seed: of weights, order and augmentation.

    Raises:
        DataError, TrainingError: the data or the protocol is wrong.
        ObjectiveError: a fidelity is wrong.
    """

    def __init__(
        self,
        start: Genome,
        *,
        data: str,
        protocol: str = "small",
        epochs: int = 2,
        images: int = 0,
        fidelities: Sequence[Mapping[str, float]] = (),
        peers: int = 0,
        stop: float = 0.0,
        cache_mb: float = 1000,
        seed: int = 0,
    ) -> None:
        settings = load_protocol(protocol)
        self.start, self.data, self.seed = start, data, seed
        self.peers, self.stop, self.cache_mb = peers, stop, cache_mb
        if fidelities:
            check_fidelities(fidelities)
            self.schedules = [
                _schedule(settings, int(one["epochs"]), int(one.get("images", 0)), seed_of(seed, index) % 2**31)
                for index, one in enumerate(fidelities)
            ]
        else:
            self.schedules = [_schedule(settings, epochs, images, seed)]
        self._bars: dict[tuple[int, str], list[float]] = {}
        self._limits: dict[str, float] = {}
        self._caches: dict[int, BatchCache] = {}

    def __call__(self, genome: Genome, device: str = "cpu", fidelity: int | None = None) -> dict[str, float]:
        """Trains a genome by one of the schedules.

        Args:
            genome: what is trained.
            device: where.
            fidelity: which schedule; None for the last.

        Returns:
            `train`, the accuracy that it reached, and `train_epochs`, how long it was trained.
        """
        index = len(self.schedules) - 1 if fidelity is None else fidelity
        limit = self._limit(device) if self.stop and index == 0 else NO_LIMIT
        return self._train(genome, index, device, self._bar(index, device), limit).values

    def _train(self, genome: Genome, index: int, device: str, bar: Sequence[float], limit: float) -> _Curve:
        """Trains up to the first epoch that ends below the bar, or the first look at a loss above the limit."""
        schedule, curve = self.schedules[index], _Curve(limit)
        size, place = genome.skeleton.image_size, Process(torch.device(device))
        splits, cache = self._splits[schedule.images], self._cache(size)
        fit = Fit(
            build(genome, schedule.seed),
            splits,
            schedule.protocol,
            size,
            schedule.seed,
            place,
            progress=curve.look,
            reader=cache or batches,
            checked=True,
        )
        try:
            for epoch in range(schedule.protocol.epochs):
                curve.add(fit.epoch(epoch)["val_accuracy"])
                if epoch < len(bar) and curve.accuracies[-1] < bar[epoch]:
                    break
        except _StoppedError:
            curve.accuracies.append(fit.evaluate(fit.evaluated, splits.val)[0])
        except TrainingError:
            if not curve.accuracies:
                raise  # else it diverged late, and keeps what it had reached
        return curve

    def _bar(self, index: int, device: str) -> list[float]:
        """The median accuracy of the peers after each epoch but the last."""
        if self.peers and (index, device) not in self._bars:
            peers = random_networks(UninasSpace(self.start), self.start, self.peers, seed=self.seed ^ PEERS_SEED)
            curves = [self._train(peer, index, device, (), NO_LIMIT).accuracies for peer in peers]
            reached = [c + [c[-1]] * (self.schedules[index].protocol.epochs - len(c)) for c in curves]
            self._bars[index, device] = [float(m) for m in np.median(reached, axis=0)[:-1]]
        return self._bars.get((index, device), [])

    def _limit(self, device: str) -> float:
        """The loss that ends a training at the first look: the start's own and `stop`."""
        if device not in self._limits:
            self._limits[device] = self._train(self.start, 0, device, (), -math.inf).loss + self.stop
        return self._limits[device]

    def _cache(self, size: int) -> BatchCache | None:
        """The shared batches of an image size."""
        if not self.cache_mb:
            return None
        return self._caches.setdefault(size, BatchCache(int(self.cache_mb * 1e6)))

    @cached_property
    def _splits(self) -> dict[int, Splits]:
        """The data of each schedule, by its number of images; it was checked, and holds no test image."""
        whole = read_splits(self.data, self.schedules[0].protocol.val_fraction)
        check(whole, self.start.skeleton.classes)
        order = np.random.default_rng(0).permutation(len(whole.train))
        found = {}
        for images in {schedule.images for schedule in self.schedules}:
            few = 0 < images < len(whole.train)
            train = whole.train.subset(np.sort(order[:images])) if few else whole.train
            found[images] = Splits(train, whole.val, whole.val, whole.classes)
        return found

    def __getstate__(self) -> dict[str, Any]:
        """Data, bars and batches stay behind: each worker makes its own."""
        kept = {key: value for key, value in self.__dict__.items() if key != "_splits"}
        return kept | {"_bars": {}, "_limits": {}, "_caches": {}}


class _StoppedError(Exception):
    """A training was ended at its first look."""


class _Curve:
    """What a training reached.

    Attributes:
        accuracies: after each epoch, or where the first one was stopped.
        loss: mean over the steps before the first look.
        values: as the objective returns them.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.accuracies: list[float] = []
        self.loss = math.nan
        self._epochs = 0.0

    def look(self, line: Mapping[str, float]) -> None:
        """Takes the loss of some steps; those before the first look decide whether the training goes on."""
        if line["epoch"] == 1 and line["step"] <= CHECKED:
            self.loss, self._epochs = line["loss"], line["step"] / line["steps"]
            if self.loss > self.limit:
                raise _StoppedError

    def add(self, accuracy: float) -> None:
        """Takes an epoch's accuracy."""
        self.accuracies.append(accuracy)
        self._epochs = float(len(self.accuracies))

    @property
    def values(self) -> dict[str, float]:
        return {"train": self.accuracies[-1], "train_epochs": self._epochs}


def _schedule(settings: Protocol, epochs: int, images: int, seed: int) -> Schedule:
    warmup = min(settings.warmup_epochs, epochs - 1)
    return Schedule(settings.replace(epochs=epochs, warmup_epochs=warmup), images, seed)


def check_fidelities(fidelities: Sequence[Mapping[str, float]]) -> None:
    """Checks that fidelities are schedules, each dearer than the one before.

    Raises:
        ObjectiveError: one is not.
    """
    before = 0.0
    for one in fidelities:
        if not one.keys() <= {"epochs", "images"} or any(value != int(value) or value < 1 for value in one.values()):
            raise ObjectiveError(
                f"a fidelity of training is {{epochs, images}}, whole numbers from 1 up, got {dict(one)}; "
                f"write for example {{ epochs = 1, images = 5000 }}"
            )
        cost = one.get("epochs", 0) * one.get("images", math.inf)
        if "epochs" not in one or cost < before:
            raise ObjectiveError(
                f"fidelities need epochs, and stand in the order of what they cost, got {list(map(dict, fidelities))}; "
                f"begin with the cheapest"
            )
        before = cost
