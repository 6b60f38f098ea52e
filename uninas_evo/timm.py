"""The networks of all spaces under timm's `create_model`: importing this module makes them known.

Names are `uninas_evo_` and those of presets, and `uninas_evo_genome` stands for any other; timm takes no slash in a
name ::

    import timm
    import uninas_evo.timm

    timm.create_model("uninas_evo_coatnet", num_classes=10)
    timm.create_model("uninas_evo_genome", genome="first/winner.txt", features_only=True)
    timm.create_model("uninas_evo_genome", weights="trained/6d55139d748d/seed-0")
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from uninas_evo.errors import GenomeError, MissingExtraError, TrainingError
from uninas_evo.spaces.load import load_space, presets, resized
from uninas_evo.training.formats import load

try:
    from timm.models import FeatureInfo, register_model
except ImportError:
    raise MissingExtraError("timm", "train") from None

if TYPE_CHECKING:
    from torch import Tensor

ANY = "genome"
"""The name under which a genome is given as an argument."""


class Features(nn.Module):
    """A network that ends with its stages' maps, as timm's `features_only` makes them.

    Args:
        network: has `forward_features`.
        image: side of its images in pixels.
        out_indices: which stages' maps are given; all by default.

    Attributes:
        feature_info: channels and strides of the maps, as timm tells them.
    """

    def __init__(self, network: Any, image: int, out_indices: Sequence[int] | None = None) -> None:
        super().__init__()
        with torch.no_grad():
            maps = copy.deepcopy(network).eval().forward_features(torch.zeros(1, 3, image, image))
        self.network = network
        self.out_indices = tuple(range(len(maps)) if out_indices is None else out_indices)
        stages = [
            {"num_chs": one.shape[1], "reduction": image // one.shape[3], "module": f"stages.{index}"}
            for index, one in enumerate(maps)
        ]
        self.feature_info = FeatureInfo(stages, self.out_indices)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 3, H, W) to a map for each index."""
        maps = self.network.forward_features(x)
        return [maps[index] for index in self.out_indices]


def create(
    name: str,
    *,
    genome: str | Path | None = None,
    weights: str | Path | None = None,
    num_classes: int | None = None,
    img_size: int | None = None,
    drop_path_rate: float = 0.0,
    features_only: bool = False,
    out_indices: Sequence[int] | None = None,
    pretrained: bool = False,
    **ignored: Any,
) -> nn.Module:
    """A network as timm's `create_model` asks for it.

    Args:
        name: a preset's, or "genome".
        genome: file or text of a genome, for the name "genome".
        weights: the folder of a training that has ended; it tells its genome itself.
        num_classes: outputs; another number than that of `weights` puts a fresh head.
        img_size: pixels of a side; the genome's own by default.
        drop_path_rate: stochastic depth of the last block.
        features_only: gives the stages' maps in the place of logits.
        out_indices: which stages' maps; all by default.
        pretrained: refused: no weights come with the package.
        ignored: what timm passes to every model (`pretrained_cfg`, `cache_dir` ...); anything else is refused.

    Raises:
        GenomeError: there is no such genome, it cannot have that size, or its network has no maps or no head to change.
        TrainingError: `pretrained` without weights, or the weights cannot be read.
    """
    unknown = ignored.keys() - {"pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"}
    if unknown:
        raise GenomeError(
            f"networks of uninas-evo take genome, weights, num_classes, img_size, drop_path_rate, features_only and "
            f"out_indices, got {', '.join(sorted(unknown))}; leave that out"
        )
    if weights is not None:
        network = load(weights)
        image = network.genome.skeleton.image_size
        if num_classes not in (None, network.genome.skeleton.classes):
            network.reset_classifier(num_classes)
    else:
        if pretrained:
            raise TrainingError(
                "no pretrained weights come with uninas-evo, and pretrained=True was asked for; train the network "
                "(uninas-evo train) and give its folder as weights="
            )
        if name == ANY and genome is None:
            raise GenomeError(
                "uninas_evo_genome stands for a genome that is given: add genome=FILE_OR_TEXT, or weights=FOLDER"
            )
        space, found = load_space(genome if name == ANY and genome is not None else name)
        if (num_classes, img_size) != (None, None):
            space, found = resized(found, img_size, num_classes)
        network, image = space.build(found), space.image[-1]
    if drop_path_rate:
        network.set_drop_path(drop_path_rate)
    return Features(network, image, out_indices) if features_only else network


def _register(name: str) -> None:
    def entry(**options: Any) -> nn.Module:
        return create(name, **options)

    entry.__name__ = f"uninas_evo_{name}".replace("-", "_")
    register_model(entry)


for _name in (ANY, *presets()):
    _register(_name)
