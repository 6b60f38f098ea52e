"""Chains and coupled pairs as modules. What a zero cuts off is kept, so that parameters count, but never run."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional

from uninas_evo.spaces.uninas.network.layers import RelPosBias
from uninas_evo.spaces.uninas.operations import HEAD_WIDTH


class Part(nn.Module):
    """A module that knows what becomes of its input.

    Attributes:
        is_zero: whether the output is 0 whatever the input.
        is_constant: whether the output does not depend on the input, but for its shape: nothing before it has to run.
    """

    is_zero = False
    is_constant = False


class Zero(Part):
    """0 everywhere."""

    is_zero = True
    is_constant = True

    def forward(self, x: Tensor) -> Tensor:
        """Zeros of the input's shape."""
        return torch.zeros_like(x)


class GlobalAvg(Part):
    """global_avg…upsample: a chain on the averages over all positions, (N, C, 1, 1)."""

    def __init__(self, chain: ChainModule) -> None:
        super().__init__()
        self.chain = chain
        self.is_zero, self.is_constant = chain.is_zero, chain.is_constant

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, 1, 1); the chain that holds this node expands it."""
        if self.is_constant:
            pooled: Tensor = self.chain(x[:, :, :1, :1])
            return pooled
        _, _, h, w = x.shape
        pooled = self.chain(x.sum((2, 3), keepdim=True) / (h * w))  # its gradient is broadcast; that of mean is written
        return pooled


class ChainModule(Part):
    """The nodes of a chain one after the other.

    Attributes:
        nodes: all of them; those before `start` have no influence: they do not run and their parameters ask for no
            gradients.
        start: number of the first node that runs: the last one that is constant.
    """

    def __init__(self, nodes: Sequence[nn.Module]) -> None:
        super().__init__()
        self.nodes = nn.ModuleList(nodes)
        parts = {i: node for i, node in enumerate(nodes) if isinstance(node, Part)}
        self.start = max((i for i, part in parts.items() if part.is_constant), default=0)
        self.is_constant = any(part.is_constant for part in parts.values())
        self.is_zero = len(nodes) - 1 in parts and parts[len(nodes) - 1].is_zero
        for node in nodes[: self.start]:
            node.requires_grad_(False)

    def forward(self, x: Tensor, broadcast: bool = False) -> Tensor:
        """Runs the chain on (N, C, H, W).

        With `broadcast`, a chain that ends in global_avg gives (N, C, 1, 1), for callers that broadcast anyway.
        """
        size = x.shape[2:]
        last = len(self.nodes) - 1
        for position, node in enumerate(self.nodes):
            if position < self.start:
                continue
            x = node(x)
            if isinstance(node, GlobalAvg) and not (broadcast and position == last):
                x = x.expand(-1, -1, *size)
        return x


def blank(x: Tensor, *shape: int) -> Tensor:
    """Zeros that take no memory, for the input of what only looks at its shape."""
    return x.new_zeros(()).expand(shape)


class Fork(Part):
    """A coupled pair of several chains; its output is their concatenation or sum unless a subclass says otherwise."""

    def __init__(self, branches: Sequence[ChainModule]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.is_zero = all(branch.is_zero for branch in branches)
        self.is_constant = all(branch.is_constant for branch in branches)


class Chunk(Fork):
    """chunk…concat: one chain for each part of the channels."""

    def __init__(self, branches: Sequence[ChainModule], copies: int) -> None:
        super().__init__(branches)
        self.copies = copies

    def forward(self, x: Tensor) -> Tensor:
        """(N, copies·C, H, W) to the same."""
        parts = torch.unflatten(x, 1, (self.copies, len(self.branches), -1)).unbind(2)
        done = [
            torch.unflatten(b(p.flatten(1, 2)), 1, (self.copies, -1)) for b, p in zip(self.branches, parts, strict=True)
        ]
        return torch.cat(done, 2).flatten(1, 2)


class CopyAdd(Fork):
    """copy…add: the sum of two chains on the same input."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        terms = [branch(x) for branch in self.branches if isinstance(branch, ChainModule) and not branch.is_zero]
        return torch.zeros_like(x) if not terms else sum(terms[1:], start=terms[0])


