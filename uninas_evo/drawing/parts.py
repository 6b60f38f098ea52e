"""A genome as a tree of parts to draw: what stands in what, in which direction, and what each part costs.

Layout, SVG, PNG and HTML all draw this one tree. What stands in a part with a count is told once, for one copy.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from uninas_evo.contracts import Cost
from uninas_evo.formats import amount
from uninas_evo.spaces.uninas import HEAD_CHAINS, HEAD_WIDTH, Chain, Genome, Node
from uninas_evo.spaces.uninas.operations import Shape, product_cost, projection_cost

KINDS = ("convolution", "attention", "norm", "activation", "mlp", "shape", "skeleton")
"""Kinds of boxes: those of operations, MLPs over positions, and what the search does not change."""
FREE = Cost(0, 0)

Flow = Literal["down", "across", "along"]
"""How a part's parts stand: one after the other downwards, side by side in parallel, one after the other rightwards."""


@dataclass(frozen=True, slots=True)
class Part:
    """A box of a drawing, or a group of boxes.

    Attributes:
        name: what is written on it; empty for a group without a title.
        kind: one of `KINDS` for a box; "stage", "block", "branch", "heads" or "pair" for a frame; "group" for neither;
            "wire" for a path without operations, "port" for the point where paths fork.
        place: the node's name in `Genome.graph`, or the stage's or block's number.
        shape: (C, H, W) of the input of a box.
        cost: of one copy, everything inside included.
        count: equal neighbors, or attention heads, that it stands for.
        parts: what is inside.
        flow: how they stand.
        marked: the two genomes that are compared differ here.
    """

    name: str
    kind: str
    place: str = ""
    shape: Shape | None = None
    cost: Cost = FREE
    count: int = 1
    parts: tuple[Part, ...] = ()
    flow: Flow = "down"
    marked: bool = False

    @property
    def total(self) -> Cost:
        """The cost of all copies."""
        return Cost(self.count * self.cost.params, self.count * self.cost.flops)

    @property
    def framed(self) -> bool:
        """Whether a frame is drawn around its parts."""
        return self.kind in ("stage", "block", "branch", "heads", "pair")


WIRE = Part("", "wire")
PORT = Part("", "port")


def network_parts(genome: Genome, marks: Collection[str] = ()) -> tuple[Part, ...]:
    """The stem, the stages and the head of a genome.

    Args:
        genome: what is drawn.
        marks: places of nodes that are marked, such as those of `edits`.
    """
    s = genome.skeleton
    stem = Part("stem", "skeleton", "stem", s.image, s.stem_cost(*s.image[1:]))
    head = Part("head", "skeleton", "head", s.stage_shape(len(s.channels) - 1), s.head_cost)
    builder = _Builder(genome, frozenset(marks))
    return stem, *(builder.stage(stage) for stage in range(len(s.channels))), head


def grouped(
    parts: Sequence[Part], flow: Flow = "down", kind: str = "group", name: str = "", place: str = "", count: int = 1
) -> Part:
    """Parts together, which cost what they cost."""
    cost = sum((part.total for part in parts), FREE)
    return Part(name, kind, place, None, cost, count, tuple(parts), flow)


