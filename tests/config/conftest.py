"""A package from outside that offers a proxy, a scorer and problems by entry points."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

ENTRY_POINTS = """
[uninas_evo.problems]
broken = outside_plugin:Missing
raises = outside_raises:Anything
[uninas_evo.strategies]
raises = outside_raises:Anything
[uninas_evo.proxies]
contrast = outside_plugin:CONTRAST
bare = outside_plugin:contrast
raises = outside_raises:Anything
[uninas_evo.scorers]
depth = outside_plugin:Depth
"""
PLUGIN = '''
import pydantic
import torch
from uninas_evo.contracts import Objective, Scorer
from uninas_evo.proxies import Proxy

@torch.no_grad()
def contrast(module, inputs, *, scale: float = 1.0) -> float:
    """How far the logits of two images lie apart."""
    logits = module.eval()(inputs.images())
    return scale * float((logits[0] - logits[1]).norm())

CONTRAST = Proxy(contrast, "minimize")

class DepthOptions(pydantic.BaseModel, extra="forbid"):
    kind: str = pydantic.Field(description="a layer's class")

class Depth(Scorer):
    """Layers of a kind."""
    Options = DepthOptions
    objectives = (Objective("depth", "maximize"),)
    def __init__(self, kind):
        self.kind = kind
    def score(self, subject, device):
        return {"depth": float(sum(type(m).__name__ == self.kind for m in subject.network().modules()))}
'''


@pytest.fixture
def outside(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which the package is installed."""
    from uninas_evo import registry

    site = tmp_path_factory.mktemp("site")
    info = site / "outside-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (site / "outside_plugin.py").write_text(PLUGIN)
    (site / "outside_raises.py").write_text("raise ValueError('half done')\n")
    monkeypatch.syspath_prepend(str(site))
    registry._found.cache_clear()
    yield site
    registry._found.cache_clear()