class CopyMultiply(Fork):
    """copy…multiply: x₀ · sigmoid(x₁) of two chains on the same input."""

    def __init__(self, value: ChainModule, gate: ChainModule) -> None:
        super().__init__([value, gate])
        self.gate_is_zero = gate.is_zero
        self.is_zero = value.is_zero
        if self.is_zero:
            self.is_constant = True
            gate.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        value, gate = self.branches
        if self.is_zero:
            return torch.zeros_like(x)
        if self.gate_is_zero:
            return torch.mul(value(x), 0.5)
        return torch.mul(value(x), torch.sigmoid(gate(x, broadcast=True)))


class Resize(Part):
    """conv_exp4…conv_red4 and conv_red4…conv_exp4: a chain between two 1×1 convolutions."""

    def __init__(self, opening: nn.Conv2d, chain: ChainModule, closing: nn.Conv2d) -> None:
        super().__init__()
        self.opening = opening
        self.chain = chain
        self.closing = closing
        self.is_constant = chain.is_constant
        if self.is_constant:
            opening.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        n, _, h, w = x.shape
        if self.chain.is_zero:  # the closing convolution gives its bias, everywhere the same
            y: Tensor = self.closing(blank(x, n, self.closing.in_channels, 1, 1))
            return y.expand(-1, -1, h, w)
        y = self.chain(blank(x, n, self.closing.in_channels, h, w) if self.is_constant else self.opening(x))
        y = self.closing(y)
        return y


class HeadGroup(Part):
    """Attention heads of equal structure, batched; they share no weights.

    Attributes:
        places: the places of the heads among those of one copy of the attention.
        is_fused: whether the scores' chain is of biases and a last softmax, which run as one kernel.
        is_cut: whether queries, keys, values and scores have no influence.
    """

    def __init__(self, chains: Sequence[ChainModule], places: tuple[int, ...]) -> None:
        super().__init__()
        self.q, self.k, self.v, self.scores, self.out = chains
        self.places = places
        self.biases = tuple(node for node in self.scores.modules() if isinstance(node, RelPosBias))
        names = [type(node) for node in self.scores.nodes]
        self.is_fused = names[-1:] == [nn.Softmax] and all(name is RelPosBias for name in names[:-1])
        self.is_cut = self.v.is_zero or self.scores.is_zero or self.out.is_constant
        fixed_scores = self.scores.is_constant or (self.q.is_constant and self.k.is_constant)
        self.is_constant = self.is_cut or (self.v.is_constant and fixed_scores)
        self.is_zero = self.out.is_zero or (self.is_cut and not self.out.nodes)
        if self.is_cut or self.scores.is_constant:
            self.q.requires_grad_(False)
            self.k.requires_grad_(False)
        if self.is_cut:
            self.v.requires_grad_(False)
            self.scores.requires_grad_(False)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Queries, keys and values (N, H, W, heads, 32) to (N, heads·32, H, W)."""
        n, h, w, heads, _ = v.shape
        if self.is_cut:
            y: Tensor = self.out(v.new_zeros(n, heads * HEAD_WIDTH, h, w))
            return y
        v = _positions(self.v, v)
        self._tell_grid(h, w)
        if self.scores.is_constant:
            y = self.scores(blank(v, n, heads, h * w, h * w)) @ v
        else:
            y = self._attend(_positions(self.q, q), _positions(self.k, k), v)
        y = self.out(torch.unflatten(y.transpose(1, 2).flatten(2), 1, (h, w)).permute(0, 3, 1, 2))
        return y

    def _tell_grid(self, h: int, w: int) -> None:
        """Tells the scores' biases which grid their rows and columns are positions of."""
        for bias in self.biases:
            if bias.grid != (h, w):
                bias.grid = (h, w)

    def unfuse(self) -> None:
        """Calls the bias tables as layers from now on, so that hooks see them."""
        self.is_fused = self.is_fused and not self.biases

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """(N, heads, HW, 32) each to the same shape (paper, equations 1 and 2)."""
        if self.is_fused:
            return attend(q, k, v, [node for node in self.scores.nodes if isinstance(node, RelPosBias)])
        if not self.scores.nodes:  # without a chain between them the two products may change their order
            return q @ (k.transpose(2, 3) @ v) / sqrt(HEAD_WIDTH)
        scores: Tensor = self.scores(q @ k.transpose(2, 3) / sqrt(HEAD_WIDTH))
        return scores @ v