@dataclass(frozen=True, slots=True)
class _Builder:
    genome: Genome
    marks: frozenset[str]

    def stage(self, stage: int) -> Part:
        """The stage's blocks from left to right; equal neighbors without marks are one block with a count."""
        s = self.genome.skeleton
        blocks = [self.entry(stage)]
        first = sum(s.depths[:stage])
        place = 0
        while place < s.depths[stage]:
            last = place
            while last + 1 < s.depths[stage] and self._equal(first + place, first + last + 1):
                last += 1
            blocks.append(self.block(stage, place, last - place + 1))
            place = last + 1
        return grouped(blocks, "along", "stage", f"Stage {stage + 1}", str(stage + 1))

    def entry(self, stage: int) -> Part:
        """What the first block of a stage has beyond the others: it halves the resolution and widens, on both ways."""
        s = self.genome.skeleton
        _, h, w = s.stage_shape(stage)
        shape = (s.stem[1] if stage == 0 else s.channels[stage - 1], 2 * h, 2 * w)
        cost = s.block_cost(stage, h * w, 4 * h * w) - s.block_cost(stage, h * w, None)
        return Part("downsample", "skeleton", f"{stage + 1}/downsample", shape, cost)

    def _equal(self, a: int, b: int) -> bool:
        chains = self.genome.chains
        return all(
            chains[2 * a + i].text == chains[2 * b + i].text and not (self._marked(a, i) or self._marked(b, i))
            for i in range(2)
        )

    def _marked(self, block: int, chain: int) -> bool:
        stage, place = self.genome.skeleton.blocks[block]
        name = f"{stage + 1}.{place + 1}.{chain + 1}/"
        return any(mark.startswith(name) for mark in self.marks)

    def block(self, stage: int, place: int, count: int) -> Part:
        """Two residual branches, from left to right."""
        index = sum(self.genome.skeleton.depths[:stage]) + place
        branches = [
            self.branch(self.genome.chains[2 * index + i], f"{stage + 1}.{place + 1}.{i + 1}") for i in range(2)
        ]
        title = f"Block {place + 1}" if count == 1 else f"Blocks {place + 1}–{place + count}"
        return grouped(branches, "along", "block", title, f"{stage + 1}.{place + 1}", count)

    def branch(self, chain: Chain, name: str) -> Part:
        """X + chain(norm(x)): the paths fork at a port and meet in an addition."""
        c, h, w = chain.shape
        inner = grouped([_norm(chain.shape, f"{name}/norm"), *self.chain(chain, name)])
        add = Part("add", "skeleton", f"{name}/residual", chain.shape, Cost(0, c * h * w))
        return grouped([PORT, grouped([WIRE, inner], "across"), add], "down", "branch", "", name)

    def chain(self, chain: Chain, name: str) -> list[Part]:
        """The parts of a chain's nodes."""
        return [self.node(node, f"{name}/{position}") for position, node in enumerate(chain.nodes, 1)]

    def node(self, n: Node, name: str) -> Part:
        """A box, or the frame of a coupled pair."""
        operation = n.operation
        marked = name in self.marks
        if not n.branches:
            return Part(operation.name, operation.kind, name, n.shape, operation.cost(n.shape), marked=marked)
        if n.heads:
            return self.attention(n, name, marked)
        first, second = operation.halves
        opening, closing = operation.half_costs(n.shape)
        branches = [self.chain(branch, f"{name}/{i}") for i, branch in enumerate(n.branches, 1)]
        inner = [grouped(parts) if parts else WIRE for parts in branches]
        parts = (
            Part(first, operation.kind, name, n.shape, opening),
            grouped(inner, "across") if len(inner) > 1 else inner[0],
            Part(second, operation.kind, f"{name}/{second}", n.branches[0].shape, closing),
        )
        return Part(operation.name, "pair", name, n.shape, Cost(n.params, n.flops), parts=parts, marked=marked)

    def attention(self, n: Node, name: str, marked: bool) -> Part:
        """The projection, the groups of heads side by side, their concatenation."""
        _, h, w = n.shape
        project = Part("conv_chunk3", "attention", name, n.shape, projection_cost(*n.shape))
        groups = [self.heads(n, group, f"{name}/heads{group + 1}") for group in range(len(n.heads))]
        concat = Part("concat", "attention", f"{name}/concat", (HEAD_WIDTH, h, w))
        parts = (project, grouped(groups, "across") if len(groups) > 1 else groups[0], concat)
        return Part("attention", "pair", name, n.shape, Cost(n.params, n.flops), parts=parts, marked=marked)

    def heads(self, n: Node, group: int, name: str) -> Part:
        """One group of equal heads: q and k to scores, scores and v to the output."""
        _, h, w = n.shape
        area = h * w
        q, k, v, scores, out = (
            self.chain(chain, f"{name}/{part}") for part, chain in zip(HEAD_CHAINS, n.head_group(group), strict=True)
        )
        matmul = product_cost(h, w)
        first = Part("q · k", "attention", f"{name}/matmul1", (HEAD_WIDTH, h, w), matmul)
        second = Part("scores · v", "attention", f"{name}/matmul2", (1, area, area), matmul)
        labels = [Part(label, "label") for label in "qkv"]
        weights = grouped(
            [grouped([grouped([labels[0], *q]), grouped([labels[1], *k])], "across"), first, *scores],
        )
        inner = [grouped([weights, grouped([labels[2], *v])], "across"), second, *out]
        count = len(n.heads[group])
        words = f"heads {head_places(n.heads[group])}  × {count}" if count > 1 else f"head {n.heads[group][0]}"
        return grouped([Part(words, "label"), *inner], "down", "heads", "", name, count)


def _norm(shape: Shape, place: str) -> Part:
    c, h, w = shape
    return Part("layernorm", "skeleton", place, shape, Cost(2 * c, 2 * c * h * w))


def kinds_of(parts: Sequence[Part]) -> tuple[str, ...]:
    """The kinds of boxes in the parts, in the order of `KINDS`."""
    found = {part.kind for part in parts} | {kind for part in parts for kind in kinds_of(part.parts)}
    return tuple(kind for kind in KINDS if kind in found)


def any_marked(parts: Sequence[Part]) -> bool:
    """Whether something in the parts is marked."""
    return any(part.marked or any_marked(part.parts) for part in parts)


def any_shape(parts: Sequence[Part]) -> bool:
    """Whether a shape is told somewhere in the parts."""
    return any(part.shape is not None or any_shape(part.parts) for part in parts)


def head_places(places: Sequence[int]) -> str:
    """Ascending places from 0 up as "0–3, 5"."""
    runs: list[list[int]] = []
    for place in places:
        if runs and place == runs[-1][-1] + 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)


def shape_text(shape: Shape) -> str:
    """C×H×W."""
    return "×".join(map(str, shape))


def describe(part: Part) -> str:
    """All that is known of a part, on one line."""
    words = [part.name or part.kind]
    if part.shape:
        words.append(shape_text(part.shape))
    words.append(f"{amount(part.cost.params)} parameters")
    words.append(f"{amount(part.cost.flops)} FLOPs")
    if part.count > 1:
        words.append(f"× {part.count}")
    return " · ".join([*words, part.place])


Titled = tuple[str, Any, tuple[Part, ...]]
"""A network of a drawing: its title, its genome, what is drawn."""
