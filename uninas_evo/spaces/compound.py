"""Compound scaling: depth, width and resolution grow together, by coefficients that are searched for a network.

Tan & Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019, arXiv 1905.11946,
section 3.3: factors a, b, c for twice the FLOPs are found on the small network, and a^φ, b^φ, c^φ scale it up. There a
grid is searched under a b² c² = 2. Here the FLOPs are exact, and what lies above twice as many is punished.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

from uninas_evo.contracts import Space
from uninas_evo.errors import GenomeError
from uninas_evo.spaces.load import load_space
from uninas_evo.spaces.scaling import scale
from uninas_evo.spaces.uninas.resize import COMPOUND

DEPTHS, SIDES = (1.0, 1.15, 1.3, 1.5, 2.0), (1.0, 1.1, 1.2, 1.4)
"""Factors of depth, and of width and resolution, that are tried: the last of each alone doubles the FLOPs, nearly."""
NEAR = (0.7, 1.3)
"""What d w² r², the FLOPs as the paper estimates them, may be of 2 on the grid."""
PENALTY = 10.0
"""Ranges of the scores on the grid that twice the allowed FLOPs cost: a tenth too much outweighs the whole range."""
MOST_STEPS = 400
"""Of the curve: 2^20 times the FLOPs."""
UNINET_STRIDE = 32
"""Of UniNet's five halvings."""
NARROWEST = 0.6
"""Share of the doubled FLOPs that a scaled network must use: below it the factors would be compared at other sizes."""


@dataclass(frozen=True)
class Coefficients:
    """Factors of depth, width and resolution for twice the FLOPs."""

    depth: float
    width: float
    resolution: float

    def __str__(self) -> str:
        return f"depth {self.depth:.3g}, width {self.width:.3g}, resolution {self.resolution:.3g}"


CLASSICAL = Coefficients(*COMPOUND)
"""EfficientNet's."""


@dataclass(frozen=True)
class Scaled:
    """A network on the curve.

    Attributes:
        phi: exponent of the coefficients.
        space: the space that it lies in.
        genome: its genome.
    """

    phi: float
    space: Space[Any]
    genome: Any

    @property
    def flops(self) -> float:
        """FLOPs of one image."""
        return self.space.cost(self.genome)["flops"]


def stride_of(genome: Any) -> int:
    """What the image's sides of a genome's scaled networks are multiples of.

    Raises:
        GenomeError: the space's genomes do not hold their skeleton.
    """
    skeleton = getattr(genome, "skeleton", None)
    if skeleton is None:
        scale(genome)  # says which spaces can be scaled
    return int(getattr(skeleton, "stride", UNINET_STRIDE))


def scaled(genome: Any, coefficients: Coefficients, phi: float, stride: int) -> Scaled:
    """The network of an exponent; the image's sides are the nearest multiples of a stride.

    Raises:
        GenomeError: such a network cannot be.
    """
    space, _ = load_space(genome.text)
    sides = [max(1, round(side * coefficients.resolution**phi / stride)) * stride for side in space.image[1:]]
    image = sides[0] if sides[0] == sides[1] else (sides[0], sides[1])
    larger = scale(genome, coefficients.depth**phi, coefficients.width**phi, image)
    return Scaled(phi, load_space(larger.text)[0], larger)


def find_coefficients(
    genome: Any, score: Callable[[Scaled], float], *, stride: int, refinements: int = 20
) -> tuple[Coefficients, list[tuple[Coefficients, float, float]]]:
    """The coefficients whose network of about twice the FLOPs scores best: a grid, then Nelder and Mead's simplex.

    Args:
        genome: what is scaled.
        score: of a scaled network, the greater the better; equal networks are scored once.
        stride: the image's sides are multiples of it.
        refinements: most evaluations of the simplex; 0 for the grid alone.

    Returns:
        The best, and every one that was scored, with its FLOPs and its score.

    Raises:
        GenomeError: the network cannot be scaled so.
    """
    import numpy as np
    from scipy.optimize import minimize

    target = 2 * scaled(genome, CLASSICAL, 0.0, stride).flops
    known: dict[str, float] = {}
    tried: list[tuple[Coefficients, float, float]] = []

    def scored(coefficients: Coefficients) -> tuple[float, float] | None:
        """FLOPs and score; None where no such network is compared."""
        try:
            one = scaled(genome, coefficients, 1.0, stride)
        except GenomeError:
            return None
        if not NARROWEST * target <= one.flops <= 2 * target:
            return None
        if one.genome.text not in known:
            known[one.genome.text] = score(one)
        tried.append((coefficients, one.flops, known[one.genome.text]))
        return one.flops, known[one.genome.text]

    grid = [(one, found) for one in _grid() if (found := scored(one))]
    values = [value for _, (_, value) in grid if math.isfinite(value)]
    if not values:
        raise GenomeError(
            f"no scaled network has {NARROWEST:g} to 2 times the doubled {target:,.0f} FLOPs and a score: depth, width "
            f"and image grow in steps; scale a larger network, or images whose sides have more multiples of {stride}"
        )
    span = max(values) - min(values) or 1.0

    def worth(found: tuple[float, float] | None) -> float:
        if found is None or not math.isfinite(found[1]):
            return min(values) - PENALTY * span
        return found[1] - PENALTY * span * max(0.0, found[0] / target - 1)

    start, _ = max(grid, key=lambda pair: worth(pair[1]))
    if refinements:
        factors = [start.depth, start.width, start.resolution]
        simplex = [factors, *([f + 0.1 * (i == j) for j, f in enumerate(factors)] for i in range(3))]
        minimize(
            lambda x: -worth(scored(Coefficients(*map(float, np.maximum(x, 1.0))))),
            factors,
            method="Nelder-Mead",
            options={"initial_simplex": simplex, "maxfev": refinements},
        )
    best = max(tried, key=lambda one: worth(one[1:]))
    return best[0], tried


def curve(genome: Any, coefficients: Coefficients, target_flops: float, stride: int, step: float = 0.5) -> list[Scaled]:
    """The scaled networks of growing exponents, up to the largest inside the target.

    Args:
        genome: what is scaled.
        coefficients: factors for twice the FLOPs.
        target_flops: most FLOPs of one image.
        stride: the image's sides are multiples of it.
        step: between two exponents; the last is the largest multiple of a tenth of it.

    Raises:
        GenomeError: the network itself lies above the target, or no growth of it can be built.
    """
    make = partial(scaled, genome, coefficients, stride=stride)
    first = make(phi=0.0)
    if first.flops > target_flops:
        raise GenomeError(
            f"the network has {first.flops:,.0f} FLOPs and the target is {target_flops:,.0f}: it must lie above the "
            "network, which is scaled up; give more, or a smaller network"
        )
    every = [first, *_growing(make, target_flops, step / 10)]
    shown = {one.genome.text: one for one in reversed([*every[::10], every[-1]])}  # of equal ones the first
    return list(reversed(shown.values()))


def _growing(make: Callable[..., Scaled], target_flops: float, step: float) -> Iterator[Scaled]:
    """The networks of multiples of a step, until they leave the target or stop growing."""
    for number in range(1, MOST_STEPS):
        one = make(phi=round(number * step, 9))
        if one.flops > target_flops:
            return
        yield one


def _grid() -> Iterator[Coefficients]:
    for depth, width, resolution in product(DEPTHS, SIDES, SIDES):
        if NEAR[0] <= depth * width**2 * resolution**2 / 2 <= NEAR[1]:
            yield Coefficients(depth, width, resolution)
