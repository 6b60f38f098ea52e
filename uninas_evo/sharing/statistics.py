"""The statistics of batch norms under shared weights: left alone by policies, measured anew for each genome."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def norms(network: nn.Module) -> list[_BatchNorm]:
    """All batch norms of a network."""
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]


@contextmanager
def still_statistics(network: nn.Module) -> Iterator[None]:
    """Batches are normed by their own statistics, and the running ones do not move."""
    found = norms(network)
    before = [norm.track_running_stats for norm in found]
    for norm in found:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm, tracked in zip(found, before, strict=True):
            norm.track_running_stats = tracked


@torch.no_grad()
def recalibrate(network: nn.Module, batches: Iterable[Tensor], *path: Any) -> None:
    """Sets running statistics to the mean over batches of batch means and unbiased variances (cumulative).

    Args:
        network: left in evaluation mode; only norms that the path runs get statistics.
        batches: images (N, 3, H, W), in a fixed order.
        path: what the network takes behind images: a supernet's genome, or nothing.
    """
    found = norms(network)
    momenta = [norm.momentum for norm in found]
    network.eval()
    for norm in found:
        norm.reset_running_stats()
        norm.train()
    # As batch i, counted from 1, has momentum 1 / i, the average is over all batches alike.
    for count, images in enumerate(batches, 1):
        for norm in found:
            norm.momentum = 1 / count
        network(images, *path)
    for norm, momentum in zip(found, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
