"""The shared weights of ProxylessNAS' space: every option of every layer.

Source: Cai et al., "ProxylessNAS", ICLR 2019, arXiv 1812.00332, section 3.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from uninas_evo.contracts import Mixture, Weights
from uninas_evo.spaces.mixed import Mixed, adopt
from uninas_evo.spaces.mobile.network import BlockModule, MobileNetwork, Normed, classify, hidden_layer
from uninas_evo.spaces.mobile.proxyless import EPSILON, ZERO, ProxylessGenome, block
from uninas_evo.spaces.mobile.space import ProxylessSpace

if TYPE_CHECKING:
    from uninas_evo.contracts.array import FloatArray


class ProxylessSupernet(nn.Module):
    """Six or seven options in each of 21 layers; slots are the space's decisions."""

    def __init__(self, space: ProxylessSpace) -> None:
        super().__init__()
        self.space, self.slots = space, space.decisions
        self.joins_slots = False
        plan = space.example.plan
        self.stem = Normed(3, plan.stem, 3, EPSILON, plan.activation, stride=2)
        self.first = BlockModule(plan.blocks[0], EPSILON)
        self.layers = nn.ModuleList(
            Mixed({word: _option(space, layer, word) for word in slot.options}) for layer, slot in enumerate(self.slots)
        )
        self.head = Normed(plan.blocks[-1].outputs, plan.head, 1, EPSILON, plan.activation)
        self.hidden = hidden_layer(plan)
        self.classifier = nn.Linear(plan.head, plan.classes)

    def forward(self, images: Tensor, path: ProxylessGenome | Mixture) -> Tensor:
        """Logits (N, K) of images (N, 3, H, W)."""
        if isinstance(path, ProxylessGenome):
            choices: Sequence[str | Weights] = path.layers
        else:
            choices = [path[slot.name] for slot in self.slots]
        x = self.first(self.stem(images))
        for layer, choice in zip(self.layers, choices, strict=True):
            x = layer(x, choice)
        return classify(self, x)

    def extract(self, genome: ProxylessGenome) -> nn.Module:
        """The genome's network with copies of the shared weights."""
        network = MobileNetwork(genome.plan)
        for name in ("stem", "head", "classifier"):
            adopt(getattr(network, name), getattr(self, name))
        adopt(network.blocks[0], self.first)
        running = [(layer, word) for layer, word in zip(self.layers, genome.layers, strict=True) if word != ZERO]
        for place, (layer, word) in zip(list(network.blocks)[1:], running, strict=True):
            adopt(place, layer, word)
        return network.train(self.training).to(self.classifier.weight.device)

    def derive(self, probabilities: Mapping[str, FloatArray]) -> ProxylessGenome:
        """The most probable option of each layer."""
        return self.space.compose(lambda decision: decision.options[int(probabilities[decision.name].argmax())])

    def skips(self, genome: ProxylessGenome) -> int:
        """Layers that are left out."""
        return genome.layers.count(ZERO)


def _option(space: ProxylessSpace, layer: int, word: str) -> nn.Module:
    return nn.Identity() if word == ZERO else BlockModule(block(space.skeleton, layer, word), EPSILON)
