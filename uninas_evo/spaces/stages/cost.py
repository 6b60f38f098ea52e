"""What networks of the macro space cost, in closed form."""

from __future__ import annotations

from functools import lru_cache

from uninas_evo.contracts import Cost
from uninas_evo.spaces.counts import convolution, layer, linear, norm, normed, values
from uninas_evo.spaces.mobile.plan import halved
from uninas_evo.spaces.stages.plan import HEADS, STEMS, Layer, Plan


def plan_cost(plan: Plan, channels: int, classes: int) -> Cost:
    """Parameters, FLOPs and MACs of a network on images of some channels; resizing images is not counted."""
    side, total = plan.side, stem_cost(plan, channels)
    for one in plan.layers:
        total += layer_cost(one, side)
        side = one.after(side)
    return total + head_cost(plan, side, classes)


def head_cost(plan: Plan, side: int, classes: int) -> Cost:
    """What stands behind the layers, whose maps have some side: head, mean and classifier."""
    last, total = plan.layers[-1].outputs, values(plan.last * side**2) + linear(plan.last, classes)
    if plan.head == "norm":
        total += norm(last, side)
    if HEADS[plan.head]:
        total += normed(last, HEADS[plan.head], 1, side)
    return total


def stem_cost(plan: Plan, channels: int) -> Cost:
    """The stem on images of some channels."""
    width = plan.stem_width
    if plan.stem.startswith("patch"):
        positions = width * plan.side**2
        patches = convolution(channels, width, STEMS[plan.stem], plan.side, bias=True)
        return patches + Cost(positions, positions)
    if plan.stem == "conv7_pool":
        return normed(channels, width, 7, halved(plan.image)) + values(width * plan.side**2, 9)
    return normed(channels, width, 3, plan.side)


@lru_cache(maxsize=65536)
def layer_cost(one: Layer, side: int) -> Cost:
    """A layer on an input of some side."""
    if one.kind == "transformer":
        return _transformer(one, side)
    after, inner = one.after(side), one.inner
    match one.kind:
        case "conv":
            total = normed(one.inputs, inner, one.kernel, after) + normed(inner, inner, one.kernel, after)
        case "bottleneck":
            total = normed(one.inputs, inner, 1, side) + normed(inner, inner, one.kernel, after)
            total += normed(inner, one.outputs, 1, after)
        case _:
            total = normed(one.inputs, inner, 1, side) if one.expansion > 1 else Cost()
            total += normed(inner, inner, one.kernel, after, groups=inner) + normed(inner, one.outputs, 1, after)
    if one.squeezed:
        scaled = inner if one.kind == "inverted" else one.outputs
        total += values(2 * scaled * after**2)  # averaged, then scaled
        total += convolution(scaled, one.squeezed, 1, 1, bias=True) + convolution(one.squeezed, scaled, 1, 1, bias=True)
    return total + _shortcut(one, after)


def _shortcut(one: Layer, after: int) -> Cost:
    added = values(one.outputs * after**2)
    if one.keeps_shape:
        return added
    if one.shortcut == "identity":
        return Cost()
    if one.shortcut == "pool" and one.stride == 2:
        added += values(one.inputs * after**2, 4)
    if one.shortcut == "conv" or one.inputs != one.outputs:
        added += normed(one.inputs, one.outputs, 1, after)
    return added


def _transformer(one: Layer, side: int) -> Cost:
    """An embedding where shapes differ, attention, and a perceptron."""
    after, width = one.after(side), one.outputs
    tokens, hidden = after**2, one.expansion * width
    enter = Cost() if one.keeps_shape else normed(one.inputs, width, 3 if one.stride == 2 else 1, after)
    products = layer(0, 2 * tokens * tokens * width)
    projections = _tokens(width, 3 * width, tokens) + _tokens(width, width, tokens)
    perceptron = _tokens(width, hidden, tokens) + _tokens(hidden, width, tokens)
    return (
        enter
        + norm(width, after)
        + norm(width, after)
        + products
        + projections
        + perceptron
        + values(2 * width * tokens)
    )


def _tokens(inputs: int, outputs: int, tokens: int) -> Cost:
    """A fully connected layer with bias on every token."""
    return layer((inputs + 1) * outputs, inputs * outputs * tokens, outputs * tokens)
