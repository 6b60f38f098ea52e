"""Networks of timm by their names, `timm:NAME`, with weights of timm's hub, or of a file: `timm:NAME@FILE`."""

from __future__ import annotations

import os
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from uninas_evo.errors import TrainingError
from uninas_evo.training.extras import need
from uninas_evo.training.formats import Preparation

PREFIX = "timm:"
ANSWER_S = 5.0
"""How long the hub may take to answer at all; its client alone would try for three quarters of a minute."""


@dataclass(frozen=True)
class Outside:
    """A network of timm.

    Attributes:
        name: timm's, such as `resnet18` or `resnet18.a1_in1k`.
        file: of weights, a `.safetensors` file or a checkpoint of tensors alone; "" for those of the hub.
    """

    name: str
    file: str = ""

    @classmethod
    def parse(cls, text: str) -> Outside:
        """Reads `timm:NAME` or `timm:NAME@FILE`.

        Raises:
            TrainingError: timm knows no such network, or there is no such file.
            MissingExtraError: timm is not installed.
        """
        name, _, file = text.removeprefix(PREFIX).partition("@")
        timm = need("timm")
        if not text.startswith(PREFIX) or not timm.is_model(name):
            near = timm.list_models(f"*{name.partition('.')[0][:6]}*")[:5]
            raise TrainingError(
                f"timm has no network {name!r:.80}: write {PREFIX}NAME with one of timm.list_models()"
                + (f", such as {', '.join(near)}" if near else "")
            )
        if file and not Path(file).is_file():
            raise TrainingError(f"there is no file of weights {file!r:.200} for {name}; give the path of one")
        return cls(name, file)

    def create(self, **options: Any) -> nn.Module:
        """The network with random weights; options are those of timm's `create_model`.

        Raises:
            TrainingError: timm cannot build it so.
        """
        try:
            network: nn.Module = need("timm").create_model(self.name, **options)
        except (RuntimeError, TypeError, ValueError, AssertionError) as error:
            raise TrainingError(
                f"timm cannot build {self.name} with {options}: {str(error)[:200]}; use another"
            ) from error
        return network

    def reachable(self) -> bool:
        """Whether the hub answers; a file needs none."""
        if self.file:
            return True
        endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
        try:
            with urllib.request.urlopen(endpoint, timeout=ANSWER_S):
                return True
        except (OSError, ValueError):
            return False


def is_outside(source: str) -> bool:
    """Whether a text names a network of timm."""
    return source.startswith(PREFIX)


def trained_network(source: str, classes: int) -> tuple[nn.Module, Preparation]:
    """A network of timm with trained weights, in evaluation mode, and what images it takes.

    Args:
        source: `timm:NAME` or `timm:NAME@FILE`.
        classes: outputs of the network in the file; those of the hub have their own.

    Raises:
        TrainingError: there is no such network, its weights cannot be had, or they are of another network.
        MissingExtraError: timm is not installed.
    """
    found = Outside.parse(source)
    if not found.reachable():
        raise TrainingError(
            f"the weights of {source} cannot be had: timm's hub does not answer; download them where it does and give "
            f"{PREFIX}{found.name}@FILE"
        )
    network = found.create(num_classes=classes) if found.file else found.create(pretrained=True)
    if found.file:
        try:
            need("timm.models").load_checkpoint(network, found.file)
        except Exception as error:  # the readers raise whatever the damage leads to
            raise TrainingError(
                f"{found.file} holds no weights of {found.name} for {classes} classes: {str(error)[:200]}; give others"
            ) from error
    cfg: Any = network.pretrained_cfg
    return network.eval(), Preparation(
        tuple(cfg["input_size"]), tuple(cfg["mean"]), tuple(cfg["std"]), cfg["crop_mode"], cfg["crop_pct"], ()
    )
