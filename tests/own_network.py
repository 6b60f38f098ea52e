"""A space of one's own with a condition, numbers and a rule: importable in every process."""

from __future__ import annotations

from typing import Any

from torch import nn

from uninas_evo import Real, Whole, choices
from uninas_evo.contracts import Budget

TABLE = {
    "kind": ["plain", "bottleneck"],
    "width": Whole(8, 64, log=True),
    "inner": Whole(2, 32),
    "bias": [False, True],
    "drop": Real(0.0, 0.5),
}
WHEN = {"inner": {"kind": ["bottleneck"]}}


def build(chosen: Any) -> nn.Module:
    """Two convolutions; `inner` channels between them where they are a bottleneck."""
    width = chosen["width"]
    inner = chosen.get("inner", width)
    layers = [nn.Conv2d(3, inner, 3, padding=1, bias=chosen["bias"]), nn.ReLU(), nn.Conv2d(inner, width, 1)]
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(chosen["drop"]), nn.Linear(width, 10)
    )


def valid(chosen: Any) -> bool:
    """A bottleneck is narrower."""
    return bool(chosen.get("inner", 0) < chosen["width"])


def formula(chosen: Any) -> dict[str, float]:
    """The parameters of `build`, and a cost of one's own."""
    width, bias = chosen["width"], chosen["bias"]
    inner = chosen.get("inner", width)
    params = 27 * inner + bias * inner + (inner + 1) * width + 10 * (width + 1)
    return {"params": params, "energy": 0.5 * width}


def own(budget: Budget | None = None, **more: Any) -> Any:
    """The space."""
    return choices(TABLE, build, image=(3, 8, 8), classes=10, when=WHEN, valid=valid, budget=budget, **more)


def rate(genome: Any, device: str) -> float:
    """The learning rate that a genome decides: stands for a training."""
    return float(genome.training["lr"])
