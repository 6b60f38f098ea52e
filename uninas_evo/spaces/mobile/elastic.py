"""The shared weights of Once-for-All: slices of the largest network, kernels by learned transforms.

Source: Cai et al., "Once-for-All", ICLR 2020, arXiv 1908.09791, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uninas_evo.contracts import Decision, Mixture
from uninas_evo.errors import SpaceError
from uninas_evo.spaces.mixed import adopt
from uninas_evo.spaces.mobile.network import BlockModule, MobileNetwork, Normed, SqueezeExcite, classify, hidden_layer
from uninas_evo.spaces.mobile.ofa import DEPTHS, EXPANSIONS, KERNELS, STAGES, OFAGenome
from uninas_evo.spaces.mobile.plan import Block, div8
from uninas_evo.spaces.mobile.space import OFASpace

if TYPE_CHECKING:
    from uninas_evo.contracts.array import FloatArray


class OFASupernet(nn.Module):
    """The largest network, of which every genome runs a part.

    Width is the first channels, depth the first blocks, a kernel the center of the next larger one times a matrix
    that the channels of a layer share. It runs genomes alone and has no slots to mix.
    """

    slots: tuple[Decision, ...] = ()
    joins_slots = False

    def __init__(self, space: OFASpace) -> None:
        super().__init__()
        self.space = space
        deepest = ((KERNELS[-1], EXPANSIONS[-1]),) * DEPTHS[-1]
        largest = OFAGenome(space.resolutions[-1], (deepest,) * len(STAGES), space.classes, space.width)
        plan = largest.plan
        self.stem = Normed(3, plan.stem, 3, plan.epsilon, plan.activation, stride=2)
        self.first = BlockModule(plan.blocks[0], plan.epsilon)
        self.blocks = nn.ModuleList(ElasticBlock(one, plan.epsilon) for one in plan.blocks[1:])
        self.head = Normed(plan.blocks[-1].outputs, plan.head, 1, plan.epsilon, plan.activation)
        self.hidden = hidden_layer(plan)
        self.classifier = nn.Linear(plan.hidden, plan.classes)

    def forward(self, images: Tensor, path: OFAGenome | Mixture) -> Tensor:
        """Logits (N, K) of images (N, 3, H, W), which are brought to the genome's resolution.

        Raises:
            SpaceError: the path is a mixture.
        """
        genome = self._genome(path)
        if images.shape[-1] != genome.resolution:
            size = (genome.resolution, genome.resolution)
            images = F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
        x = self.first(self.stem(images))
        for place, (kernel, expansion) in _places(genome):
            x = self.blocks[place](x, kernel, expansion)
        return classify(self, x)

    def _genome(self, path: OFAGenome | Mixture) -> OFAGenome:
        if isinstance(path, OFAGenome):
            return path
        raise SpaceError(
            "Once-for-All's shared weights run genomes, not mixtures of options; "
            "use the learner uniform, fair, sandwich or progressive"
        )

    def extract(self, genome: OFAGenome) -> nn.Module:
        """The genome's network with copies of the slices and transformed kernels."""
        network = MobileNetwork(genome.plan)
        for name in ("stem", "head", "hidden", "classifier"):
            adopt(getattr(network, name), getattr(self, name))
        adopt(network.blocks[0], self.first)
        for target, (place, (kernel, expansion)) in zip(list(network.blocks)[1:], _places(genome), strict=True):
            target.load_state_dict(self.blocks[place].state_of(kernel, expansion))  # type: ignore[operator]
        return network.train(self.training).to(self.classifier.weight.device)

    def derive(self, probabilities: Mapping[str, FloatArray]) -> OFAGenome:
        """The most probable option of each decision."""
        return self.space.compose(lambda decision: decision.options[int(probabilities[decision.name].argmax())])

    def sort_channels(self) -> None:
        """Brings the middle channels that matter most to the front; the largest network's outputs stay.

        To be called before each phase with smaller expansions. Importance is the L1 norm of the projection's weights.
        """
        for one in self.blocks:
            one.sort_channels()  # type: ignore[operator]


def _places(genome: OFAGenome) -> list[tuple[int, tuple[int, int]]]:
    """(place among the 20 blocks, (kernel, expansion)) of each block that runs."""
    return [
        (DEPTHS[-1] * stage + place, pair)
        for stage, blocks in enumerate(genome.stages)
        for place, pair in enumerate(blocks)
    ]


