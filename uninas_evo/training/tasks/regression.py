"""Numbers for every image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from uninas_evo.errors import TrainingError
from uninas_evo.training.images import Splits
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.tasks.task import Metrics, Scores, Setting
from uninas_evo.training.tasks.whole import WholeImages

Numbers = npt.NDArray[np.float64]


class Regression(WholeImages):
    """Squared errors of numbers, each divided by its deviation in the training part, so that all weigh alike.

    While it is trained, a network gives numbers on that scale; the weights that are written give them in their unit.

    Args:
        data: the splits, with numbers (T, K).
        setting: how it is trained.
    """

    kind, metric, shown = "numbers", "r2", "R²"

    def __init__(self, data: Splits, setting: Setting) -> None:
        super().__init__(data, setting)
        self.chance = 1.0
        self.mean, self.std = (scale.to(setting.process.device) for scale in _scale(data))

    @classmethod
    def network(cls, backbone: nn.Module, data: Splits, protocol: Protocol, seed: int) -> nn.Module:
        """The network itself; where it starts from trained weights, its last layer is drawn anew.

        Theirs gives classes, or numbers on the scale of other data.
        """
        if protocol.start_from:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                _last(backbone).reset_parameters()
        return backbone

    def check(self, network: nn.Module) -> None:
        """Finds what would spoil the training, before it starts; the network must end in a linear layer."""
        super().check(network)
        _last(network)

    @classmethod
    def finished(cls, network: nn.Module, data: Splits) -> None:
        """Puts the outputs of a trained network on the numbers' own scale, in its last layer."""
        last = _last(network)
        mean, std = (scale.to(last.weight) for scale in _scale(data))
        with torch.no_grad():
            last.weight *= std[:, None]
            last.bias.copy_(last.bias * std + mean)

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        """The mean squared error over images and numbers, in their variances."""
        pixels, numbers = batch
        loss: Tensor = (model(self.normalize(pixels)) - (numbers - self.mean) / self.std).square().mean()
        return loss

    def _measured(self, given: tuple[Numbers, Numbers]) -> tuple[Numbers, Numbers]:
        """Outputs on the numbers' own scale (T, K), and the numbers."""
        outputs, numbers = given
        return outputs * self.std.cpu().numpy() + self.mean.cpu().numpy(), numbers.astype(np.float64)

    @torch.inference_mode()
    def validate(self, network: nn.Module) -> Metrics:
        """`val_loss`, and `val_r2`, the share of the variance that is explained, the mean over the numbers."""
        found, numbers = self._measured(self.validated(network))
        loss = np.square((found - numbers) / self.std.cpu().numpy()).mean()
        return {"val_loss": float(loss), "val_r2": _explained(found, numbers)}

    @torch.inference_mode()
    def test(self, network: nn.Module) -> Scores:
        """`r2`, and the mean absolute error of each number as `mae_NAME`, in its own unit."""
        found, numbers = self._measured(self.tested(network))
        errors = np.abs(found - numbers).mean(0)
        named = {f"mae_{name}": float(error) for name, error in zip(self.classes, errors, strict=True)}
        return {"r2": _explained(found, numbers), **named}


def _last(network: nn.Module) -> nn.Linear:
    """The layer whose outputs are the network's.

    Raises:
        TrainingError: it is not linear.
    """
    layer = [module for module in network.modules() if not list(module.children())][-1]
    if not isinstance(layer, nn.Linear) or layer.bias is None:
        raise TrainingError(
            f"regression needs a network whose last layer is linear with a bias, got {type(layer).__name__}; "
            "give it one"
        )
    return layer


def _scale(data: Splits) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the training numbers (K,)."""
    numbers = torch.from_numpy(data.train.labels).double()
    return numbers.mean(0).float(), numbers.std(0, correction=0).float()


def _explained(found: Numbers, numbers: Numbers) -> float:
    """R², the mean over the numbers (T, K); of a part whose numbers are all alike it is what is left of their scale."""
    variance = np.maximum(numbers.var(0), 1e-12)
    return float((1 - np.square(found - numbers).mean(0) / variance).mean())
