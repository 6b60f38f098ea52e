"""Distillation: a student learns from the data's labels and from what a trained network says of the same images.

The loss is (1 - w) L + w D, with L the protocol's cross-entropy. D, for logits s of the student and t of the teacher,
is either T² KL(softmax(t / T) || softmax(s / T)) of soft labels (Hinton, Vinyals & Dean, "Distilling the Knowledge in a
Neural Network", arXiv 1503.02531, section 2) or the cross-entropy of argmax t, hard labels (Touvron et al., DeiT,
arXiv 2012.12877, equation 3). Defaults are DeiT's for soft labels in T (3) and for hard ones in w (1/2).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from uninas_evo.training.protocol import Protocol


class Teacher:
    """What a protocol's teacher says of images; it never changes and draws no random number.

    Args:
        network: trained, images of `size` to logits (N, K).
        size: (C, H, W) of its images.
        mean: what is taken off their pixels from 0 to 1, for each channel or for all.
        std: what they are divided by then.
        protocol: of the student: how its images are scaled, and what it takes of the teacher.
        channels: of the student's images.
        device: of both.

    Attributes:
        digest: SHA-256 of its weights: a training is resumed under the same teacher alone.
    """

    def __init__(
        self,
        network: nn.Module,
        size: Sequence[int],
        mean: Sequence[float],
        std: Sequence[float],
        protocol: Protocol,
        channels: int,
        device: torch.device,
    ) -> None:
        self.protocol, self.size = protocol, torch.Size(size)
        self.network = network.to(device).eval().requires_grad_(False)
        self.digest = digest(network)
        self.mean, self.std = (_channels(values, channels, device) for values in (protocol.mean, protocol.std))
        self.own_mean, self.own_std = (_channels(values, self.size[0], device) for values in (mean, std))

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """What the teacher says (N, K) of the student's images (N, C, H, W), mixed ones too: scaling is affine."""
        pixels = images * self.std + self.mean
        if pixels.shape[1] != self.size[0]:
            pixels = pixels.mean(1, keepdim=True).expand(-1, self.size[0], -1, -1)
        if pixels.shape[2:] != self.size[1:]:
            pixels = functional.interpolate(pixels, self.size[1:], mode="bilinear", antialias=True)
        logits: Tensor = self.network((pixels - self.own_mean) / self.own_std)
        return logits

    def loss(self, student: Tensor, images: Tensor, labeled: Tensor) -> Tensor:
        """The whole loss () of a batch.

        Args:
            student: its logits (N, K).
            images: what it saw (N, C, H, W).
            labeled: the loss () against the data's labels.
        """
        weight, teacher = self.protocol.teacher_weight, self.logits(images)
        if self.protocol.teacher_labels == "hard":
            return (1 - weight) * labeled + weight * functional.cross_entropy(student, teacher.argmax(1))
        hot = self.protocol.teacher_temperature
        soft, target = ((logits.float() / hot).log_softmax(1) for logits in (student, teacher))
        divergence = functional.kl_div(soft, target, reduction="batchmean", log_target=True)
        return (1 - weight) * labeled + weight * hot**2 * divergence

    def chance(self, classes: int) -> float:
        """The most that guessing loses, in nats: a divergence from equal probabilities is at most ln K."""
        weight, soft = self.protocol.teacher_weight, self.protocol.teacher_labels == "soft"
        factor = self.protocol.teacher_temperature**2 if soft else 1.0
        return (1 - weight + weight * factor) * math.log(max(classes, 2))


def digest(network: nn.Module) -> str:
    """SHA-256 of a network's weights and buffers."""
    found = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        found.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def _channels(values: Sequence[float], channels: int, device: torch.device) -> Tensor:
    """A value a channel (1, C, 1, 1); the mean of the values where their number is another."""
    own = values if len(values) in (1, channels) else (sum(values) / len(values),)
    return torch.tensor(own, device=device).view(1, -1, 1, 1)
