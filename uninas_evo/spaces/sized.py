"""Random networks of a given size, from any space: what a search's winner must beat, and what scores are set beside."""

from __future__ import annotations

import random
from typing import Any

from uninas_evo.contracts import Anchored, Budget, Rebudgeted, Space

SMALLEST = 0.8
"""Random networks have at least this share of the given network's parameters: less would be another size."""
WALK = 300
"""Search steps from the given network to a random one: some times as many as a network has nodes."""


def random_networks(space: Space[Any], genome: Any, count: int, seed: int = 0) -> list[Any]:
    """Random networks with between `SMALLEST` of a network's parameters and as many.

    Each is the end of a walk of `WALK` search steps from the network that never leaves these sizes, nor the further
    upper bounds of the space's budget where the network itself keeps them.

    Args:
        space: where the steps are taken.
        genome: whose size they have.
        count: how many.
        seed: of the walks.
    """
    size = _around(space, genome)
    near = space
    if isinstance(space, Anchored) and isinstance(space, Rebudgeted):
        near = space.around(genome).with_budget(size)  # both capabilities
    found = []
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")
        end = genome
        for _ in range(WALK):
            step = near.mutate(end, rng)
            if step is not None and size.admits(space.cost(step)):
                end = step
        found.append(end)
    return found


def _around(space: Space[Any], genome: Any) -> Budget:
    cost = space.cost(genome)
    further = {f"max_{name}": max(high, cost[name]) for name, _, high in space.budget.bounds}
    return Budget(SMALLEST * cost.params, cost.params, 0, max(cost.flops, space.budget.max_flops), **further)
