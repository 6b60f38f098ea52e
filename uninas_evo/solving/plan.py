"""What is done with the time, decided before it begins: the skeleton, the protocol, the fidelities, the shares."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from uninas_evo.compare.baselines import scaled_preset
from uninas_evo.contracts import Budget, Shape
from uninas_evo.errors import BudgetError, TrainingError
from uninas_evo.formats import amount, duration
from uninas_evo.spaces.uninas import PRESETS, Genome, Skeleton
from uninas_evo.training.images import Splits
from uninas_evo.training.protocol import Protocol

SHARES = {"presets": 0.05, "search": 0.5, "finalists": 0.1, "training": 0.3}
"""Of the clock: choosing among scaled presets, the search, its finalists under fresh seeds, the final trainings. Half
goes to the search, as in the measurement that found better networks (docs/truth.md); what is left is a reserve."""
BUSY = 0.7
"""Share of the measured speed that is counted on: workers share caches and memory."""
EPOCHS = (12, 6, 3)
"""Epochs of the final training that the size of the networks is chosen for, the first that is possible; 12 is where
presets of 100,000 parameters reach 92 % on Fashion-MNIST."""
MOST_EPOCHS = 100
CANDIDATES = (300, 100, 30)
"""Short trainings of the lowest rung that the search should have time for, the first that is possible; 300 as in the
measurement. Fewer than the last are no search: the starts alone are 18."""
LEAST_FLOPS = 0.5e6
"""Of a network that is worth the time: 20,000 parameters on 32 px."""
UNITS = 2.6
"""Time of all rungs over that of the lowest: a fifth of the candidates costs four times as much one rung up, a third
of these eight times as much two up."""
LEAST_STEPS = 32
"""Of the shortest training; the measurement's has 79 and ranks with tau 0.71, what a few steps teach ranks nothing."""
BATCHES = 8
"""Of an epoch, at least: with fewer the weights hardly move in it."""
EVALUATION = 0.35
"""Time of evaluating an image over that of training on it."""
MOST_PARAMS = 1e6
"""Where nobody says: what small devices hold, and what hours on a few cores train."""
LARGEST_SIDE = 224
SHRINK = (1.0, 0.75, 0.5, 0.375, 0.25)
"""Images are brought to these shares of their sides, the first at which the time is enough."""
SMALL = 24
"""Images with a shorter side keep their resolution in the stem."""
FINAL_SIDE = 4
"""Side of the last stage's maps that the number of stages is chosen for."""
STEMS = ((32, 64), (16, 32), (8, 16))
"""Widths of the stem, from the paper's down; the widest is taken that leaves most FLOPs to the stages."""
STEM_SHARE = 0.2
"""The most of all FLOPs that the stem may take."""
RESERVE_S = 20.0
"""What starting processes, ONNX and the page take, as far as a short clock has it."""
DEPTHS = (1, 2)
"""Blocks a stage that the presets are tried with."""
SMALL_DATA = 2000
"""Fewer training images give a fifth, not a tenth, to validation: a tenth would tell little."""


@dataclass(frozen=True)
class Speed:
    """How fast this machine trains on this data: seconds an image = overhead + flops / rate.

    Attributes:
        overhead_s: reading and augmenting an image.
        rate: FLOPs of a forward pass that a second trains.
        memory_bytes: that a worker held.
    """

    overhead_s: float
    rate: float
    memory_bytes: int = 0

    def seconds(self, flops: float) -> float:
        """What training on one image takes."""
        return self.overhead_s + flops / self.rate

    def flops(self, seconds: float) -> float:
        """Of the largest network that trains on an image in so many seconds; 0 where none does."""
        return max(0.0, (seconds - self.overhead_s) * self.rate)


@dataclass(frozen=True)
class Plan:
    """What will be done.

    Attributes:
        hours: the clock.
        workers: processes that train side by side.
        presets: label -> text of the presets that are tried, each scaled to the budget.
        max_params: most parameters.
        max_flops: most FLOPs of an image.
        fidelities: of the search, from cheap to full.
        protocol: settings of all trainings.
        finalist_seeds: fresh seeds of the finalists.
        seeds: final trainings of the winner, and as many of the preset.
        lines: what was decided and why, for people.
    """

    hours: float
    workers: int
    presets: Mapping[str, str]
    max_params: float
    max_flops: float
    fidelities: Sequence[Mapping[str, int]]
    protocol: Mapping[str, Any]
    finalist_seeds: int
    seeds: int
    lines: Sequence[str]

    def content(self) -> dict[str, Any]:
        """The plan as JSON has it."""
        return asdict(self)


