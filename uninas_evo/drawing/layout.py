"""Where every box of a drawing stands: a pure function from a tree of parts to numbers, in pixels.

Boxes are as wide as their texts, measured in DejaVu Sans, the widest of the fonts that a page may fall back to.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from uninas_evo.drawing.parts import Part, any_marked, any_shape, kinds_of, shape_text
from uninas_evo.formats import amount

NAME_SIZE, DETAIL_SIZE, TITLE_SIZE = 11.0, 8.5, 13.0
PAD = 8.0
"""Between a frame or box and what stands in it."""
GAP = 12.0
"""Between neighbors; paths run in it."""
MARGIN = 16.0
SAFETY = 1.04
"""Texts are taken this much wider than measured: browsers round glyphs to pixels."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text from the left end of its baseline, with its measured width."""

    x: float
    y: float
    content: str
    size: float
    width: float
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """A placed part; `children` lie inside it and do not overlap, `lines` are the paths between them."""

    part: Part
    x: float
    y: float
    width: float
    height: float
    texts: tuple[Text, ...] = ()
    children: tuple[Box, ...] = ()
    lines: tuple[tuple[Point, ...], ...] = ()
    arrows: tuple[tuple[Point, ...], ...] = ()

    def moved(self, dx: float, dy: float) -> Box:
        """The same box elsewhere."""
        return replace(
            self,
            x=self.x + dx,
            y=self.y + dy,
            texts=tuple(replace(text, x=text.x + dx, y=text.y + dy) for text in self.texts),
            children=tuple(child.moved(dx, dy) for child in self.children),
            lines=tuple(tuple((x + dx, y + dy) for x, y in line) for line in self.lines),
            arrows=tuple(tuple((x + dx, y + dy) for x, y in line) for line in self.arrows),
        )


@dataclass(frozen=True, slots=True)
class _Placed:
    """A box at the origin, with the points where paths enter and leave it."""

    box: Box
    entries: tuple[Point, ...]
    exits: tuple[Point, ...]

    def moved(self, dx: float, dy: float) -> _Placed:
        return _Placed(
            self.box.moved(dx, dy),
            tuple((x + dx, y + dy) for x, y in self.entries),
            tuple((x + dx, y + dy) for x, y in self.exits),
        )


