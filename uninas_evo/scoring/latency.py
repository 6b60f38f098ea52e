"""Latency of a network: measured on the device that scores it, so it is the one value that no replay repeats."""

from __future__ import annotations

import statistics
import time

import torch
from torch import nn

from uninas_evo.errors import ObjectiveError


@torch.no_grad()
def latency_ms(network: nn.Module, image_size: int, device: str, batch: int = 1, repeats: int = 20) -> float:
    """Median time of a forward pass in milliseconds, in eval mode, after a quarter as many passes to warm up.

    Args:
        network: takes (N, 3, H, W); it is moved to the device.
        image_size: H = W in pixels.
        device: where it is timed; other workers on the same device disturb it.
        batch: N; 1 is what a camera sees.
        repeats: timed passes; a median of 20 moves by a few percent from one call to the next.
    """
    if batch < 1 or repeats < 1:
        raise ObjectiveError(f"latency_ms needs batch and repeats of at least 1, got batch={batch}, repeats={repeats}")
    network.eval().to(device)
    images = torch.zeros(batch, 3, image_size, image_size, device=device)
    times = []
    for passed in range(-(repeats // 4 + 1), repeats):
        begin = time.perf_counter()
        network(images)
        if images.is_cuda:
            torch.cuda.synchronize()
        if passed >= 0:
            times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1e3