def image_of(splits: Splits) -> Shape:
    """(C, H, W) that stands for all images: their usual channels and the medians of their sides."""
    survey = splits.survey
    channels = 3 if survey.channels.keys() == {1, 3} else survey.channels.most_common(1)[0][0]
    sides = [Counter[int](), Counter[int]()]
    for size, count in survey.sizes.items():
        for side, own in zip(size, sides, strict=True):
            own[side] += count
    height, width = (_median(side) for side in sides)
    return channels, height, width


def reserve_s(limit_s: float) -> float:
    """Seconds that are kept for what comes after the final trainings."""
    return max((1 - sum(SHARES.values())) * limit_s, min(RESERVE_S, 0.2 * limit_s))


def skeletons(image: Shape, classes: int, max_flops: float) -> Iterator[Skeleton]:
    """Skeletons for images, the finest first; each with one block a stage."""
    colors, height, width = image
    whole = min(1.0, LARGEST_SIDE / max(height, width))
    for share in SHRINK:
        sides = whole * share * height, whole * share * width
        stride = 1 if min(sides) < SMALL else 2
        stages = min(max(round(math.log2(max(min(sides) / stride / FINAL_SIDE, 1))), 1), 4)
        total = stride * 2**stages
        high, wide = (max(1, int(side / total + 0.5)) * total for side in sides)
        channels, depths = tuple(16 * 2**stage for stage in range(stages)), (1,) * stages
        stems = [Skeleton((high, wide), classes, stem, channels, depths, colors, stride) for stem in STEMS]
        yield next((one for one in stems if one.stem_cost(high, wide).flops <= STEM_SHARE * max_flops), stems[-1])


