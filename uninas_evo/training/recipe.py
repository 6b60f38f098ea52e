"""The recipe's parts, all timm's, made from a protocol: optimizer, schedule, mixup, loss, average."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from uninas_evo.errors import TrainingError
from uninas_evo.training.extras import need
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.randomness import seeded

Mixer = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

NO_DECAY = ("*.table",)
"""What weight decay leaves alone beside biases and norms: the bias tables of attention, as timm's Swin does."""


def make_optimizer(network: nn.Module, protocol: Protocol) -> Optimizer:
    """The optimizer of timm; no weight decay on norms, biases and bias tables."""
    optim = need("timm.optim")
    groups = partial(optim.param_groups_weight_decay, weight_decay=protocol.weight_decay, no_weight_decay_list=NO_DECAY)
    betas = {"betas": protocol.betas} if protocol.optimizer == "adamw" else {}
    optimizer: Optimizer = optim.create_optimizer_v2(
        network, opt=protocol.optimizer, lr=protocol.lr, param_group_fn=groups, **betas
    )
    return optimizer


def make_schedule(optimizer: Optimizer, protocol: Protocol, steps_per_epoch: int) -> Any:
    """The schedule of timm with linear warm-up, step by step; call `step_update(steps_done)`.

    An exponential one is timm's steps that are one update long, a linear one its polynomial of power 1.
    """
    smooth, linear = protocol.schedule == "exponential", protocol.schedule == "linear"
    epochs = 1 / steps_per_epoch if smooth else protocol.decay_epochs
    schedule, _ = need("timm.scheduler").create_scheduler_v2(
        optimizer,
        sched={"exponential": "step", "linear": "poly"}.get(protocol.schedule, protocol.schedule),
        num_epochs=protocol.epochs - protocol.cooldown_epochs,
        warmup_epochs=protocol.warmup_steps / steps_per_epoch if protocol.warmup_steps else protocol.warmup_epochs,
        warmup_lr=protocol.warmup_lr,
        min_lr=protocol.min_lr,
        decay_epochs=epochs,
        decay_milestones=protocol.decay_at,
        decay_rate=1.0 if linear else protocol.decay_rate ** (epochs / protocol.decay_epochs),
        step_on_epochs=False,
        updates_per_epoch=steps_per_epoch,
    )
    return schedule


def make_mixup(protocol: Protocol, classes: int) -> Mixer | None:
    """Mixup and cutmix of timm, half of the batches each where both are on; labels (N,) -> targets (N, K)."""
    if not (protocol.mixup or protocol.cutmix):
        return None
    mixer: Mixer = need("timm.data").Mixup(
        mixup_alpha=protocol.mixup,
        cutmix_alpha=protocol.cutmix,
        label_smoothing=protocol.label_smoothing,
        num_classes=classes,
    )
    return mixer


def make_loss(protocol: Protocol, class_weights: Tensor | None = None) -> nn.Module:
    """Cross-entropy for labels (N,) or, under mixup, targets (N, K) that are smoothed already; weights (K,) or none."""
    mixed = protocol.mixup or protocol.cutmix
    return nn.CrossEntropyLoss(class_weights, label_smoothing=0.0 if mixed else protocol.label_smoothing)


def make_average(network: nn.Module, protocol: Protocol) -> Any | None:
    """The exponential moving average of timm, of weights and buffers; None where the protocol has none."""
    if not protocol.ema_decay:
        return None
    average = need("timm.utils").ModelEmaV3
    return average(network, decay=protocol.ema_decay, use_warmup=protocol.ema_warmup)


def set_drop_path(network: nn.Module, rate: float) -> None:
    """Sets stochastic depth where the network has it (`Network.set_drop_path`)."""
    setter = getattr(network, "set_drop_path", None)
    if callable(setter):
        setter(rate)


def set_auxiliary(network: nn.Module, weight: float, seed: int) -> None:
    """Gives the network an auxiliary classifier with the seed's weights, where its loss has a weight.

    Raises:
        TrainingError: the network has no place for one.
    """
    if not weight:
        return
    add = getattr(network, "add_auxiliary", None)
    if not callable(add):
        raise TrainingError(
            f"auxiliary = {weight:g} needs a network of the space darts, which has a place for a second classifier, "
            f"and this is a {type(network).__name__}; set auxiliary = 0"
        )
    with seeded(seed, 21):
        add()


def set_dropout(network: nn.Module, rate: float) -> None:
    """Has the network's last linear layer read its input through dropout while training.

    Raises:
        TrainingError: it has no linear layer.
    """
    if not rate:
        return
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise TrainingError("dropout acts before the last linear layer, and the network has none; set dropout = 0")

    def drop(module: nn.Module, given: tuple[Tensor]) -> tuple[Tensor]:
        return (functional.dropout(given[0], rate, module.training),)

    layers[-1].register_forward_pre_hook(drop)
