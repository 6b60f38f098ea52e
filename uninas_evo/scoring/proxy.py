"""Training-free proxies as a scorer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from uninas_evo.contracts import Objective, Scorer, Subject


@dataclass(frozen=True)
class ProxyScorer(Scorer):
    """Scores by proxies of one function, which share one call of it.

    Attributes:
        objectives: the proxies, by their names.
        batch: N, images that they score with.
        settings: keyword arguments of the function, by the proxy's name.
    """

    objectives: tuple[Objective, ...]
    batch: int = 64
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def prepare(self, space: Any, device: str) -> None:
        """Imports torch."""
        import uninas_evo.proxies  # noqa: F401

    def score(self, subject: Subject, device: str) -> Mapping[str, float]:
        """The value of each proxy, and `NAME_se`, its standard error, where it has one."""
        from uninas_evo.proxies import Inputs, score

        inputs = Inputs(batch=self.batch, image=subject.image, seed=subject.seed, device=device)
        return score(subject.network(), [one.name for one in self.objectives], inputs, self.settings)
