"""Tags for every image, each of which holds or not."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from uninas_evo.training.images import Splits
from uninas_evo.training.scores import mean_average_precision, tag_auc, tag_f1
from uninas_evo.training.tasks.task import Metrics, Scores, Setting
from uninas_evo.training.tasks.whole import WholeImages


class Multilabel(WholeImages):
    """Binary cross-entropy of every tag; a logit above 0 says that it holds.

    With `class_weights = "balanced"`, images that have a tag weigh as much in its loss as those without.

    Args:
        data: the splits, with tags (T, K).
        setting: how it is trained.
    """

    kind, metric, shown = "tags", "map", "mean average precision"

    def __init__(self, data: Splits, setting: Setting) -> None:
        super().__init__(data, setting)
        self.chance = math.log(2)
        self.weights: Tensor | None = None
        if setting.protocol.class_weights == "balanced":
            share = np.clip(data.train.labels.mean(0), 1e-6, 1 - 1e-6)
            self.weights = torch.tensor((1 - share) / share, dtype=torch.float32, device=setting.process.device)

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        """The mean binary cross-entropy over images and tags."""
        pixels, tags = batch
        return functional.binary_cross_entropy_with_logits(model(self.normalize(pixels)), tags, pos_weight=self.weights)

    @torch.inference_mode()
    def validate(self, network: nn.Module) -> Metrics:
        """`val_loss`, the mean binary cross-entropy, and `val_map`."""
        logits, tags = self.validated(network)
        loss = np.logaddexp(0, logits) - tags * logits
        return {"val_loss": float(loss.mean()), "val_map": mean_average_precision(logits, tags) or 0.0}

    @torch.inference_mode()
    def test(self, network: nn.Module) -> Scores:
        """`map`, `f1` and `auc` (means over the tags, None where undefined)."""
        logits, tags = self.tested(network)
        return {"map": mean_average_precision(logits, tags), "f1": tag_f1(logits, tags), "auc": tag_auc(logits, tags)}
