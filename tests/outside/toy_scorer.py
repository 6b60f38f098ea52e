"""A scorer from outside: how many modules a network has; one setting."""

from __future__ import annotations

from collections.abc import Mapping

import pydantic

from uninas_evo.contracts import Objective, Scorer, Subject


class DepthOptions(pydantic.BaseModel):
    """Settings of `depth`."""

    model_config = pydantic.ConfigDict(extra="forbid")
    leaves: bool = pydantic.Field(True, description="whether only modules without children count")


class DepthScorer(Scorer):
    """Counts modules."""

    Options = DepthOptions
    objectives = (Objective("depth", "minimize"),)

    def __init__(self, leaves: bool = True) -> None:
        self.leaves = leaves

    def score(self, subject: Subject, device: str) -> Mapping[str, float]:
        """`depth`."""
        modules = list(subject.network().modules())
        return {"depth": float(sum(not self.leaves or not list(module.children()) for module in modules))}
