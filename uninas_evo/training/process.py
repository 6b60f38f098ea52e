"""One process of a training run: alone, or one of several that `torchrun` started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from uninas_evo.errors import TrainingError
from uninas_evo.training.protocol import Protocol


@dataclass(frozen=True)
class Process:
    """The place of this process among `world` ones that train the same network."""

    device: torch.device
    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def precision(self, protocol: Protocol) -> torch.autocast:
        """The protocol's mixed precision, on a GPU only."""
        dtype = {"": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[protocol.amp]
        on = dtype is not None and self.device.type == "cuda"
        return torch.autocast(self.device.type, dtype, enabled=on)

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network with gradients averaged over the processes."""
        if self.world == 1:
            return network
        return DistributedDataParallel(network, [self.device] if self.device.type == "cuda" else None)

    def sum(self, values: Tensor) -> Tensor:
        """Sums a tensor over the processes, in place."""
        if self.world > 1:
            distributed.all_reduce(values)
        return values

    def gather(self, items: list[Any]) -> list[Any]:
        """The items of all processes, in the order of these."""
        if self.world == 1:
            return items
        parts: list[Any] = [None] * self.world
        distributed.all_gather_object(parts, items)
        return [item for part in parts for item in part]

    def share_buffers(self, network: nn.Module) -> None:
        """Gives every process the first one's buffers (statistics of batch norms), so that all evaluate alike."""
        if self.world > 1:
            for buffer in network.buffers():
                distributed.broadcast(buffer, 0)

    def wait(self) -> None:
        """Waits for the others."""
        if self.world > 1:
            distributed.barrier()


def device_of(name: str) -> torch.device:
    """The device of a name; "auto" is a GPU where there is one.

    Raises:
        TrainingError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:  # what torch raises for devices that are not there
        reason = str(error).splitlines()[0]
        raise TrainingError(f"there is no device {name!r} ({reason}); use cpu, cuda, cuda:1 or auto") from None
    return device


@contextmanager
def process_group(device: str = "auto") -> Iterator[Process]:
    """Joins the processes that `torchrun` started (nccl on GPUs, gloo on CPUs); without it, a process alone.

    Raises:
        TrainingError: there is no such device.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Process(device_of(device))
        return
    rank = int(os.environ["RANK"])
    place = device_of(device)
    if place.type == "cuda":
        place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(place)
    distributed.init_process_group("nccl" if place.type == "cuda" else "gloo")
    try:
        yield Process(place, rank, world)
    finally:
        distributed.destroy_process_group()
