"""Training-free proxies as a scorer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uninas_evo.contracts import Canonical, Objective, Scorer, Shape, Subject
from uninas_evo.scoring.subject import GenomeSubject

if TYPE_CHECKING:
    from uninas_evo.proxies import Pictures

PICTURES = 1024
"""Images of the data that batches are drawn from: many batches of the largest that proxies use, and little memory."""


@dataclass(frozen=True)
class ProxyScorer(Scorer):
    """Scores by proxies of one function, which share one call of it.

    Attributes:
        objectives: the proxies, by their names.
        batch: N, images that they score with.
        settings: keyword arguments of the function, by the proxy's name.
        images: data whose images and labels they score with; None for normal pixels and uniform labels.
        calibrated_norms: batch norms keep the statistics of a first batch.
        canonical: scores the genome that stands for all that no proxy tells apart, where the space knows it.
    """

    objectives: tuple[Objective, ...]
    batch: int = 64
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    images: str | None = None
    calibrated_norms: bool = False
    canonical: bool = True

    @property
    def sources(self) -> tuple[Path, ...]:  # type: ignore[override]
        """The data, where scores depend on one."""
        return (Path(self.images),) if self.images else ()

    def prepare(self, space: Any, device: str) -> None:
        """Imports torch."""
        import uninas_evo.proxies  # noqa: F401

    def score(self, subject: Subject, device: str) -> Mapping[str, float]:
        """The value of each proxy, and `NAME_se`, its standard error, where it has one.

        Raises:
            DataError: there is no such data, or it cannot be read.
        """
        from uninas_evo.proxies import Inputs, score

        if self.canonical and isinstance(subject.space, Canonical):
            subject = GenomeSubject(subject.space.canonical(subject.genome), subject.space, subject.seed)
        found = pictures(self.images, subject.image) if self.images else None
        inputs = Inputs(
            batch=self.batch,
            image=subject.image,
            seed=subject.seed,
            device=device,
            calibrated_norms=self.calibrated_norms,
            pictures=found,
        )
        return score(subject.network(), [one.name for one in self.objectives], inputs, self.settings)


@lru_cache(maxsize=4)
def pictures(data: str, image: Shape) -> Pictures:
    """Training images of data at a size (C, H, W), resized and normalized as for evaluation; equal in every process.

    Raises:
        DataError: there is no such data, or it cannot be read.
    """
    import numpy as np
    import torch

    from uninas_evo.proxies import Pictures
    from uninas_evo.training.batches import Normalize, Plan, ReadImages
    from uninas_evo.training.protocol import protocol_for
    from uninas_evo.training.readers import read_splits
    from uninas_evo.training.transforms import eval_transform

    protocol = protocol_for("classification", None)
    train = read_splits(data, protocol.val_fraction).train
    chosen = np.random.default_rng(0).permutation(len(train))[:PICTURES]
    pixels, labels = ReadImages(train, eval_transform(protocol, image))(Plan((), tuple(chosen.tolist())))
    normalize = Normalize(protocol.mean, protocol.std, torch.device("cpu"), channels_last=False, channels=image[0])
    return Pictures(normalize(pixels), labels)
