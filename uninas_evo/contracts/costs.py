"""What a network costs, by name, and bounds on it; known exactly before anything is built."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from uninas_evo.errors import BudgetError

G_contra = TypeVar("G_contra", contravariant=True)


@dataclass(frozen=True, slots=True, repr=False)
class Cost(Mapping[str, float]):
    """Named amounts that add up: parameters, FLOPs, and whatever else a cost model of a space counts.

    Attributes:
        params: parameters (a count).
        flops: multiplications and additions of one image.
        further: other named amounts, in the order of their names, such as ``(("latency_ms", 3.2),)``.
    """

    params: int = 0
    flops: int = 0
    further: tuple[tuple[str, float], ...] = ()

    def extended(self, **amounts: float) -> Cost:
        """The same cost with further named amounts."""
        return Cost(self.params, self.flops, tuple(sorted({**dict(self.further), **amounts}.items())))

    def __getitem__(self, name: str) -> float:
        if name == "params":
            return self.params
        if name == "flops":
            return self.flops
        for other, amount in self.further:
            if other == name:
                return amount
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        yield "params"
        yield "flops"
        yield from (name for name, _ in self.further)

    def __len__(self) -> int:
        return 2 + len(self.further)

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.params + other.params, self.flops + other.flops, _summed(self, other, 1))

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.params - other.params, self.flops - other.flops, _summed(self, other, -1))

    def __repr__(self) -> str:
        return f"Cost({', '.join(f'{name}={amount:,}' for name, amount in self.items())})"


def _summed(a: Cost, b: Cost, sign: int) -> tuple[tuple[str, float], ...]:
    if not a.further and not b.further:
        return ()
    amounts = dict(a.further)
    for name, amount in b.further:
        amounts[name] = amounts.get(name, 0) + sign * amount
    return tuple(sorted(amounts.items()))


class CostModel(Protocol[G_contra]):
    """Gives genomes of a space further named amounts, exactly and without building anything."""

    @property
    def names(self) -> tuple[str, ...]:
        """What it counts."""

    @property
    def sources(self) -> tuple[Path, ...]:
        """Files that the amounts are read from; their hashes are part of a run's identity."""

    def __call__(self, genome: G_contra, cost: Cost) -> Mapping[str, float]:
        """An amount for each of `names`, infinite where it is known that there is none: outside every budget.

        Args:
            genome: what is counted.
            cost: what is counted of it already, parameters and FLOPs among it.
        """


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Budget:
    """Inclusive bounds on named costs: ``Budget(max_params=100e3, max_flops=6e6, max_latency_ms=5)``.

    Args:
        min_params: fewest parameters.
        max_params: most parameters.
        min_flops: fewest FLOPs of one image.
        max_flops: most FLOPs of one image.
        further: ``min_NAME`` and ``max_NAME`` of any other cost.

    Attributes:
        bounds: (name, low, high) of every further cost that is bounded, in the order of their names.

    Raises:
        BudgetError: a bound is negative or not a number, a lower bound lies above its upper one, or a name does not
            begin with ``min_`` or ``max_``.
    """

    min_params: float
    max_params: float
    min_flops: float
    max_flops: float
    bounds: tuple[tuple[str, float, float], ...]

    def __init__(
        self,
        min_params: float = 0,
        max_params: float = math.inf,
        min_flops: float = 0,
        max_flops: float = math.inf,
        **further: float,
    ) -> None:
        found: dict[str, list[float]] = {"params": [min_params, max_params], "flops": [min_flops, max_flops]}
        for key, bound in further.items():
            side, _, name = key.partition("_")
            if side not in ("min", "max") or not name:
                raise BudgetError(
                    f"a bound is written min_NAME or max_NAME, got {key!r}; write max_{key} for an upper bound on {key}"
                )
            found.setdefault(name, [0, math.inf])[side == "max"] = bound
        for name, (low, high) in found.items():
            if not 0 <= low <= high:
                raise BudgetError(
                    f"the budget's {name} are wrong: 0 <= min_{name} <= max_{name} must hold, "
                    f"got min_{name}={low:g} and max_{name}={high:g}; lower the one or raise the other"
                )
        bounds = tuple(sorted((name, *pair) for name, pair in found.items() if name not in ("params", "flops")))
        for field, value in (
            ("min_params", min_params),
            ("max_params", max_params),
            ("min_flops", min_flops),
            ("max_flops", max_flops),
            ("bounds", bounds),
        ):
            object.__setattr__(self, field, value)

    def _all(self) -> Iterator[tuple[str, float, float]]:
        yield "params", self.min_params, self.max_params
        yield "flops", self.min_flops, self.max_flops
        yield from self.bounds

    @property
    def ceiling(self) -> Budget:
        """The upper bounds alone."""
        tops = {"max_" + name: high for name, _, high in self._all()}
        return Budget(**tops)

    def admits(self, cost: Cost) -> bool:
        """Whether a cost lies within all bounds; one with an infinite amount never does.

        Raises:
            BudgetError: a bounded cost is not among the cost's names.
        """
        if not (self.min_params <= cost.params <= self.max_params and self.min_flops <= cost.flops <= self.max_flops):
            return False
        for name, low, high in self.bounds:  # search steps come here thousands of times a second
            if not low <= self._amount(cost, name) <= high:
                return False
        return math.inf not in [amount for _, amount in cost.further]

    def excess(self, cost: Cost) -> float:
        """By which share of a bound a cost lies outside, the worst of all bounds; 0 inside."""
        shares = [0.0, *[amount for _, amount in cost.further if amount == math.inf]]
        for name, low, high in self._all():
            amount = self._amount(cost, name)
            # Below one unit shares of counts mean nothing; further costs may be far smaller than one.
            floor = 1 if name in ("params", "flops") else 1e-12
            if amount < math.inf:
                shares += [amount / max(high, floor) - 1, low / max(amount, floor) - 1]
        return max(shares)

    def _amount(self, cost: Cost, name: str) -> float:
        if name not in cost:
            raise BudgetError(
                f"the budget bounds {name!r}, which is not a cost of this space: it has {', '.join(cost)}; "
                f"add the cost as [problem.costs.{name}], or remove the bound"
            )
        return cost[name]

    def __str__(self) -> str:
        """The bounds as a run file has them."""
        return ", ".join(f"{name} = {bound:,.15g}" for name, bound in self._sides()) or "without bounds"

    def __repr__(self) -> str:
        return f"Budget({', '.join(f'{name}={bound:,.15g}' for name, bound in self._sides())})"

    def _sides(self) -> list[tuple[str, float]]:
        sides = [(f"min_{name}", low) for name, low, _ in self._all() if low > 0]
        sides += [(f"max_{name}", high) for name, _, high in self._all() if high < math.inf]
        return sides
