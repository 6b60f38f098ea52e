"""A genome as scorers see it, and what keeps one scorer from another."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from uninas_evo.contracts import Ancestor, Scorer, Shape, Space
from uninas_evo.pool.isolation import isolated

if TYPE_CHECKING:
    from torch import nn


@dataclass
class GenomeSubject:
    """A genome of a space under a seed (see `uninas_evo.contracts.Subject`).

    Attributes:
        genome: what is scored.
        space: what builds it.
        seed: of its network's weights.
        fidelity: index into the problem's fidelities; None for the full one.
        lineage: candidates whose trained weights it descends from, oldest first.
    """

    genome: Any
    space: Space[Any]
    seed: int = 0
    fidelity: int | None = None
    lineage: Sequence[Ancestor] = ()
    _known: dict[int, Mapping[str, float]] = field(default_factory=dict, repr=False)

    @property
    def image(self) -> Shape:
        """(C, H, W) of the images that the network takes."""
        return self.space.image_of(self.genome)

    def network(self) -> nn.Module:
        """A network of the scorer's own, freshly initialized by the seed, on the CPU and in training mode."""
        import torch

        from uninas_evo.proxies import Scorable

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)  # of layers that know no initialization but torch's own
            network = self.space.build(self.genome)
        if isinstance(network, Scorable):
            network.reinitialize(self.seed)
        return network.train()

    def scored(self, scorer: Scorer, device: str) -> Mapping[str, float]:
        """The values of a scorer that sees the genome as if it were alone; computed once."""
        if id(scorer) not in self._known:
            if scorer.is_pure:
                self._known[id(scorer)] = scorer.score(self, device)
            else:
                with isolated():
                    self._known[id(scorer)] = scorer.score(self, device)
        return self._known[id(scorer)]


@contextmanager
def repeatable() -> Iterator[None]:
    """Has torch choose operations that repeat exactly, inside; nothing of it is left behind."""
    import torch

    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*deterministic.*", category=UserWarning)
        torch.use_deterministic_algorithms(True, warn_only=True)
        cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = False, False, False
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
            cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = before
