"""Trainings side by side, one process a device; everything that they compute is a function of their arguments."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from uninas_evo.contracts import Shape
from uninas_evo.pool import worker
from uninas_evo.pool.devices import environment

_LOOK_S = 0.5
"""How often the clock is told while everyone works."""


def side_by_side(
    function: Callable[..., Any], calls: Sequence[Mapping[str, Any]], devices: Sequence[str], tick: Callable[[], None]
) -> list[Any]:
    """The results of calls, in their order; each gets `device` beside its arguments.

    Args:
        function: what is called, in processes that end with this one.
        calls: its keyword arguments.
        devices: one for each process.
        tick: called now and then.

    Raises:
        Exception: what the first call that fails raises; the others are ended.
    """
    from concurrent.futures import FIRST_COMPLETED, Future, wait

    from joblib.externals.loky import ProcessPoolExecutor

    results: list[Any] = [None] * len(calls)
    with contextlib.ExitStack() as stack:
        free = []
        for device in devices[: len(calls)]:
            executor = ProcessPoolExecutor(
                max_workers=1,
                timeout=None,
                initializer=worker.die_with,
                initargs=(os.getpid(),),
                env=environment(device, 1),
            )
            stack.callback(executor.shutdown, kill_workers=True)
            free.append((executor, "cuda" if device.startswith("cuda") else device))
        waiting, running = list(enumerate(calls)), dict[Future[Any], tuple[int, Any]]()
        while waiting or running:
            while waiting and free:
                place, own = free.pop(), waiting.pop(0)
                running[place[0].submit(function, **own[1], device=place[1])] = own[0], place
            for done in wait(running, timeout=_LOOK_S, return_when=FIRST_COMPLETED).done:
                index, place = running.pop(done)
                results[index] = done.result()
                free.append(place)
            tick()
    return results


def short_accuracy(text: str, settings: Mapping[str, Any], fidelity: int, seed: int, device: str) -> float:
    """Validation accuracy of a genome after a short training, as the search scores it; 0 where that diverged."""
    from uninas_evo.errors import TrainingError
    from uninas_evo.scoring.subject import GenomeSubject
    from uninas_evo.scoring.training import TrainScorer
    from uninas_evo.spaces.load import load_space
    from uninas_evo.threads import fixed_threads

    space, genome = load_space(text)
    scorer = TrainScorer(**{**settings, "stop": 0.0, "cache_mb": 0})
    try:
        with fixed_threads(1):
            return float(scorer.score(GenomeSubject(genome, space, seed, fidelity), device)["train"])
    except TrainingError:
        return 0.0


def final_training(
    text: str,
    data: str,
    protocol: Mapping[str, Any],
    epochs: int,
    folder: str,
    seed: int,
    until: float,
    baseline: str | None,
    image: Shape,
    device: str,
) -> dict[str, Any]:
    """Trains a network, or goes on with that.

    Args:
        text: of its genome, or the label of a pretrained network.
        data: as `read_splits` takes it.
        protocol: settings; the epochs are replaced.
        epochs: of the schedule.
        folder: of the training.
        seed: of weights and order.
        until: when it ends at the latest, in seconds of `time.time`.
        baseline: what names the pretrained network.
        image: (C, H, W) of the images that this is trained on.
        device: what to train on.

    Returns:
        The fields of `TrainResult`.
    """
    import time
    from dataclasses import asdict

    import torch

    from uninas_evo.solving.speed import subject
    from uninas_evo.training.genomes import train_in_space
    from uninas_evo.training.process import Process
    from uninas_evo.training.protocol import Protocol
    from uninas_evo.training.readers import read_splits

    settings = Protocol.model_validate(protocol)
    splits = read_splits(data, settings.val_fraction)
    space, genome, settings = subject(text, settings, baseline, image, len(splits.classes))
    result = train_in_space(
        space,
        genome,
        splits,
        settings.replace(epochs=epochs, warmup_epochs=min(settings.warmup_epochs, epochs - 1)),
        folder,
        seed=seed,
        process=Process(torch.device(device)),
        time_limit_s=until - time.time(),
    )
    return asdict(result)


def timed(
    texts: Sequence[str], data: str, protocol: Mapping[str, Any], baseline: str | None, image: Shape, device: str
) -> list[float]:
    """What an epoch takes each network (see `speed.epoch_seconds`)."""
    from uninas_evo.solving.speed import epoch_seconds

    return epoch_seconds(texts, data, protocol, device, baseline, image)
