"""What genomes of both mobile spaces have in common: a plan, from which cost and layers are read."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property

from uninas_evo.contracts import Cost
from uninas_evo.spaces.genome import TextGenome
from uninas_evo.spaces.mobile.plan import Plan


class MobileGenome(TextGenome):
    """A chain of inverted bottlenecks."""

    @property
    @abstractmethod
    def plan(self) -> Plan:
        """The network as data."""

    @cached_property
    def cost(self) -> Cost:
        """Exact parameters, FLOPs and MACs."""
        return self.plan.cost

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one image in convolutions and linear layers."""
        return int(self.cost["macs"])
