"""What genomes of both mobile spaces have in common: a plan, from which cost and layers are read."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from functools import cached_property

from uninas_evo.contracts import Cost
from uninas_evo.spaces.mobile.plan import Plan


class MobileGenome(ABC):
    """A chain of inverted bottlenecks, immutable and hashable."""

    @property
    @abstractmethod
    def text(self) -> str:
        """The canonical text."""

    @property
    @abstractmethod
    def plan(self) -> Plan:
        """The network as data."""

    @cached_property
    def cost(self) -> Cost:
        """Exact parameters, FLOPs and MACs."""
        return self.plan.cost

    @property
    def params(self) -> int:
        """Parameters."""
        return self.cost.params

    @property
    def flops(self) -> int:
        """FLOPs of one image."""
        return self.cost.flops

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one image in convolutions and linear layers."""
        return int(self.cost["macs"])

    @property
    def id(self) -> str:
        """The first 12 hexadecimal digits of the text's SHA-256: the same in every process."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]
