"""A genome as scorers see it, and what keeps one scorer from another."""

from __future__ import annotations

import os
import random
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from uninas_evo.contracts import Scorer, Shape, Space

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
        lineage: genomes whose trained weights it descends from, oldest first.
    """

    genome: Any
    space: Space[Any]
    seed: int = 0
    fidelity: int | None = None
    lineage: Sequence[Any] = ()
    _known: dict[int, Mapping[str, float]] = field(default_factory=dict, repr=False)

    @property
    def image(self) -> Shape:
        """(C, H, W) of the images that the network takes."""
        return self.space.image

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
def isolated() -> Iterator[None]:
    """Puts back what a scorer may have changed of the process.

    These are the global random generators, torch's gradient mode, default dtype, default device and threads, the
    working folder, and the module search path.
    """
    folder, path = os.getcwd(), list(sys.path)
    python = random.getstate()
    with ExitStack() as stack:
        stack.callback(os.chdir, folder)
        stack.callback(sys.path.__setitem__, slice(None), path)
        stack.callback(random.setstate, python)
        if "numpy" in sys.modules:
            import numpy as np

            stack.callback(np.random.set_state, np.random.get_state())
        if "torch" in sys.modules:
            import torch

            stack.callback(torch.set_rng_state, torch.get_rng_state())
            if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
                stack.callback(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all())
            stack.callback(torch.set_grad_enabled, torch.is_grad_enabled())
            stack.callback(torch.set_default_dtype, torch.get_default_dtype())
            stack.callback(torch.set_default_device, _default_device())
            stack.callback(torch.set_num_threads, torch.get_num_threads())
        yield


def _default_device() -> Any:
    """What `torch.set_default_device` was given; None where nothing was: a device costs every call a detour."""
    import torch

    device = torch.get_default_device()
    return None if device == torch.device("cpu") else device


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
