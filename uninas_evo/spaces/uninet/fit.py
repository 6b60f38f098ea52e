"""Bringing a genome inside a budget by the smallest steps that help."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from uninas_evo.contracts import Budget, Cost
from uninas_evo.spaces.uninet.genome import Genome, Stage
from uninas_evo.spaces.uninet.lattice import EXPANSIONS, Lattice


def fit(
    genome: Genome, budget: Budget, lattice: Lattice, cost: Callable[[Genome], Cost] = lambda genome: genome.cost
) -> Genome | None:
    """The genome inside the budget that single steps lead to, or None where none helps any more.

    Each time the step that leaves the least excess is taken, among equals the one that changes the cost least, then
    the first: one step of r, c or e towards the bound. Where the genome is too large it is also DSM → L and
    GOP → DWConv, or to any other of the lattice where it leaves these out.
    """
    excess = budget.excess(cost(genome))
    while excess > 0:
        tried = [
            (budget.excess(cost(one)), _change(genome.cost, one.cost), one)
            for one in _steps(genome, _directions(cost(genome), budget), lattice)
        ]
        least, _, best = min(tried, key=lambda one: one[:2], default=(excess, 0.0, genome))
        if least >= excess:
            return None
        genome, excess = best, least
    return genome


def _change(before: Cost, after: Cost) -> float:
    """By which share the costs differ, the largest of all."""
    return max(abs(after[name] - amount) / max(amount, 1e-12) for name, amount in before.items())


def _steps(genome: Genome, directions: list[int], lattice: Lattice) -> Iterator[Genome]:
    """All genomes one step nearer to the bounds that are broken."""
    for index, stage in enumerate(genome.stages):
        changed = [one for direction in directions for one in _resized(stage, index, direction, genome, lattice)]
        if -1 in directions:
            changed += [replace(stage, module=module) for module in _cheapest("L", lattice.modules)]
            changed += [replace(stage, operator=operator) for operator in _cheapest("DWConv", lattice.operators)]
        yield from (genome.with_stage(index, one) for one in changed if one != stage)


def _cheapest(name: str, options: tuple[str, ...]) -> tuple[str, ...]:
    """The option that costs least, or all where the lattice leaves it out."""
    return (name,) if name in options else options


def _directions(cost: Cost, budget: Budget) -> list[int]:
    """−1 where a cost is above its bound, 1 where one is below; both may hold."""
    bounds = (
        ("params", budget.min_params, budget.max_params),
        ("flops", budget.min_flops, budget.max_flops),
        *budget.bounds,
    )
    above = any(cost[name] > high for name, _, high in bounds)
    below = any(cost[name] < low for name, low, _ in bounds)
    return [-1] * above + [1] * below


def _resized(stage: Stage, index: int, direction: int, genome: Genome, lattice: Lattice) -> Iterator[Stage]:
    """The stage with the next value of r, c and e on the lattice in a direction."""
    values = {
        "repeats": lattice.depths(index),
        "channels": lattice.widths(index, stage, genome.skeleton.heads),
        "expansion": EXPANSIONS,
    }
    for name, options in values.items():
        own = getattr(stage, name)
        beyond = [option for option in options if (option - own) * direction > 0]
        if beyond:
            changed: dict[str, Any] = {name: min(beyond, key=lambda option: abs(option - own))}
            yield replace(stage, **changed)
