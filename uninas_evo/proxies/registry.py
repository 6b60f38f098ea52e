"""Proxies by name, and the aggregates made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from uninas_evo import registry
from uninas_evo.contracts import Goal
from uninas_evo.errors import ProxyError
from uninas_evo.mistakes import nearest
from uninas_evo.proxies import activations, coupled, gradients, patterns, size
from uninas_evo.proxies._module import Inputs
from uninas_evo.proxies.vkdnw import vkdnw, vkdnw_single
from uninas_evo.stats.ranks import rank_aggregate


@dataclass(frozen=True, slots=True)
class Proxy:
    """A named score: the function, which way it is better, and what of the function's result it is.

    Attributes:
        function: takes a module, its inputs and settings by keyword; returns a float or an object with the attribute
            `part`. A standard error is read from the attribute `error`.
        goal: "maximize" or "minimize".
        part: the attribute to take; None for a plain float. Proxies that share a function are computed in one call.
    """

    function: Callable[..., Any]
    goal: Goal = "maximize"
    part: str | None = None


PROXIES: dict[str, Proxy] = {
    "vkdnw": Proxy(vkdnw, part="score"),
    "vkdnw_single": Proxy(vkdnw_single, part="score"),
    "zen": Proxy(activations.zen),
    "zico": Proxy(gradients.zico),
    "az_expressivity": Proxy(activations.az, part="expressivity"),
    "az_progressivity": Proxy(activations.az, part="progressivity"),
    "az_trainability": Proxy(activations.az, part="trainability"),
    "naswot": Proxy(activations.naswot),
    "synflow": Proxy(gradients.synflow),
    "grad_norm": Proxy(gradients.grad_norm),
    "snip": Proxy(gradients.snip),
    "grasp": Proxy(gradients.grasp),
    "jacov": Proxy(gradients.jacov),
    "fisher": Proxy(gradients.fisher),
    "swap": Proxy(patterns.swap),
    "near": Proxy(patterns.near),
    "intrain": Proxy(coupled.intrain),
    "l_swag": Proxy(coupled.l_swag),
    "te_regions": Proxy(activations.te_regions),
    "te_ntk": Proxy(activations.te_ntk, "minimize"),
    "params": Proxy(size.params),
    "flops": Proxy(size.flops),
    "layers": Proxy(size.layers),
}
"""Every proxy of ours that gives a network a number of its own; `find` also knows those of installed packages."""

AGGREGATES: dict[str, tuple[str, ...]] = {
    "az": ("az_expressivity", "az_progressivity", "az_trainability", "flops"),
    "te": ("te_regions", "te_ntk"),
    "vkdnw_agg": ("vkdnw_single", "az_expressivity", "az_trainability", "flops", "jacov"),
}
"""Aggregates that only exist over a population, and their parts: AZ-NAS, TE-NAS and VKDNW_agg as published."""


def names() -> list[str]:
    """The names of all proxies: ours, then those that installed packages add."""
    return [*PROXIES, *(name for name in registry.names("proxy") if name not in PROXIES)]


def find(name: str) -> Proxy:
    """The proxy of a name: ours, or one that an installed package offers as an entry point `uninas_evo.proxies`.

    Raises:
        ProxyError: there is none, or the entry point is not a `Proxy`.
    """
    if name in PROXIES:
        return PROXIES[name]
    if name not in registry.names("proxy"):
        known = [*names(), *AGGREGATES]
        raise ProxyError(f"there is no proxy {name!r}: choose among {', '.join(known)}{nearest(name, known)}")
    found = registry.find("proxy", name)
    if not isinstance(found, Proxy):
        raise ProxyError(
            f"the entry point of the proxy {name!r} must name a uninas_evo.proxies.Proxy, and it is {found!r}; "
            "write `mine = Proxy(function)` and name that"
        )
    return found


def parts_of(wanted: Sequence[str]) -> tuple[str, ...]:
    """The proxies behind names of proxies and aggregates, each once, in order.

    Raises:
        ProxyError: a name is unknown.
    """
    parts = tuple(dict.fromkeys(part for name in wanted for part in AGGREGATES.get(name, (name,))))
    for part in parts:
        find(part)
    return parts


def score(
    module: nn.Module,
    wanted: Sequence[str],
    inputs: Inputs | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    costs: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """Scores a module by proxies; those that share a function and its settings share one call of it.

    Args:
        module: what is scored; it stays as it is.
        wanted: proxies, or aggregates, which stand for their parts.
        inputs: batch, image shape, seed and device.
        settings: keyword arguments of a proxy's function, by the proxy's name.
        costs: the exact costs of the module's genome, where it is known; they stand for proxies of their names.

    Returns:
        The value of each proxy by its name, and its standard error as ``NAME_se`` where it has one.

    Raises:
        ProxyError: a name is unknown, or a proxy cannot score the module.
    """
    inputs = inputs or Inputs()
    results: list[tuple[object, Mapping[str, Any], Any]] = []
    values: dict[str, float] = {}
    for name in parts_of(wanted):
        if costs is not None and name in costs:
            values[name] = float(costs[name])
            continue
        proxy, own = find(name), dict((settings or {}).get(name, {}))
        result = next((r for function, given, r in results if function is proxy.function and given == own), None)
        if result is None:
            result = proxy.function(module, inputs, **own)
            results.append((proxy.function, own, result))
        values[name] = float(result if proxy.part is None else getattr(result, proxy.part))
        error = getattr(result, "error", None)
        if error is not None:
            values[f"{name}_se"] = float(error)
    return values


def aggregate(wanted: Sequence[str], scores: Mapping[str, Sequence[float]]) -> list[float]:
    """Rank-aggregates proxies over a population; larger is better.

    Args:
        wanted: proxies, or aggregates, which stand for their parts.
        scores: for each proxy its values for the T networks, as `score` gave them; the goals are applied here.

    Raises:
        ProxyError: a name is unknown, or its scores are missing or hold NaN.
    """
    parts = parts_of(wanted)
    missing = [part for part in parts if part not in scores]
    if missing:
        raise ProxyError(f"the scores of {missing} are missing for the aggregate of {list(wanted)}: score by them too")
    return rank_aggregate({p: [v if find(p).goal == "maximize" else -v for v in scores[p]] for p in parts})
