"""The honest baseline: a pretrained network of timm, fine-tuned beside the winners of a search."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from uninas_evo.contracts import Budget, Choose, Cost, Shape, Space
from uninas_evo.errors import GenomeError, TrainingError
from uninas_evo.scoring.counted import CountedCost
from uninas_evo.training.outside import Outside
from uninas_evo.training.protocol import Protocol

FINE_TUNED_LR = 0.1
"""Share of the protocol's rate at which pretrained weights are trained: the whole rate would soon overwrite them."""


class PretrainedSpace(Space[str]):
    """A space of one network of timm, for given images and classes.

    Args:
        source: `timm:NAME` or `timm:NAME@FILE`.
        image: (C, H, W) of the images that it is trained on.
        classes: of the data.
        say: is told where the weights cannot be had.

    Attributes:
        pretrained: whether it begins with trained weights.
        label: what it is called, with that.

    Raises:
        TrainingError: timm knows no such network, cannot build it so, or the file is missing or of another network.
        MissingExtraError: timm is not installed.
    """

    def __init__(self, source: str, image: Shape, classes: int, say: Callable[[str], None] = lambda line: None) -> None:
        self.outside = Outside.parse(source)
        self.image, self.classes, self.budget = image, classes, Budget()
        self.pretrained = self.outside.reachable()
        if not self.pretrained:
            say(
                f"the pretrained weights of {source} cannot be had, timm's hub does not answer: it is trained from "
                "scratch and named so; give timm:NAME@FILE to fine-tune the weights of a file"
            )
        self.label = f"timm:{self.outside.name} {'fine-tuned' if self.pretrained else 'from scratch'}"
        self.start = f"{self.label}, {'x'.join(map(str, image))}, {classes} classes, {self.outside.file or 'hub'}"
        self._cost = CountedCost(self._random, image)

    def protocol(self, settings: Protocol) -> Protocol:
        """A protocol for this network: pretrained weights are fine-tuned, from their own scale of pixels."""
        if not self.pretrained:
            return settings
        cfg: Any = self._random("").pretrained_cfg
        scale = {"mean": tuple(cfg["mean"]), "std": tuple(cfg["std"])} if self.image[0] == len(cfg["mean"]) else {}
        return settings.replace(lr=FINE_TUNED_LR * settings.lr, **scale)

    def compose(self, choose: Choose) -> str:
        """The network."""
        return self.decode(self.start or "")

    def mutate(self, genome: str, rng: random.Random) -> str | None:
        """Nothing can be changed."""
        return None

    def crossover(self, a: str, b: str, rng: random.Random) -> str | None:
        """Nothing can be crossed."""
        return None

    def cost(self, genome: str) -> Cost:
        """Counted on the built network."""
        return self._cost(genome)

    def build(self, genome: str) -> nn.Module:
        """The network with a head for the classes, and with its pretrained weights where they can be had."""
        if not self.pretrained:
            return self._random(genome)
        overlay = {"pretrained_cfg_overlay": {"file": self.outside.file}} if self.outside.file else {}
        state = torch.get_rng_state()
        drawn = self._random(genome)
        torch.set_rng_state(state)  # so that weights which are equal afterwards were not loaded
        try:
            network = self._made(pretrained=True, **overlay)
            self._check_loaded(drawn, network)
            return network
        except TrainingError:
            raise
        except Exception as error:  # timm's readers raise whatever the damage leads to
            raise TrainingError(
                f"the weights of {self.label} cannot be loaded: {str(error)[:200]}; give timm:NAME@FILE with others"
            ) from error

    def _check_loaded(self, drawn: nn.Module, network: nn.Module) -> None:
        """Finds weights of another network, which timm passes over with a warning.

        Raises:
            TrainingError: most of the network's weights stayed as they were drawn.
        """
        pairs = [pair for pair in zip(drawn.parameters(), network.parameters(), strict=True) if pair[0].ndim > 1]
        loaded = sum(not torch.equal(*pair) for pair in pairs)
        if loaded < len(pairs) / 2:
            raise TrainingError(
                f"the weights of {self.label} are of another network: at least half of the tensors must fit, and "
                f"{loaded} of {len(pairs)} do; give timm:NAME@FILE with weights of {self.outside.name}"
            )

    def encode(self, genome: str) -> str:
        """The text itself."""
        return genome

    def decode(self, text: str) -> str:
        """The text itself.

        Raises:
            GenomeError: it is another network's.
        """
        if text != self.start:
            raise GenomeError(f"this space holds {self.start} alone, got {text!r:.80}; give its text")
        return text

    def _random(self, genome: Any) -> nn.Module:
        return self._made()

    def _made(self, **options: Any) -> nn.Module:
        sides: Mapping[str, Any] = {"img_size": self.image[1:]}
        common = {"num_classes": self.classes, "in_chans": self.image[0], **options}
        try:
            return self.outside.create(**common, **sides)
        except TrainingError as error:
            if "img_size" not in str(error.__cause__):
                raise
            return self.outside.create(**common)  # networks of convolutions take any size
