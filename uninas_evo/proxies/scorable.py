"""What proxies know of a network: everything beyond `torch.nn.Module` that one may offer them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import nn


@runtime_checkable
class Scorable(Protocol):
    """A `torch.nn.Module` that knows its own initialization and its blocks; of other modules proxies see layers alone.

    A module may also have `forward_features(images)`, as timm's models do, from which `zen` takes the last map. A layer
    that torch lacks may have `tap(inputs, name, index)` (see `uninas_evo.proxies.taps`), `unfuse()` where a fused
    kernel hides its layers from hooks, and `normalizes = True`, by which `synflow` bypasses it as a norm.
    """

    def reinitialize(self, seed: int) -> None:
        """Draws all weights anew, in place, from the seed alone."""

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The blocks in order, whose scores `vkdnw` averages; empty where the network is scored as a whole."""
