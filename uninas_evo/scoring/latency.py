"""Latency of a network: measured on the device that scores it, so it is the one value that no replay repeats."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import pydantic

from uninas_evo.contracts import Objective, Scorer, Shape, Subject
from uninas_evo.errors import ObjectiveError

if TYPE_CHECKING:
    from torch import nn


class LatencyOptions(pydantic.BaseModel):
    """Settings of `latency_ms`."""

    model_config = pydantic.ConfigDict(extra="forbid")

    batch: int = pydantic.Field(1, ge=1, description="images of a forward pass; 1 is what a camera sees")
    repeats: int = pydantic.Field(
        20, ge=1, description="timed passes; a median of 20 moves by a few percent from one call to the next"
    )


class LatencyScorer(Scorer):
    """Median time of a forward pass on the worker's device, in milliseconds."""

    Options = LatencyOptions
    objectives = (Objective("latency_ms", "minimize", repeats=False, unit="ms"),)

    def __init__(self, batch: int = 1, repeats: int = 20) -> None:
        self.batch, self.repeats = batch, repeats

    def score(self, subject: Subject, device: str) -> Mapping[str, float]:
        """`latency_ms`, other workers on the same device disturb it."""
        return {"latency_ms": latency_ms(subject.network(), subject.image, device, self.batch, self.repeats)}


def latency_ms(network: nn.Module, image: Shape, device: str, batch: int = 1, repeats: int = 20) -> float:
    """Median time of a forward pass in milliseconds, in eval mode, after a quarter as many passes to warm up.

    Args:
        network: takes (N, C, H, W); it is moved to the device.
        image: (C, H, W) in pixels.
        device: where it is timed; other workers on the same device disturb it.
        batch: N.
        repeats: timed passes.

    Raises:
        ObjectiveError: batch or repeats is less than 1.
    """
    import torch

    if batch < 1 or repeats < 1:
        raise ObjectiveError(f"latency_ms needs batch and repeats of at least 1, got batch={batch}, repeats={repeats}")
    network.eval().to(device)
    images = torch.zeros(batch, *image, device=device)
    synchronize = _synchronize(images.device.type)
    times = []
    with torch.no_grad():
        for passed in range(-(repeats // 4 + 1), repeats):
            begin = time.perf_counter()
            network(images)
            synchronize()
            if passed >= 0:
                times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1e3


def _synchronize(kind: str) -> Callable[[], None]:
    """Waits until a kind of device has computed what it was given: without it, only the dispatch is timed."""
    import torch

    backends = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}
    return backends.get(kind, lambda: None)