@cache
def text_width(content: str, size: float, bold: bool = False) -> float:
    """Width of a line of text in DejaVu Sans, in pixels, with the safety margin."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal", size=size)
    width: Any = TextToPath().get_text_width_height_descent(content, font, False)[0]
    return round(SAFETY * float(width), 2)


def everything(box: Box) -> Iterator[Box]:
    """A box and all boxes inside, outer ones first."""
    yield box
    for child in box.children:
        yield from everything(child)


def layout(networks: Sequence[tuple[str, Any, Sequence[Part]]]) -> Box:
    """Networks side by side, each under a title with its totals, and one legend.

    Args:
        networks: title, genome and parts (`network_parts`) of each.

    Returns:
        The root box; its corner is (0, 0).
    """
    columns: list[Box] = []
    x = MARGIN
    for title, genome, parts in networks:
        placed = _network(title, genome, parts).moved(x, MARGIN + 26)
        columns.append(placed)
        x = placed.x + placed.width + 3 * GAP
    legend = _legend([part for _, _, parts in networks for part in parts]).moved(MARGIN, MARGIN)
    width = max(x - 3 * GAP, legend.x + legend.width) + MARGIN
    height = max(column.y + column.height for column in columns) + MARGIN
    return Box(Part("", "page"), 0, 0, width, height, children=(legend, *columns))


def _legend(parts: Sequence[Part]) -> Box:
    """The kinds of boxes, and what is written in them where that is more than names."""
    boxes: list[Box] = []
    x = 0.0
    for kind in kinds_of(parts):
        text = _text(kind, NAME_SIZE, bold=False)
        box = Box(Part(kind, kind), 0, 0, text.width + 2 * PAD, 20, (replace(text, x=PAD, y=14),))
        boxes.append(box.moved(x, 0))
        x += box.width + 6
    if not any_shape(parts):
        return Box(Part("", "legend"), 0, 0, x, 20, (), tuple(boxes))
    rule = _text("below each name: input channels × height × width · parameters · FLOPs", DETAIL_SIZE)
    return Box(Part("", "legend"), 0, 0, x + 6 + rule.width, 20, (replace(rule, x=x + 6, y=14),), tuple(boxes))


def _network(title: str, genome: Any, parts: Sequence[Part]) -> Box:
    counted = getattr(genome, "counted", "nodes")
    facts = f"{amount(genome.params)} parameters · {amount(genome.flops)} FLOPs · {len(genome)} {counted}"
    if any_marked(parts):
        facts += " · thick outline: not in the other"
    texts = (replace(_text(title, TITLE_SIZE, bold=True), y=14), replace(_text(facts, NAME_SIZE), y=32))
    y = 44.0
    boxes: list[Box] = []
    arrows: list[tuple[Point, ...]] = []
    for part in parts:
        box = _place(part).box.moved(0, y)
        if boxes:
            arrows.append(((30, y - GAP), (30, y)))
        boxes.append(box)
        y += box.height + GAP
    width = max(*(box.width for box in boxes), *(text.width for text in texts))
    return Box(Part(title, "network"), 0, 0, width, y - GAP, texts, tuple(boxes), arrows=tuple(arrows))


def _place(part: Part) -> _Placed:
    if not part.parts:
        return _leaf(part)
    placed = [_place(inner) for inner in part.parts]
    inside = {"down": _down, "across": _across, "along": _along}[part.flow](placed)
    if not part.framed:
        return _Placed(replace(inside.box, part=part), inside.entries, inside.exits)
    return _framed(part, inside)


def _leaf(part: Part) -> _Placed:
    """A box as wide as its texts; wires and ports are points."""
    if part.kind == "wire":
        middle = (6.0, 0.0)
        return _Placed(Box(part, 0, 0, 12, 0), (middle,), (middle,))
    if part.kind == "port":
        return _Placed(Box(part, 0, 0, 6, 6), ((3, 0),), ((3, 3),))
    name = _text(part.name, NAME_SIZE if part.shape else DETAIL_SIZE, bold=part.shape is not None)
    texts = [replace(name, y=13)]
    if part.shape:
        detail = f"{shape_text(part.shape)} · {amount(part.cost.params)} · {amount(part.cost.flops)}"
        texts.append(replace(_text(detail, DETAIL_SIZE), y=26))
    width = max(text.width for text in texts) + 2 * PAD
    height = 32.0 if part.shape else 18.0
    centered = tuple(replace(text, x=(width - text.width) / 2) for text in texts)
    box = Box(part, 0, 0, width, height, centered)
    return _Placed(box, ((width / 2, 0),), ((width / 2, height),))


def _down(placed: Sequence[_Placed]) -> _Placed:
    """Centerd below each other, joined by paths."""
    width = max(one.box.width for one in placed)
    y = 0.0
    moved: list[_Placed] = []
    for one in placed:
        moved.append(one.moved((width - one.box.width) / 2, y))
        y += one.box.height + GAP
    lines = [
        _path(start, end)
        for above, below in itertools.pairwise(moved)
        for start in above.exits
        for end in below.entries
    ]
    box = Box(Part("", "group"), 0, 0, width, y - GAP, (), tuple(one.box for one in moved), tuple(lines))
    return _Placed(box, moved[0].entries, moved[-1].exits)


def _path(start: Point, end: Point) -> tuple[Point, ...]:
    """Straight down, or down, aside just above the end, and down."""
    if abs(start[0] - end[0]) < 0.01:
        return start, end
    bend = end[1] - GAP / 2
    return start, (start[0], bend), (end[0], bend), end


def _across(placed: Sequence[_Placed]) -> _Placed:
    """Side by side from one height; each keeps its own paths."""
    x = 0.0
    moved: list[_Placed] = []
    for one in placed:
        moved.append(one.moved(x, 0))
        x += one.box.width + GAP
    height = max(one.box.height for one in placed)
    box = Box(Part("", "group"), 0, 0, x - GAP, height, (), tuple(one.box for one in moved))
    return _Placed(
        box,
        tuple(point for one in moved for point in one.entries),
        tuple(point for one in moved for point in one.exits),
    )


def _along(placed: Sequence[_Placed]) -> _Placed:
    """From left to right, with an arrow between neighbors."""
    row = _across(placed)
    arrows = tuple(
        ((before.x + before.width, before.y + _joint(before)), (after.x, after.y + _joint(after)))
        for before, after in itertools.pairwise(row.box.children)
    )
    return _Placed(replace(row.box, arrows=arrows), (), ())


def _joint(box: Box) -> float:
    """How far below its top an arrow meets a box: near a frame's title, at the middle of what is smaller."""
    return min(15.0, box.height / 2)


def _framed(part: Part, inside: _Placed) -> _Placed:
    """A frame with a title above what it holds; paths go through its edge."""
    titles = [replace(text, x=PAD, y=y) for text, y in zip(_titles(part), (16, 30), strict=False)]
    top = PAD + (14 * len(titles) + 4 if titles else 0)
    width = max([inside.box.width, *(text.width for text in titles)]) + 2 * PAD
    inner = inside.moved((width - inside.box.width) / 2, top)
    height = top + inner.box.height + PAD
    ins = tuple((x, 0.0) for x, _ in inner.entries)
    outs = tuple((x, height) for x, _ in inner.exits)
    joins = part.kind in ("pair", "heads")
    stubs = [(a, b) for a, b in zip(ins, inner.entries, strict=True)] if joins else []
    stubs += [(a, b) for a, b in zip(inner.exits, outs, strict=True)] if joins else []
    children = inner.box.children if not inner.box.texts else (inner.box,)
    box = Box(part, 0, 0, width, height, tuple(titles), children, (*inner.box.lines, *stubs), inner.box.arrows)
    return _Placed(box, ins, outs)


def _titles(part: Part) -> list[Text]:
    """What is written at the top of a frame; folded blocks tell their count and the cost of one."""
    if part.kind not in ("stage", "block"):
        return []
    name = part.name + (f"  × {part.count}" if part.count > 1 else "")
    each = "each " if part.count > 1 else ""
    cost = f"{each}{amount(part.cost.params)} parameters · {amount(part.cost.flops)} FLOPs"
    return [_text(name, NAME_SIZE, bold=True), _text(cost, DETAIL_SIZE)]


def _text(content: str, size: float, bold: bool = False) -> Text:
    return Text(0, 0, content, size, text_width(content, size, bold), bold)
