"""The objective "train": what a short training reaches, so that a search follows what a score only promises."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pydantic

from uninas_evo.contracts import Budget, Objective, Progress, Rebudgeted, Scorer, Shape, Space, Subject
from uninas_evo.errors import TrainingError
from uninas_evo.files import write_text
from uninas_evo.scoring.subject import GenomeSubject
from uninas_evo.training.protocol import TaskName

if TYPE_CHECKING:
    from torch import nn

    from uninas_evo.training.batches import Reader
    from uninas_evo.training.inheritance import WeightCache
    from uninas_evo.training.labels import Labels, Targets
    from uninas_evo.training.protocol import Protocol

PEERS_SEED = 0x5EED
"""Walks to the networks whose curves set the pruning's bar start from this seed and the run's."""
SMALLEST = 0.8
"""Peers have at least this share of the start's parameters: less would be another size."""
WALK = 300
"""Search steps from the start to a peer: some times as many as a network has nodes."""
FILE_NAME = "train_bar.json"
"""Where a run folder keeps the bars."""
WEIGHTS = "weights"
"""Where a run folder keeps the weights that candidates start from, while it runs."""
_OWN = ("_splits", "_checked", "_reader", "_weights", "_of_folds")
"""What each worker has for itself."""


class Fidelity(pydantic.BaseModel):
    """A schedule of `train`: `{ epochs = 1, images = 5_000 }`."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    epochs: int = pydantic.Field(ge=1, description="of the schedule")
    images: int = pydantic.Field(
        0, ge=0, description="training images that are used, the first of one permutation; 0 for all"
    )

    @property
    def cost(self) -> float:
        """Images seen; infinite for all."""
        return self.epochs * (self.images or math.inf)


class TrainScorerOptions(pydantic.BaseModel):
    """Settings of `train`."""

    model_config = pydantic.ConfigDict(extra="forbid")

    data: str = pydantic.Field(
        description="data to train on: a folder or .npz file as `uninas-evo train --data` takes it"
    )
    task: TaskName | None = pydantic.Field(
        None,
        description="what is learnt: the value is then accuracy, mean average precision (multilabel), R² (regression), "
        "box AP or mean IoU; unset: the protocol's task",
    )
    protocol: str | None = pydantic.Field(None, description="a protocol's name or path; unset: the task's small one")
    epochs: int = pydantic.Field(2, ge=1, description="of the short schedule")
    images: int = pydantic.Field(
        0, ge=0, description="training images that are used, the first of one permutation; 0 for all"
    )
    fidelities: list[Fidelity] = pydantic.Field(
        [],
        description="schedules from cheap to full in the place of `epochs` and `images`, for strategies that climb; "
        "each has a training seed of its own, so that luck at one says nothing about the next",
    )
    peers: int = pydantic.Field(0, ge=0, description="networks that set the bar of pruning; 0 switches it off")
    stop: float = pydantic.Field(
        0.0,
        ge=0,
        description="ends a training whose mean loss over its first 50 steps lies so many nats above the start's, at "
        "the cheapest schedule; 0 ends none",
    )
    folds: int = pydantic.Field(
        1,
        ge=1,
        le=20,
        description="for small sets: each genome is trained so many times, each time without another part of the "
        "training images, on which it is then measured; the value is the mean, and the validation part stays unread",
    )
    curve: bool = pydantic.Field(
        False, description="also keep the value after each epoch but the last, as `train_after_1`, `train_after_2`, ..."
    )
    cache_mb: float = pydantic.Field(
        1000,
        ge=0,
        description="what decoded and augmented batches may take that all candidates of a worker share, in files that "
        "are gone with it; 0 shares none",
    )

    weights_mb: float = pydantic.Field(
        500,
        ge=0,
        description="what trained weights that candidates inherit may take in the run folder; those longest unused go "
        "first, and are trained again where they are asked for",
    )
    inherited_lr: float = pydantic.Field(
        0.4,
        gt=0,
        le=1,
        description="share of the learning rate with which inherited weights are trained on: half an epoch at 2e-3 led "
        "to 54.0 %, at the protocol's 5e-3 to 52.3 %",
    )

    @pydantic.field_validator("fidelities")
    @classmethod
    def _cheapest_first(cls, fidelities: list[Fidelity]) -> list[Fidelity]:
        costs = [one.cost for one in fidelities]
        if costs != sorted(costs):
            raise ValueError(f"fidelities begin with the cheapest, by epochs times images, got {costs}; reorder them")
        return fidelities

    @pydantic.model_validator(mode="after")
    def _folds_end(self) -> Self:
        if self.folds > 1 and (self.peers or self.stop):
            raise ValueError(
                f"folds = {self.folds} trains each genome to the end: peers and stop must be 0; remove them"
            )
        return self


@dataclass(frozen=True)
class Schedule:
    """A way to train.

    Attributes:
        protocol: with its epochs.
        images: training images; 0 for all.
        key: tells its random draws from those of other schedules; None where there is one only.
    """

    protocol: Protocol
    images: int
    key: int | None = None

    def seed(self, seed: int) -> int:
        """The seed of weights, order and augmentation."""
        from uninas_evo.training.randomness import seed_of

        return seed if self.key is None else seed_of(seed, self.key) % 2**31


class TrainScorer(Scorer):
    """Trains each genome for a short schedule and returns its accuracy on the validation part.

    Under `task` its network is the backbone of a detector or a segmentation network, and the value their metric.
    The test part is never read. Equal genomes, seeds and fidelities give equal values, whatever was trained before.
    A candidate with a lineage starts from the weights of its last ancestor, which are trained again where they are not
    kept: they are a cache, and change no value. Batches are decoded and augmented once for all candidates of a worker
    that train with the same seed. Settings that a genome decides itself (see `contracts.Trained`) replace the
    protocol's.

    Hopeless candidates are pruned in two ways, both by bars that are found once a run, before the workers start, since
    bars of earlier candidates would make a value depend on what was scored before and by which worker. With `peers`,
    as by Optuna's median rule, after each epoch but the last: a candidate below the median of its peers at that epoch
    stops; the peers are random networks of the start's size. With `stop`, after the first 50 steps of the cheapest
    schedule: a candidate whose mean loss so far lies more than `stop` above the start's stops. Either keeps the
    accuracy that it has.

    Args:
        settings: the fields of `TrainScorerOptions`.

    Raises:
        DataError, TrainingError: the data or the protocol is wrong.
    """

    Options = TrainScorerOptions
    objectives = (Objective("train", "maximize"),)

    def __init__(self, **settings: Any) -> None:
        from uninas_evo.training.protocol import protocol_for

        options = TrainScorerOptions(**settings)
        protocol = protocol_for(options.task, options.protocol)
        rungs = options.fidelities or [Fidelity(epochs=options.epochs, images=options.images)]
        self.schedules = [
            Schedule(_for(protocol, one.epochs), one.images, index if options.fidelities else None)
            for index, one in enumerate(rungs)
        ]
        self.fidelities = tuple(one.model_dump() for one in options.fidelities)
        file, data = Path(options.protocol or ""), Path(options.data)
        own = [file] if file.is_file() else []  # a folder that is called as a built-in protocol is none
        teacher = protocol.teacher.rpartition("@")[2]  # of timm:NAME@FILE the file
        taught = [Path(teacher)] if teacher and Path(teacher).exists() else []
        self.sources = (*own, *taught, data) if data.exists() else (*own, *taught)
        self.data, self.peers, self.stop, self.cache_mb = options.data, options.peers, options.stop, options.cache_mb
        self.curve, self.folds, self.fold = options.curve, options.folds, -1
        self.bars: list[list[float]] | None = None if self.peers else [[] for _ in rungs]
        self.limit = None if self.stop else math.inf
        self.inherited_lr = options.inherited_lr
        self.weights_mb = options.weights_mb
        self.weights_folder: Path | None = None

    def make_ready(self, space: Space[Any], seed: int, folder: Path | None, device: str, progress: Progress) -> None:
        """Trains the peers and the start's first steps, or reads what the run folder keeps of them."""
        self.weights_folder = None if folder is None else folder / WEIGHTS
        if not self.peers and not self.stop:
            return
        file = None if folder is None else folder / FILE_NAME
        self._recall(file)
        if self.bars is None:
            self.bars = [self._bar(index, space, seed, device, progress) for index in range(len(self.schedules))]
        if self.limit is None:
            progress("training the start's first steps")
            start = GenomeSubject(space.start or space.sample(random.Random(seed)), space, seed)
            self.limit = self._train(start, 0, device, (), -math.inf)[0].loss + self.stop
        text = json.dumps({"bars": self.bars, "limit": self.limit if self.stop else None}) + "\n"
        self.prepared = hashlib.sha256(text.encode()).hexdigest()
        if file is not None:
            write_text(file, text)

    def clean_up(self, folder: Path | None) -> int:
        """Removes the weights that candidates started from, unless a link stands in their place."""
        weights = None if folder is None else folder / WEIGHTS
        if weights is None or weights.is_symlink() or not weights.is_dir():
            return 0
        held = sum(file.stat().st_size for file in weights.rglob("*") if file.is_file())
        shutil.rmtree(weights, ignore_errors=True)
        return held

    def _recall(self, file: Path | None) -> None:
        """Takes up what a run folder keeps, as far as it fits."""
        try:
            kept = json.loads(file.read_text(encoding="utf-8")) if file else {}
            bars = [[float(height) for height in bar] for bar in kept["bars"]]
            limit = float(kept["limit"]) if self.stop else math.inf
        except (OSError, ValueError, TypeError, KeyError):
            return
        if not self.peers or [len(bar) for bar in bars] == [one.protocol.epochs - 1 for one in self.schedules]:
            self.bars, self.limit = self.bars or bars, self.limit or limit

    def _bar(self, index: int, space: Space[Any], seed: int, device: str, progress: Progress) -> list[float]:
        """The median accuracy of the peers after each epoch but the last of a schedule."""
        import numpy as np

        epochs = self.schedules[index].protocol.epochs
        curves = []
        for number in range(self.peers if epochs > 1 else 0):
            progress(f"training peer {number + 1} of {self.peers}")
            peer = GenomeSubject(_peer(space, f"{seed ^ PEERS_SEED}/{number}"), space, seed)
            curve = self._train(peer, index, device, (), math.inf)[0].accuracies
            curves.append(curve + [curve[-1]] * (epochs - len(curve)))
        return [float(m) for m in np.median(curves, axis=0)[:-1]] if curves else []

    def score(self, subject: Subject, device: str) -> Mapping[str, float]:
        """`train`, the accuracy that was reached, and `train_epochs`, how long it was trained; with `curve` the way."""
        if self.folds > 1 and self.fold < 0:
            rows = [one.score(subject, device) for one in self._of_folds]
            return {
                name: sum(row[name] for row in rows) / len(rows) for name in rows[0] if all(name in r for r in rows)
            }
        curve, network = self._trained(subject, device)
        if subject.lineage or self._weights.is_used:
            self._weights.save(_key(subject), network)
        *way, last = curve.accuracies
        after = {f"train_after_{epoch}": value for epoch, value in enumerate(way, 1)} if self.curve else {}
        return {"train": last, "train_epochs": curve.epochs} | after

    def _trained(self, subject: Subject, device: str) -> tuple[Curve, nn.Module]:
        """Trains at the subject's fidelity, under the run's bars."""
        if self.bars is None or self.limit is None:
            raise TrainingError("the peers of `train` were not trained; call make_ready of its problem or scorer first")
        index = self._index(subject)
        return self._train(subject, index, device, self.bars[index], math.inf if index else self.limit)

    def _index(self, subject: Subject) -> int:
        return len(self.schedules) - 1 if subject.fidelity is None else subject.fidelity

    def _ancestor(self, subject: Subject, device: str) -> nn.Module:
        """The trained network that a subject starts from: the kept weights, or trained again with all before it."""
        *before, last = subject.lineage
        parent = GenomeSubject(last.genome, subject.space, subject.seed, last.fidelity, tuple(before))
        network = self._network(parent, self._index(parent))
        if self._weights.load(_key(parent), network):
            return network
        _, network = self._trained(parent, device)
        self._weights.save(_key(parent), network)
        return network

    def _network(self, subject: Subject, index: int) -> nn.Module:
        """The network that a schedule trains, with its first weights."""
        from uninas_evo.training.genomes import headed

        schedule = self.schedules[index]
        seed = schedule.seed(subject.seed)
        network = GenomeSubject(subject.genome, subject.space, seed).network()
        return headed(network, self._splits[schedule.images], schedule.protocol, seed)

    def _train(
        self, subject: Subject, index: int, device: str, bar: Sequence[float], limit: float
    ) -> tuple[Curve, nn.Module]:
        """Trains up to the first epoch that ends below the bar, or the first look at a loss above the limit."""
        import torch

        from uninas_evo.training.fit import Fit
        from uninas_evo.training.genomes import trained_by
        from uninas_evo.training.inheritance import hand_down
        from uninas_evo.training.process import Process

        schedule, curve = self.schedules[index], Curve(limit)
        network, protocol = self._network(subject, index), trained_by(subject.space, subject.genome, schedule.protocol)
        if subject.lineage:
            hand_down(self._ancestor(subject, device), network)
            protocol = protocol.replace(lr=protocol.lr * self.inherited_lr)
        fit = Fit(
            network,
            self._splits[schedule.images],
            protocol,
            subject.image,
            schedule.seed(subject.seed),
            Process(torch.device(device)),
            progress=curve.look,
            reader=self._reader,
            checked=subject.image in self._checked,
        )
        self._checked.add(subject.image)
        try:
            for epoch in range(schedule.protocol.epochs):
                curve.add(fit.epoch(epoch)[f"val_{fit.task.metric}"])
                if epoch < len(bar) and curve.accuracies[-1] < bar[epoch]:
                    break
        except StoppedError:
            curve.accuracies.append(fit.task.validate(fit.evaluated)[f"val_{fit.task.metric}"])
        except TrainingError:
            if not curve.accuracies:
                raise  # else it diverged late, and keeps what it had reached
        return curve, fit.evaluated

    @cached_property
    def _reader(self) -> Reader:
        """Reads batches, those that several candidates see only once."""
        from uninas_evo.training.batches import batches
        from uninas_evo.training.cache import BatchCache

        return BatchCache(int(self.cache_mb * 1e6)) if self.cache_mb else batches

    @cached_property
    def _of_folds(self) -> list[TrainScorer]:
        """A scorer for each fold, with its own data, batches and weights."""
        found = []
        for fold in range(self.folds):
            one = copy.copy(self)
            for name in _OWN:
                one.__dict__.pop(name, None)
            one.fold, one.cache_mb, one.weights_mb = fold, self.cache_mb / self.folds, self.weights_mb / self.folds
            one.weights_folder = self.weights_folder and self.weights_folder / f"fold{fold}"
            found.append(one)
        return found

    @cached_property
    def _weights(self) -> WeightCache:
        """What descendants start from."""
        from uninas_evo.training.inheritance import WeightCache

        cache = WeightCache(int(self.weights_mb * 1e6))
        cache.folder = self.weights_folder
        return cache

    @cached_property
    def _checked(self) -> set[Shape]:
        """Image sizes for which the data was found good: reading thousands of files again tells nothing new."""
        return set()

    @cached_property
    def _splits(self) -> dict[int, Any]:
        """The data of each schedule, by its number of images; it holds no test image that could be read."""
        import numpy as np

        from uninas_evo.training.tasks import task_class

        protocol = self.schedules[0].protocol
        whole = task_class(protocol.task).read(self.data, protocol)
        order = np.random.default_rng(0).permutation(len(whole.train))
        found = {}
        for images in sorted({schedule.images for schedule in self.schedules}):
            few = 0 < images < len(whole.train)
            train, val = whole.train.subset(np.sort(order[:images])) if few else whole.train, whole.val
            if self.fold >= 0:
                held_out = fold_of(train.labels, self.folds) == self.fold
                train, val = train.subset(np.flatnonzero(~held_out)), train.subset(np.flatnonzero(held_out))
            found[images] = replace(whole, train=train, val=val, test=val)
        return found

    def __getstate__(self) -> dict[str, Any]:
        """Data and batches stay behind: each worker reads its own."""
        return {key: value for key, value in self.__dict__.items() if key not in _OWN}


