"""Chains and coupled pairs as modules. What a zero cuts off is kept, so that parameters count, but never run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional

from uninas_evo.network.layers import RelPosBias
from uninas_evo.space.operations import HEAD_WIDTH


class Zero(nn.Module):
    """0 everywhere."""

    def forward(self, x: Tensor) -> Tensor:
        """Zeros of the input's shape."""
        return torch.zeros_like(x)


class GlobalAvg(nn.Module):
    """global_avg…upsample: a chain on the averages over all positions, (N, C, 1, 1)."""

    def __init__(self, chain: ChainModule) -> None:
        super().__init__()
        self.chain = chain

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, 1, 1); the chain that holds this node expands it."""
        pooled: Tensor = self.chain(x.mean((2, 3), keepdim=True))
        return pooled


class ChainModule(nn.Module):
    """The nodes of a chain one after the other.

    Attributes:
        nodes: all of them; those before `live` lie before a zero: they do not run and their parameters ask for no
            gradients.
        live: number of the first node that runs.
        is_zero: whether the output is 0 whatever the input.
    """

    def __init__(self, nodes: Sequence[nn.Module]) -> None:
        super().__init__()
        self.nodes = nn.ModuleList(nodes)
        self.live = max((i + 1 for i, node in enumerate(nodes) if makes_zero(node)), default=0)
        self.is_zero = 0 < self.live == len(nodes)
        for node in nodes[: self.live]:
            node.requires_grad_(False)

    def forward(self, x: Tensor, broadcast: bool = False) -> Tensor:
        """Runs the chain on (N, C, H, W).

        With `broadcast`, a chain that ends in global_avg gives (N, C, 1, 1), for callers that broadcast anyway.
        """
        size = x.shape[2:]
        if self.live:
            x = torch.zeros_like(x)
        last = len(self.nodes) - 1
        for position, node in enumerate(self.nodes):
            if position < self.live:
                continue
            x = node(x)
            if isinstance(node, GlobalAvg) and not (broadcast and position == last):
                x = x.expand(-1, -1, *size)
        return x


def makes_zero(module: nn.Module) -> bool:
    """Whether a node's output is 0 whatever its input."""
    match module:
        case CopyMultiply():
            return module.branches[0].is_zero
        case CopyAdd() | Chunk():
            return all(branch.is_zero for branch in module.branches)
        case GlobalAvg():
            return module.chain.is_zero
        case Attention():
            return module.is_zero
        case _:
            return isinstance(module, Zero)


class _Branches(nn.ModuleList):
    """A module list that knows its items are chains."""

    def __getitem__(self, index: int) -> ChainModule:
        chain = super().__getitem__(index)
        if not isinstance(chain, ChainModule):
            raise TypeError("a coupled pair holds chains")
        return chain

    def __iter__(self) -> Iterator[ChainModule]:  # type: ignore[override]
        return (self[i] for i in range(len(self)))


class Chunk(nn.Module):
    """chunk…concat: one chain for each part of the channels."""

    def __init__(self, branches: Sequence[ChainModule], copies: int) -> None:
        super().__init__()
        self.branches = _Branches(branches)
        self.copies = copies

    def forward(self, x: Tensor) -> Tensor:
        """(N, copies·C, H, W) to the same."""
        parts = torch.unflatten(x, 1, (self.copies, len(self.branches), -1)).unbind(2)
        done = [
            torch.unflatten(b(p.flatten(1, 2)), 1, (self.copies, -1)) for b, p in zip(self.branches, parts, strict=True)
        ]
        return torch.cat(done, 2).flatten(1, 2)


class CopyAdd(nn.Module):
    """copy…add: the sum of two chains on the same input."""

    def __init__(self, branches: Sequence[ChainModule]) -> None:
        super().__init__()
        self.branches = _Branches(branches)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        live = [branch for branch in self.branches if not branch.is_zero]
        if not live:
            return torch.zeros_like(x)
        total: Tensor = live[0](x) if len(live) == 1 else live[0](x) + live[1](x)
        return total


class CopyMultiply(nn.Module):
    """copy…multiply: x₀ · sigmoid(x₁) of two chains on the same input."""

    def __init__(self, branches: Sequence[ChainModule]) -> None:
        super().__init__()
        self.branches = _Branches(branches)
        if self.branches[0].is_zero:
            self.branches[1].requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        value, gate = self.branches
        if value.is_zero:
            return torch.zeros_like(x)
        if gate.is_zero:
            return torch.mul(value(x), 0.5)
        return torch.mul(value(x), torch.sigmoid(gate(x, broadcast=True)))


