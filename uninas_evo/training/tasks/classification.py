"""A class for every image."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from uninas_evo.training import recipe
from uninas_evo.training.batches import ReadImages, eval_plans
from uninas_evo.training.check import check
from uninas_evo.training.images import Splits
from uninas_evo.training.scores import balanced_weights, macro_auc, macro_f1
from uninas_evo.training.tasks.task import Metrics, Scores, Setting
from uninas_evo.training.tasks.whole import WholeImages, outputs_of


class Classification(WholeImages):
    """Cross-entropy on images of one size; networks are (N, C, H, W) -> (N, K).

    Args:
        data: the splits.
        setting: how it is trained.
    """

    kind, metric, shown = "classes", "accuracy", "accuracy"

    def __init__(self, data: Splits, setting: Setting) -> None:
        super().__init__(data, setting)
        self.chance = math.log(max(len(data.classes), 2))
        self.mixer = recipe.make_mixup(setting.protocol, len(data.classes))
        self.criterion = recipe.make_loss(setting.protocol, self._class_weights())
        self.teacher = setting.teacher
        if self.teacher:
            self.chance = self.teacher.chance(len(data.classes))

    def _class_weights(self) -> Tensor | None:
        """A weight for each class (K,), or None where all images count alike."""
        if self.setting.protocol.class_weights == "equal":
            return None
        weights = balanced_weights(self.data.train.labels, len(self.classes))
        return torch.tensor(weights, dtype=torch.float32, device=self.setting.process.device)

    def check(self, network: nn.Module) -> None:
        """Finds what would spoil the training, before it starts."""
        check(self.data, outputs_of(network, self.setting.shape), self.setting.shape[0])

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        """The protocol's cross-entropy, under its mixup, and its teacher's part."""
        pixels, labels = batch
        images, targets = self.normalize(pixels), labels
        if self.mixer:
            images, targets = self.mixer(images, labels)
        outputs = model(images)
        logits, *further = outputs if isinstance(outputs, tuple) else (outputs,)
        loss: Tensor = self.criterion(logits, targets)
        for auxiliary in further:
            loss = loss + self.setting.protocol.auxiliary * self.criterion(auxiliary, targets)
        return self.teacher.loss(logits, images, loss) if self.teacher else loss

    @torch.inference_mode()
    def validate(self, network: nn.Module) -> Metrics:
        """`val_loss`, the mean cross-entropy, and `val_accuracy`."""
        network.eval()
        process, images = self.setting.process, self.data.val
        sums = torch.zeros(2, dtype=torch.float64, device=process.device)
        plans = eval_plans(len(images), process.rank, process.world)
        for pixels, labels in self.setting.batches(ReadImages(images, self.prepare), plans):
            with process.precision(self.setting.protocol):
                logits = network(self.normalize(pixels)).float()
            sums[0] += (logits.argmax(1) == labels).sum()
            sums[1] += nn.functional.cross_entropy(logits, labels, reduction="sum")
        correct, loss = (process.sum(sums) / len(images)).tolist()
        return {"val_loss": loss, "val_accuracy": correct}

    @torch.inference_mode()
    def test(self, network: nn.Module) -> Scores:
        """`accuracy`, `f1` and `auc` (macro averages, None where undefined)."""
        logits, labels = self.tested(network)
        return {
            "accuracy": float((logits.argmax(1) == labels).mean()),
            "f1": macro_f1(logits, labels),
            "auc": macro_auc(logits, labels),
        }
