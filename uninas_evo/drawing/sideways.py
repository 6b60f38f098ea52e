"""The compact drawing for slides: stages from left to right, a row of operations for each chain, names alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from uninas_evo.drawing.parts import Flow, Part, grouped

NOTHING = Part("–", "label")
"""A chain without operations."""
PRODUCTS = ("q · k", "scores · v")
"""Of attention: in every head."""
TURNED: dict[Flow, Flow] = {"down": "along", "across": "down", "along": "down"}
"""How parts stand that stood so in the drawing downwards; what was in parallel is in rows."""


def sideways(parts: Sequence[Part]) -> tuple[Part, ...]:
    """A network's parts turned: one after the other rightwards, without shapes and without what every network has."""
    return (grouped([_turned(part) for part in parts], "along"),)


def _turned(part: Part) -> Part:
    """A part and what is inside it."""
    match part.kind:
        case "wire":
            return NOTHING
        case "branch":
            return _row(_operations(part.parts))
        case "pair":
            return _pair(part)
        case "heads":
            return _row(_of_heads(part.parts))
    if not part.parts:
        return replace(part, shape=None)
    kept = [_turned(one) for one in part.parts if one.kind != "port" and one.name != "downsample"]
    flow = TURNED[part.flow]
    return replace(part, shape=None, parts=tuple(kept if flow == "along" else map(_alone, kept)), flow=flow)


def _alone(part: Part) -> Part:
    """A part in a row of its own: no path leads from one row to the next."""
    return _row([part]) if not part.parts else part


def _row(parts: Iterable[Part]) -> Part:
    return grouped(list(parts) or [NOTHING], "along")


def _pair(part: Part) -> Part:
    """A coupled pair by its name, above the chains between its halves."""
    first, *between, _ = part.parts
    name = Part(part.name, first.kind, part.place, marked=part.marked)
    return grouped([_alone(name), *(_alone(_turned(one)) for one in between)], "down", "branch", place=part.place)


def _operations(parts: Iterable[Part]) -> Iterator[Part]:
    """Those of a residual branch: its fork, norm and addition are in every one and say nothing."""
    for one in parts:
        if one.kind == "group":
            yield from _operations(one.parts)
        elif one.kind not in ("port", "wire", "skeleton"):
            yield _turned(one)


def _of_heads(parts: Sequence[Part]) -> Iterator[Part]:
    """Heads in one row: their number, and behind q, k and v what comes to each; the products are in every one."""
    for one in parts:
        if one.kind != "group":
            if one.name not in PRODUCTS:
                yield _turned(one)
        elif any(inner.kind != "label" for inner in one.parts):  # a label alone stands for an empty chain
            yield from _of_heads(one.parts)
