"""Proxies by name, and the aggregates made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from uninas_evo.contracts import Goal
from uninas_evo.errors import ProxyError
from uninas_evo.proxies import activations, gradients, size
from uninas_evo.proxies._module import Inputs
from uninas_evo.proxies.vkdnw import vkdnw, vkdnw_single
from uninas_evo.stats.ranks import rank_aggregate


@dataclass(frozen=True, slots=True)
class Proxy:
    """A named score: the function, which way it is better, and what of the function's result it is.

    Attributes:
        function: takes a module and its inputs, returns a float or an object with the attribute `part`.
        goal: "maximize" or "minimize".
        part: the attribute to take; None for a plain float. Proxies that share a function are computed in one call.
    """

    function: Callable[[nn.Module, Inputs], object]
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
    "te_regions": Proxy(activations.te_regions),
    "te_ntk": Proxy(activations.te_ntk, "minimize"),
    "params": Proxy(size.params),
    "flops": Proxy(size.flops),
    "layers": Proxy(size.layers),
}
"""Every proxy that gives a network a number of its own."""

AGGREGATES: dict[str, tuple[str, ...]] = {
    "az": ("az_expressivity", "az_progressivity", "az_trainability", "flops"),
    "te": ("te_regions", "te_ntk"),
    "vkdnw_agg": ("vkdnw_single", "az_expressivity", "az_trainability", "flops", "jacov"),
}
"""Aggregates that only exist over a population, and their parts: AZ-NAS, TE-NAS and VKDNW_agg as published."""


def parts_of(names: Sequence[str]) -> tuple[str, ...]:
    """The proxies behind names of proxies and aggregates, each once, in order.

    Raises:
        ProxyError: a name is unknown.
    """
    unknown = [name for name in names if name not in PROXIES and name not in AGGREGATES]
    if unknown:
        raise ProxyError(f"there is no proxy {unknown[0]!r}: choose among {', '.join([*PROXIES, *AGGREGATES])}")
    return tuple(dict.fromkeys(part for name in names for part in AGGREGATES.get(name, (name,))))


def score(module: nn.Module, names: Sequence[str], inputs: Inputs | None = None) -> dict[str, float]:
    """Scores a module by proxies; an aggregate's name gives its parts.

    Raises:
        ProxyError: a name is unknown, or a proxy cannot score the module.
    """
    inputs = inputs or Inputs()
    results: dict[object, object] = {}
    values = {}
    for name in parts_of(names):
        proxy = PROXIES[name]
        if proxy.function not in results:
            results[proxy.function] = proxy.function(module, inputs)
        result = results[proxy.function]
        value = result if proxy.part is None else getattr(result, proxy.part)
        assert isinstance(value, float)
        values[name] = value
    return values


def aggregate(names: Sequence[str], scores: Mapping[str, Sequence[float]]) -> list[float]:
    """Rank-aggregates proxies over a population; larger is better.

    Args:
        names: proxies, or aggregates, which stand for their parts.
        scores: for each proxy its values for the T networks, as `score` gave them; the goals are applied here.

    Raises:
        ProxyError: a name is unknown, or its scores are missing or hold NaN.
    """
    parts = parts_of(names)
    missing = [part for part in parts if part not in scores]
    if missing:
        raise ProxyError(f"the scores of {missing} are missing for the aggregate of {list(names)}: score by them too")
    return rank_aggregate({p: [v if PROXIES[p].goal == "maximize" else -v for v in scores[p]] for p in parts})