def fold_of(labels: Labels | Targets, folds: int) -> Labels:
    """The fold (T,) of each image, from 0: drawn once, with as many of each class in every fold as there can be.

    Images with tags or numbers (T, K) are one class.
    """
    import numpy as np

    drawn = np.random.default_rng(0).permutation(len(labels))
    classes = labels if labels.ndim == 1 else np.zeros(len(labels))
    place = np.argsort(np.lexsort((drawn, classes)))
    return place % folds


class StoppedError(Exception):
    """A training was ended at its first look."""


class Curve:
    """What a training reached.

    Args:
        limit: a loss at the first look above it ends the training.

    Attributes:
        accuracies: after each epoch, or where the first one was stopped.
        loss: mean over the steps before the first look.
        epochs: how long it was trained.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.accuracies: list[float] = []
        self.loss = math.nan
        self.epochs = 0.0

    def look(self, line: Mapping[str, float]) -> None:
        """Takes the loss of some steps; those before the first look decide whether the training goes on.

        Raises:
            StoppedError: it does not.
        """
        from uninas_evo.training.fit import CHECKED

        if line["epoch"] == 1 and line["step"] <= CHECKED:
            self.loss, self.epochs = line["loss"], line["step"] / line["steps"]
            if self.loss > self.limit:
                raise StoppedError

    def add(self, accuracy: float) -> None:
        """Takes an epoch's accuracy."""
        self.accuracies.append(accuracy)
        self.epochs = float(len(self.accuracies))


def _key(subject: Subject) -> str:
    """What trained weights depend on within a run: the seed, the lineage and the fidelities."""
    encode = subject.space.encode
    chain = [[encode(genome), fidelity] for genome, fidelity in subject.lineage]
    text = json.dumps([subject.seed, *chain, [encode(subject.genome), subject.fidelity]])
    return hashlib.sha256(text.encode()).hexdigest()


def _for(protocol: Protocol, epochs: int) -> Protocol:
    """A protocol with other epochs: its whole schedule in them, with a warm-up where there is time for one."""
    return protocol.replace(epochs=epochs, warmup_epochs=min(protocol.warmup_epochs, epochs - 1))


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
