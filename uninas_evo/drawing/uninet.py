"""A UniNet genome as parts to draw: a frame for each stage, in it the module and the blocks, colored by kind."""

from __future__ import annotations

from collections.abc import Collection
from itertools import zip_longest

from uninas_evo.contracts import Cost
from uninas_evo.drawing.parts import Part
from uninas_evo.spaces.uninet import Genome, cost

KINDS = {"DWConv": "convolution", "Conv": "convolution", "SA": "attention", "LSA": "attention", "MLP": "mlp"}
"""The kind of each operator; modules that attend have that of attention."""


def network_parts(genome: Genome, marks: Collection[str] = ()) -> tuple[Part, ...]:
    """The stem, the fixed stage, the stages and the head of a genome.

    Args:
        genome: what is drawn.
        marks: places that are marked, such as those of `differences`.
    """
    s = genome.skeleton
    stem = Part(
        f"stem /{s.stem_stride}",
        "skeleton",
        "stem",
        (3, s.image_size, s.image_size),
        cost.stem(s, (s.sides[0],) * 2).cost,
    )
    last = genome.stages[-1].channels
    head = Part("head", "skeleton", "head", (last, s.sides[-1], s.sides[-1]), cost.head(last, s).cost)
    stages = [_stage(genome, index, marks) for index in range(len(genome.stages))]
    return (stem, *_fixed_stage(genome), *stages, head)


def differences(genome: Genome, other: Genome) -> set[str]:
    """The places of modules and blocks that another genome does not have there."""
    found = set()
    for number, (own, their) in enumerate(zip_longest(genome.stages, other.stages), 1):
        if own is None or their is None or own.module != their.module:
            found.add(f"{number}/module")
        if own is None or their is None or own.with_module("L") != their.with_module("L"):
            found.add(f"{number}/blocks")
    return found


def _fixed_stage(genome: Genome) -> list[Part]:
    s = genome.skeleton
    if s.first is None:
        return []
    channels, repeats = s.first
    shape = (s.stem, s.sides[0], s.sides[0])
    name = f"DWConv e=1 c={channels} × {repeats}"
    return [Part(name, "skeleton", "first", shape, cost.fixed_stage(s, (s.sides[0],) * 2).cost)]


def _stage(genome: Genome, index: int, marks: Collection[str]) -> Part:
    s, stage, ci = genome.skeleton, genome.stages[index], genome.inputs[index]
    stride, before, after = s.strides[index], s.sides[index], s.sides[index + 1]
    number = str(index + 1)
    kind = "shape" if stage.module == "L" else "attention"
    down = cost.module(stage.module, ci, stage.channels, stride, (before, before), s.heads).cost
    one = cost.block(stage, (after, after), after, s.heads, s.window).cost
    operator = Part(
        f"{stage.operator} e={stage.expansion}",
        KINDS[stage.operator],
        f"{number}/blocks",
        (stage.channels, after, after),
        one,
        marked=f"{number}/blocks" in marks,
    )
    parts = (
        Part(
            f"{stage.module}-DSM /{stride}",
            kind,
            f"{number}/module",
            (ci, before, before),
            down,
            marked=f"{number}/module" in marks,
        ),
        Part("Blocks", "block", f"{number}/all", None, one, stage.repeats, (operator,)),
    )
    whole = Cost(down.params + stage.repeats * one.params, down.flops + stage.repeats * one.flops)
    return Part(f"Stage {number}", "stage", number, None, whole, parts=parts, flow="along")
