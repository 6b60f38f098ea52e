"""Costs that are counted on the built network: for spaces that have no formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uninas_evo.contracts import Cost, Shape
from uninas_evo.errors import SpaceError
from uninas_evo.pool.isolation import isolated

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class CountedCost:
    """The cost of a genome by a formula, and what the formula leaves out counted on the network.

    Parameters are the elements of the network's parameters; FLOPs are those of the proxy `flops`, which leaves norms,
    activations and poolings out. The network is built without memory for its numbers where that works (torch's device
    meta), else on the CPU, and thrown away: milliseconds a genome.

    Attributes:
        build: gives the network of a genome.
        image: (C, H, W) of its images.
        formula: gives costs of a genome by name, params and flops among them or not; None for none.
    """

    build: Callable[[Any], nn.Module]
    image: Shape
    formula: Callable[[Any], Mapping[str, float]] | None = None

    def __call__(self, genome: Any) -> Cost:
        """The cost of a genome.

        Raises:
            SpaceError: its network cannot be built or counted.
        """
        amounts = dict(self.formula(genome)) if self.formula else {}
        if not {"params", "flops"} <= amounts.keys():
            amounts = self._counted(genome, "flops" not in amounts) | amounts
        further = {name: float(amount) for name, amount in amounts.items() if name not in ("params", "flops")}
        return Cost(int(amounts["params"]), int(amounts["flops"]), tuple(sorted(further.items())))

    def _counted(self, genome: Any, with_flops: bool) -> dict[str, float]:
        try:
            with isolated():
                return self._count(genome, with_flops, "meta")
        except Exception:  # functions that look at numbers, or make tensors elsewhere, need a real device
            pass
        try:
            with isolated():
                return self._count(genome, with_flops, "cpu")
        except Exception as error:  # whatever the user's function raises
            raise SpaceError(
                f"the network of {genome} cannot be built and counted: {type(error).__name__}: {error}; fix `build`, "
                "have `valid` refuse it, or give its params and flops by `cost`"
            ) from error

    def _count(self, genome: Any, with_flops: bool, device: str) -> dict[str, float]:
        import torch

        from uninas_evo.proxies import Inputs
        from uninas_evo.proxies.size import flops, params

        with torch.device(device):
            network = self.build(genome)
        counted = {"params": params(network)}
        if with_flops:
            counted["flops"] = flops(network, Inputs(1, self.image, device=device, reinitialize=False))
        return counted