class ElasticBlock(nn.Module):
    """An inverted bottleneck of the largest kernel and expansion, and what smaller ones make of it."""

    def __init__(self, largest: Block, epsilon: float) -> None:
        super().__init__()
        self.largest, self.epsilon = largest, epsilon
        self.layers = BlockModule(largest, epsilon)
        sizes = KERNELS[:-1]
        self.transforms = nn.ParameterDict({str(k): nn.Parameter(torch.eye(k**2)) for k in sizes})

    def forward(self, x: Tensor, kernel: int, expansion: int) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        middle, squeeze = self._widths(expansion)
        layers, act = self.layers, self.layers.depthwise.act
        y = act(_normed(x, layers.expand, middle, slice(None)))
        padding, stride = kernel // 2, self.largest.stride
        y = F.conv2d(y, self.kernel(kernel, middle), stride=stride, padding=padding, groups=middle)
        y = act(_norm(y, layers.depthwise.norm, middle))
        if squeeze:
            y = _squeezed(y, layers.squeeze, middle, squeeze)
        y = _normed(y, layers.project, self.largest.outputs, slice(middle))
        return x + y if self.largest.shortcut else y

    def _widths(self, expansion: int) -> tuple[int, int]:
        """Middle and squeezed channels of an expansion."""
        middle = div8(round(self.largest.inputs * expansion))
        return middle, div8(middle // 4) if self.largest.squeeze else 0

    def kernel(self, size: int, channels: int) -> Tensor:
        """(channels, 1, size, size) weights of the depthwise convolution."""
        weight = self.layers.depthwise.conv.weight[:channels]
        for larger, smaller in pairwise(reversed(KERNELS)):
            if size < larger:
                edge = (larger - smaller) // 2
                center = weight[:, :, edge:-edge, edge:-edge].reshape(channels, smaller**2)
                weight = F.linear(center, self.transforms[str(smaller)]).view(channels, 1, smaller, smaller)
        return weight.contiguous()

    def state_of(self, kernel: int, expansion: int) -> dict[str, Tensor]:
        """The state of the `BlockModule` of a kernel and expansion."""
        middle, squeeze = self._widths(expansion)
        target = BlockModule(_smaller(self.largest, kernel, middle, squeeze), self.epsilon).state_dict()
        state = self.layers.state_dict()
        state["depthwise.conv.weight"] = self.kernel(kernel, middle).detach()
        return {name: state[name][tuple(map(slice, value.shape))].contiguous() for name, value in target.items()}

    @torch.no_grad()
    def sort_channels(self) -> None:
        """Orders the middle channels by the L1 norm of the projection's weights, the greatest first."""
        order = self.layers.project.conv.weight.abs().sum(dim=(0, 2, 3)).argsort(descending=True, stable=True)
        middle = self.largest.middle
        inner = {"project.conv.weight": 1, "squeeze.reduce.weight": 1}
        for name, value in chain(self.layers.named_parameters(), self.layers.named_buffers()):
            axis = inner.get(name, 0)
            is_outer = name.startswith(("expand", "depthwise", "squeeze.expand"))
            if (name in inner or is_outer) and value.dim() and value.shape[axis] == middle:
                value.copy_(value.index_select(axis, order))


def _smaller(largest: Block, kernel: int, middle: int, squeeze: int) -> Block:
    return Block(
        largest.inputs, middle, largest.outputs, kernel, largest.stride, largest.activation, squeeze, largest.shortcut
    )


def _normed(x: Tensor, layers: nn.Module, outputs: int, inputs: slice) -> Tensor:
    """A 1x1 convolution onto the first outputs, from the first inputs, and its norm."""
    assert isinstance(layers, Normed)
    return _norm(F.conv2d(x, layers.conv.weight[:outputs, inputs].contiguous()), layers.norm, outputs)


def _norm(x: Tensor, norm: nn.BatchNorm2d, channels: int) -> Tensor:
    """The first channels of a norm; in training their statistics move in place."""
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None
    assert var is not None
    moves = norm.training and norm.track_running_stats
    if moves and norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    kept = not norm.training or norm.track_running_stats
    return F.batch_norm(
        x,
        mean[:channels] if kept else None,
        var[:channels] if kept else None,
        norm.weight[:channels],
        norm.bias[:channels],
        norm.training,
        norm.momentum or 0.0,
        norm.eps,
    )


def _squeezed(x: Tensor, layers: nn.Module, channels: int, squeezed: int) -> Tensor:
    assert isinstance(layers, SqueezeExcite)
    means = x.mean(dim=(2, 3), keepdim=True)
    reduce, expand = layers.reduce, layers.expand
    assert reduce.bias is not None
    assert expand.bias is not None
    means = F.conv2d(means, reduce.weight[:squeezed, :channels].contiguous(), reduce.bias[:squeezed])
    means = F.conv2d(torch.relu(means), expand.weight[:channels, :squeezed].contiguous(), expand.bias[:channels])
    return x * F.hardsigmoid(means)