def protocol_for(protocol: Protocol, images: int) -> Protocol:
    """The protocol for so many training images: with few of them, smaller batches and a larger validation part."""
    changes: dict[str, Any] = {}
    if images < SMALL_DATA:
        changes["val_fraction"] = max(protocol.val_fraction, 0.2)
    if images < BATCHES * protocol.batch_size:
        changes["batch_size"] = 2 ** max(1, int(math.log2(max(images // BATCHES, 2))))
    return protocol.replace(**changes)


def plan_for(
    splits: Splits,
    protocol: Protocol,
    speed: Speed,
    hours: float,
    workers: int,
    max_params: float | None = None,
    max_flops: float | None = None,
) -> Plan:
    """The plan for a data set, a machine and a clock.

    Raises:
        TrainingError: the time is not enough for a search; the message says how much is.
        BudgetError: no preset fits the bounds.
    """
    seconds = 3600 * hours
    images, validated = len(splits.train), len(splits.val)
    params = MOST_PARAMS if max_params is None else max_params
    least = LEAST_STEPS * protocol.batch_size
    final_s = SHARES["training"] * seconds * min(workers, 2) / 2
    search_s = SHARES["search"] * seconds * workers / (UNITS * (least + EVALUATION * validated))
    flops, epochs = _affordable(speed, images, final_s, search_s, hours)
    flops = flops if max_flops is None else min(flops, max_flops)
    presets = _presets(splits, params, flops)
    largest = max(genome.flops for genome in presets.values())
    image_s = speed.seconds(largest) / BUSY
    total = SHARES["search"] * seconds * workers / image_s / UNITS
    unit = max(total / CANDIDATES[0] - EVALUATION * validated, least)
    candidates = total / (unit + EVALUATION * validated)
    fidelities = _fidelities(unit, images)
    full_s = _images(fidelities[-1], images, validated) * image_s
    fresh = SHARES["finalists"] * seconds * workers / (6 * full_s)
    skeleton = next(iter(presets.values())).skeleton
    finally_ = duration(SHARES["training"] * seconds)
    lines = [
        f"images: {' x '.join(map(str, skeleton.image))} (channels x height x width), {skeleton.classes} classes",
        f"budget: at most {amount(params)} parameters and {amount(flops)} FLOPs"
        + ("" if max_flops is not None and flops == max_flops else f", for {epochs} epochs at the end"),
        f"presets: {duration(SHARES['presets'] * seconds)}, {len(presets)} scaled presets are trained shortly, the "
        "search begins at the best one",
        f"search: {duration(SHARES['search'] * seconds)} on {workers} worker{'s' if workers > 1 else ''}, about "
        f"{candidates:.0f} candidates; trainings of "
        + ", ".join(f"{one['epochs']} x {one['images'] or images:,} images" for one in fidelities),
        f"finalists: {duration(SHARES['finalists'] * seconds)}, the best five again with fresh seeds",
        f"training: {finally_} for the winner and the best preset, the same time for both",
        f"reserve: {duration(reserve_s(seconds))}",
        *_left_out(skeleton),
    ]
    return Plan(
        hours,
        workers,
        {label: genome.text for label, genome in presets.items()},
        params,
        flops,
        fidelities,
        protocol.model_dump(mode="json", exclude_none=True),
        int(min(max(fresh, 1), 5)),
        min(max(workers // 2, 1), 5),
        lines,
    )


def _affordable(speed: Speed, images: int, final_s: float, search_s: float, hours: float) -> tuple[float, int]:
    """The most FLOPs for which there is time, and the epochs of the final training then.

    Args:
        speed: of this machine.
        images: of the training part.
        final_s: seconds of one final training.
        search_s: seconds of the search for one image of a candidate, if there were one candidate.
        hours: the whole clock, for the message.

    Raises:
        TrainingError: not even the fewest epochs and candidates are possible.
    """
    for epochs, candidates in zip(EPOCHS, CANDIDATES, strict=True):
        flops = speed.flops(BUSY * min(final_s / (epochs * images), search_s / candidates))
        if flops >= LEAST_FLOPS:
            return flops, epochs
    needed = speed.seconds(LEAST_FLOPS) / BUSY / min(final_s / (EPOCHS[-1] * images), search_s / CANDIDATES[-1])
    raise TrainingError(
        f"{duration(3600 * hours)} are too short for {images:,} training images on this machine: {CANDIDATES[-1]} "
        f"short trainings of small networks and {EPOCHS[-1]} epochs at the end take about {needed:.1f} times as long; "
        f"give --hours {1.1 * needed * hours:.2g} or more, or less data"
    )


def _presets(splits: Splits, max_params: float, max_flops: float) -> dict[str, Genome]:
    """Presets scaled to the bounds on the finest skeleton that admits any, with one and two blocks a stage.

    Raises:
        BudgetError: no skeleton admits any.
    """
    budget = Budget(max_params=max_params, max_flops=max_flops)
    for skeleton in skeletons(image_of(splits), len(splits.classes), max_flops):
        found: dict[str, Genome] = {}
        for depth in DEPTHS:
            deep = replace(skeleton, depths=(depth,) * len(skeleton.depths))
            for name in PRESETS:
                try:
                    scaled = scaled_preset(name, deep, budget)
                except BudgetError:
                    continue
                if scaled not in found.values():
                    found[name if depth == 1 else f"{name}, {depth} blocks a stage"] = scaled
        if found:
            return found
    raise BudgetError(
        f"no preset fits at most {max_params:,.0f} parameters and {max_flops:,.0f} FLOPs at any image size; raise "
        "--max-params or --max-flops, or give more --hours"
    )


def _fidelities(unit: float, images: int) -> list[dict[str, int]]:
    """Three schedules that see `unit`, four and eight times as many images, as far as that makes sense."""
    shares = ((1, unit), (2, 2 * unit), (4, 2 * unit))
    most = (10, 20, 40)
    found = []
    for (epochs, seen), limit in zip(shares, most, strict=True):
        few = seen < images
        found.append({"epochs": epochs if few else min(int(epochs * seen / images), limit), "images": int(seen) * few})
    return found


def _images(fidelity: Mapping[str, int], images: int, validated: int) -> float:
    """Images whose training takes as long as a fidelity."""
    return fidelity["epochs"] * ((fidelity["images"] or images) + EVALUATION * validated)


def _left_out(skeleton: Skeleton) -> list[str]:
    _, height, width = skeleton.image
    return [] if height == width else ["left out: relposbias, which needs squares; everything else takes any image"]


def _median(counts: Counter[int]) -> int:
    half, seen = counts.total() / 2, 0
    for value in sorted(counts):
        seen += counts[value]
        if seen >= half:
            return value
    raise ValueError("there is nothing to take a median of")