class Resize(nn.Module):
    """conv_exp4…conv_red4 and conv_red4…conv_exp4: a chain between two 1×1 convolutions."""

    def __init__(self, opening: nn.Conv2d, chain: ChainModule, closing: nn.Conv2d) -> None:
        super().__init__()
        self.opening = opening
        self.chain = chain
        self.closing = closing
        if chain.is_zero:
            opening.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        if self.chain.is_zero:  # the closing convolution gives its bias, everywhere the same
            zeros = x.new_zeros(x.shape[0], self.closing.in_channels, 1, 1)
            return self.closing(zeros).expand(-1, -1, *x.shape[2:])  # type: ignore[no-any-return]
        y: Tensor = self.closing(self.chain(self.opening(x)))
        return y


class HeadGroup(nn.Module):
    """Attention heads of equal structure, batched; they share no weights.

    Attributes:
        places: the places of the heads among those of one copy of the attention.
        is_fused: whether the scores' chain is of biases and a last softmax, which run as one kernel.
        is_cut: whether queries, keys, values and scores have no influence.
        is_zero: whether the output is 0 whatever the input.
    """

    def __init__(self, chains: Sequence[ChainModule], places: tuple[int, ...]) -> None:
        super().__init__()
        self.q, self.k, self.v, self.scores, self.out = chains
        self.places = places
        names = [type(node) for node in self.scores.nodes]
        self.is_fused = names[-1:] == [nn.Softmax] and all(name is RelPosBias for name in names[:-1])
        self.is_cut = bool(self.out.live) or self.v.is_zero or self.scores.is_zero
        self.is_zero = self.out.is_zero or (self.is_cut and not self.out.nodes)
        if self.is_cut:
            for chain in (self.q, self.k, self.v, self.scores):
                chain.requires_grad_(False)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Queries, keys and values (N, heads, 32, H, W) to the same shape."""
        n, heads, _, h, w = v.shape
        if self.is_cut:
            y = torch.zeros_like(v)
        else:
            q, k, v = (
                _run(chain, x).flatten(3).transpose(2, 3) for chain, x in ((self.q, q), (self.k, k), (self.v, v))
            )
            y = self._attend(q, k, v).transpose(2, 3).reshape(n, heads, HEAD_WIDTH, h, w)
        return _run(self.out, y)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """(N, heads, HW, 32) each to the same shape (paper, equations 1 and 2)."""
        if self.is_fused:
            biases = [node.bias() for node in self.scores.nodes if isinstance(node, RelPosBias)]
            mask = torch.stack(biases).sum(0).to(q.dtype) if biases else None
            return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        if not self.scores.nodes:  # without a chain between them the two products may change their order
            return q @ (k.transpose(2, 3) @ v) / sqrt(HEAD_WIDTH)
        scores: Tensor = self.scores(q @ k.transpose(2, 3) / sqrt(HEAD_WIDTH))
        return scores @ v


def _run(chain: ChainModule, x: Tensor) -> Tensor:
    """A chain on (N, heads, 32, H, W), its copies side by side."""
    if not chain.nodes:
        return x
    y: Tensor = chain(x.flatten(1, 2))
    return torch.unflatten(y, 1, (x.shape[1], -1))


class Attention(nn.Module):
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
        if all(group.is_cut for group in groups):
            project.requires_grad_(False)
        heads = sum(len(group.places) for group in groups)
        order = [copy * heads + place for group in groups for copy in range(copies) for place in group.places]
        self.sizes = [copies * len(group.places) for group in groups]
        self.order = order
        self.inverse = sorted(range(len(order)), key=order.__getitem__)

    def forward(self, x: Tensor) -> Tensor:
        """(N, copies·C, H, W) to the same."""
        y = torch.unflatten(self.project(x), 1, (-1, 3, HEAD_WIDTH))
        if len(self.groups) == 1:
            done: Tensor = self.groups[0](*y.unbind(2))
            return done.flatten(1, 2)
        parts = torch.split(y[:, self.order], self.sizes, 1)
        outputs = [group(*part.unbind(2)) for group, part in zip(self.groups, parts, strict=True)]
        return torch.cat(outputs, 1)[:, self.inverse].flatten(1, 2)
