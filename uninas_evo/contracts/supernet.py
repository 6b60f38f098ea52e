"""A supernet: one network that holds the weights of every genome of a space."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor, nn

G_contra = TypeVar("G_contra", contravariant=True)
Mixture = Mapping[str, "Tensor"]
"""Weights (options,) of each decision, by its name."""


@runtime_checkable
class Supernet(Protocol[G_contra]):
    """A `torch.nn.Module` that runs any path of its space."""

    @abstractmethod
    def forward(self, images: Tensor, path: G_contra | Mixture) -> Tensor:
        """(N, K) logits of images (N, C, H, W) along a genome's path, or of a mixture of all options."""

    @abstractmethod
    def extract(self, genome: G_contra) -> nn.Module:
        """The genome's own network with the shared weights: equal outputs, bit for bit."""