SCORES_IN_CACHE = 2**20
"""Scores that are computed at a time on a CPU: four megabytes, which its caches hold."""


def attend(q: Tensor, k: Tensor, v: Tensor, biases: Sequence[RelPosBias]) -> Tensor:
    """softmax(q·kᵀ / √32 + biases)·v, (N, heads, HW, 32) each to the same shape.

    torch has no fused kernel for biases that need gradients on the CPU. There samples and rows of queries go part by
    part, so that the scores, which outweigh all else, stay in the cache: three times faster at 56×56 positions.
    """
    if not biases:
        return functional.scaled_dot_product_attention(q, k, v)
    if q.device.type != "cpu" or torch.compiler.is_compiling():
        mask = torch.stack([node.bias()[0] for node in biases]).sum(0)
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask.to(q.dtype))
    _, heads, positions, _ = q.shape
    h, w = biases[0].grid
    rows = min(h, max(1, SCORES_IN_CACHE // (heads * w * positions)))
    samples = max(1, SCORES_IN_CACHE // (heads * positions**2))
    parts = [sum(own[1:], own[0]).to(q.dtype) for own in zip(*(node.bias(rows) for node in biases), strict=True)]
    q, k = q / sqrt(HEAD_WIDTH), k.transpose(2, 3)
    done = []
    for own_q, own_k, own_v in zip(*(torch.split(x, samples) for x in (q, k, v)), strict=True):
        queries = torch.split(own_q, rows * w, 2)
        outputs = [(part @ own_k + bias).softmax(-1) @ own_v for part, bias in zip(queries, parts, strict=True)]
        done.append(torch.cat(outputs, 2))
    return torch.cat(done)


def _positions(chain: ChainModule, x: Tensor) -> Tensor:
    """A chain on (N, H, W, heads, 32), its copies side by side, to (N, heads, HW, 32)."""
    if not chain.nodes:
        return x.flatten(1, 2).transpose(1, 2)
    y: Tensor = chain(x.flatten(3).permute(0, 3, 1, 2))
    return torch.unflatten(y.flatten(2), 1, (-1, HEAD_WIDTH)).transpose(2, 3)


class Attention(Part):
    """conv_chunk3…matmul1…matmul2: heads of width 32 with chains on queries, keys, values, scores and output.

    Attributes:
        project: 1×1 convolution C → 3C; channels ordered head by head: q, k, v of the first head, then of the second.
        groups: heads of equal structure.
    """

    def __init__(self, project: nn.Conv2d, groups: Sequence[HeadGroup], copies: int) -> None:
        super().__init__()
        self.project = project
        self.groups = nn.ModuleList(groups)
        self.is_zero = all(group.is_zero for group in groups)
        self.is_constant = all(group.is_constant for group in groups)
        if self.is_constant:
            project.requires_grad_(False)
        heads = sum(len(group.places) for group in groups)
        order = [copy * heads + place for group in groups for copy in range(copies) for place in group.places]
        self.sizes = [copies * len(group.places) for group in groups]
        self.order = order
        self.inverse = sorted(range(len(order)), key=order.__getitem__)

    def forward(self, x: Tensor) -> Tensor:
        """(N, copies·C, H, W) to the same."""
        n, c, h, w = x.shape
        y = blank(x, n, 3 * c, h, w) if self.is_constant else self.project(x)
        y = torch.unflatten(y.permute(0, 2, 3, 1), 3, (-1, 3, HEAD_WIDTH))
        if len(self.groups) == 1:
            done: Tensor = self.groups[0](*y.unbind(4))
            return done
        parts = torch.split(y[:, :, :, self.order], self.sizes, 3)
        outputs = [group(*part.unbind(4)) for group, part in zip(self.groups, parts, strict=True)]
        heads = torch.unflatten(torch.cat(outputs, 1), 1, (-1, HEAD_WIDTH))
        return heads[:, self.inverse].flatten(1, 2)
